"""Messages that never end: their bytes count for the worker's limit as they come, like those of request bodies."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.processes import Server, pss_bytes
from tests.fakes.client import ask
from tests.fakes.scripts import reply
from tests.fakes.sockets import MIB, PATH, ended, settled
from tests.fakes.upstream import Upstream
from tests.fakes.websocket import Socket, Sockets, listen
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
