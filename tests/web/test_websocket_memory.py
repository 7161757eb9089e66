"""Messages that never end, inflate hugely or are not read: their bytes count for the worker's limit as they come, like
those of request bodies.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.processes import Server, pss_bytes
from tests.fakes.client import ask
from tests.fakes.scripts import reply
from tests.fakes.sockets import MIB, PATH, ended, settled, until
from tests.fakes.upstream import Upstream
from tests.fakes.websocket import PeerLeft, Socket, Sockets, listen
from tests.system.conftest import starting

LIMIT_BYTES = 24 * MIB
SOCKETS = 12
MESSAGE_BYTES = 8 * MIB


@pytest.fixture(scope="module")
def small_place(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("server")) as start:
        limit = str(LIMIT_BYTES)
        yield start(HEADROOM_WORKERS="1", HEADROOM_BODY_BYTES_MAX=limit, HEADROOM_BODY_BYTES_IN_FLIGHT_MAX=limit)


async def unfinished(client: ClientConnection, fragment: bytes, stop: asyncio.Event) -> None:
    """Send MESSAGE_BYTES of a message in fragments, and never its end."""

    async def fragments() -> AsyncIterator[bytes]:
        for _ in range(MESSAGE_BYTES // len(fragment)):
            yield fragment
        await stop.wait()

    try:
        await client.send(fragments())
    except ConnectionClosed:
        return


def raw_frame_head(size: int) -> bytes:
    """The head of a masked binary frame of so many bytes; a mask of zeros leaves them as they are."""
    return b"\x82\xff" + size.to_bytes(8, "big") + bytes(4)


@pytest.mark.parametrize("kind", ["fragments of 64 KiB", "one frame"])
async def test_unfinished_messages_share_one_limit(kind: str, small_place: Server, upstream: Upstream) -> None:
    Sockets(upstream, listen)
    [pid] = small_place.worker_pids
    before = pss_bytes(pid)
    stop = asyncio.Event()
    clients = [
        await connect(f"ws://127.0.0.1:{small_place.port}{PATH}", proxy=None, ping_interval=None, compression=None)
        for _ in range(SOCKETS)
    ]
    senders = []
    for client in clients:
        if kind == "one frame":
            client.transport.write(raw_frame_head(MESSAGE_BYTES + 1) + bytes(MESSAGE_BYTES))
        else:
            senders.append(asyncio.create_task(unfinished(client, bytes(64 << 10), stop)))
    endings = [asyncio.create_task(ended(client)) for client in clients]
    done, _ = await asyncio.wait(endings, timeout=3)
    reasons = {ending.result() for ending in done if not ending.exception()}
    # Three messages fit; whoever came when there was no room heard so.
    assert SOCKETS - LIMIT_BYTES // MESSAGE_BYTES <= len(done) < SOCKETS
    assert reasons == {
        (1013, f"request bodies of {LIMIT_BYTES} bytes are in progress (HEADROOM_BODY_BYTES_IN_FLIGHT_MAX)")
    }
    assert pss_bytes(pid) - before < 3 * LIMIT_BYTES
    stop.set()
    for client in clients:
        client.transport.abort()
    await asyncio.gather(*endings, *senders, return_exceptions=True)
    numbers = await settled(small_place.port)
    assert numbers["requests"]["refused"]["overloaded"] >= len(done)
    # All of it is given back: a body that needs nearly the whole limit has room.
    upstream.answer = lambda _: reply()
    answer = await asyncio.to_thread(
        ask, small_place.port, "POST", "/v1/messages", (), b'{"x":"' + b"x" * (LIMIT_BYTES - MIB) + b'"}'
    )
    assert answer.status == 200


async def test_fragments_of_one_byte_cost_what_they_take(small_place: Server, upstream: Upstream) -> None:
    """A byte in a fragment of its own takes forty in a list, so it counts for more than one."""
    Sockets(upstream, listen)
    async with connect(f"ws://127.0.0.1:{small_place.port}{PATH}", proxy=None, ping_interval=None) as client:
        ending = asyncio.create_task(ended(client))
        client.transport.write(b"\x02\x81" + bytes(4) + b"x")  # a binary message begins
        fragment = (b"\x00\x81" + bytes(4) + b"x") * 20_000
        for _ in range(LIMIT_BYTES // 64 // 20_000 + 1):
            client.transport.write(fragment)
            await asyncio.sleep(0)
        assert (await ending)[0] == 1013


async def test_messages_that_were_sent_on_count_no_longer(small_place: Server, upstream: Upstream) -> None:
    async def talk(peer: Socket) -> None:
        while (message := await peer.receive()) is not None:
            await peer.send(str(len(message)))

    Sockets(upstream, talk)
    async with connect(f"ws://127.0.0.1:{small_place.port}{PATH}", proxy=None, max_size=None) as client:
        for _ in range(5):
            await client.send("x" * (LIMIT_BYTES // 2))
            assert await client.recv() == str(LIMIT_BYTES // 2)


async def joined(server: Server, count: int, **options: Any) -> list[ClientConnection]:
    url = f"ws://127.0.0.1:{server.port}{PATH}"
    return [await connect(url, **{"proxy": None, "ping_interval": None} | options) for _ in range(count)]


async def test_what_inflates_is_charged_while_it_does(small_place: Server, upstream: Upstream) -> None:
    """60 MB from 60 KB, many at once: none of it is there before it was asked for."""
    Sockets(upstream, listen)
    [pid] = small_place.worker_pids
    before = pss_bytes(pid)
    clients = await joined(small_place, SOCKETS)
    await asyncio.gather(*(client.send(bytes(60 * MIB)) for client in clients))
    endings = {await ended(client) for client in clients}
    assert {code for code, _ in endings} == {1013}
    assert pss_bytes(pid) - before < 3 * LIMIT_BYTES
    assert (await settled(small_place.port))["requests"]["in_flight"] == 0
    upstream.answer = lambda _: reply()
    body = b'{"x":"' + b"x" * (LIMIT_BYTES - MIB) + b'"}'
    answer = await asyncio.to_thread(ask, small_place.port, "POST", "/v1/messages", (), body)
    assert answer.status == 200, "all of it is given back"


async def test_coded_messages_arrive_in_order_and_whole(small_place: Server, upstream: Upstream) -> None:
    sockets = Sockets(upstream, listen)
    sent = ["a" * 3, "b" * (2 * MIB), "ü" * MIB, "c", "d" * (300 << 10), "e"]
    [client] = await joined(small_place, 1)
    for text in sent:
        await client.send(text)
    await until(lambda: sockets.opened[0].received == sent)
    await client.close()


@pytest.mark.parametrize(
    ("frame", "code"),
    [(b"\xc1\x83" + bytes(4) + b"\xff\xff\xff", 1002), (b"\x81\x82" + bytes(4) + b"\xff\xfe", 1007)],
    ids=["no deflate", "no UTF-8"],
)
async def test_what_cannot_be_read_closes_the_socket(
    frame: bytes, code: int, small_place: Server, upstream: Upstream
) -> None:
    Sockets(upstream, listen)
    [client] = await joined(small_place, 1)
    client.transport.write(frame)
    assert (await ended(client))[0] == code


@pytest.mark.parametrize("kind", ["unfinished", "not read"])
async def test_the_upstreams_messages_count_too(kind: str, small_place: Server, upstream: Upstream) -> None:
    """Those that come, and those that a client does not read."""

    async def talk(peer: Socket) -> None:
        assert peer._connection is not None
        if kind == "unfinished":
            peer._connection.writer.write(b"\x82\x7f" + (MESSAGE_BYTES + 1).to_bytes(8, "big") + bytes(MESSAGE_BYTES))
        else:
            with suppress(PeerLeft, ConnectionError):
                for _ in range(4):
                    await peer.send(bytes(MESSAGE_BYTES // 2))
        await peer.receive_all()

    Sockets(upstream, talk, deflate=False)
    [pid] = small_place.worker_pids
    before = pss_bytes(pid)
    clients = await joined(small_place, SOCKETS, max_queue=1, max_size=None, compression=None)
    if kind == "not read":
        for client in clients:
            client.transport.pause_reading()
        await asyncio.sleep(1)
    else:
        endings = [asyncio.create_task(ended(client)) for client in clients]
        await until(lambda: sum(map(asyncio.Task.done, endings)) >= SOCKETS - LIMIT_BYTES // MESSAGE_BYTES)
        assert {ending.result()[0] for ending in endings if ending.done()} == {1013}
    assert pss_bytes(pid) - before < 3 * LIMIT_BYTES
    for client in clients:
        client.transport.abort()
    await settled(small_place.port)
    upstream.answer = lambda _: reply()
    body = b'{"x":"' + b"x" * (LIMIT_BYTES - MIB) + b'"}'
    answer = await asyncio.to_thread(ask, small_place.port, "POST", "/v1/messages", (), body)
    assert answer.status == 200, "all of it is given back"
