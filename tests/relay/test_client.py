"""The session adds nothing to a request, keeps few connections, and looks at one before it uses it again."""

import asyncio
import errno
from collections.abc import AsyncIterator
from typing import Any

import aiohappyeyeballs
import aiohttp
import pytest
from multidict import CIMultiDict

from proxy_pkg.errors import UpstreamBrokenError, UpstreamConnectError, UpstreamTimeoutError
from proxy_pkg.relay.client import BoundedConnector, Connecting, PoolLimits, open_session
from proxy_pkg.relay.send import send
from tests.fakes.scripts import STALL_AFTER_BODY, Script, reply
from tests.fakes.upstream import Upstream

POOL = 10
Session = tuple[aiohttp.ClientSession, BoundedConnector]


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    limits = PoolLimits(
        connections_max=POOL,
        idle_max=2,
        idle_seconds=15,
        dns_cache_seconds=60,
        connect_timeout_seconds=2,
        first_byte_timeout_seconds=0.3,
        gap_timeout_seconds=0.3,
        total_timeout_seconds=0,
    )
    opened, connector = open_session(limits)
    async with opened:
        yield opened, connector


async def sent(session: Session, upstream: Upstream, body: Any = b"{}", gap_seconds: float = 5.0) -> bytes:
    answer = await send(session[0], "POST", upstream.url + "/v1/x", CIMultiDict(), body, gap_seconds)
    async with answer:
        return await answer.read()


async def test_nothing_is_added_to_a_request(session: Session, upstream: Upstream) -> None:
    await sent(session, upstream)
    assert [name for name, _ in upstream.requests[0].headers] == [b"Host", b"Content-Length"]
    await sent(session, upstream, None)
    assert [name for name, _ in upstream.requests[1].headers] == [b"Host"]


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 262_144, 262_145, 3_000_000])
async def test_a_body_of_any_size_arrives_framed_by_its_length(size: int, session: Session, upstream: Upstream) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    await sent(session, upstream, body)
    got = upstream.requests[0]
    assert (got.body == body, got.framing) == (True, "length")


async def test_idle_connections_stay_within_their_number(session: Session, upstream: Upstream) -> None:
    upstream.play(*[Script((("hold", "all"), *reply().steps))] * 6)
    waiting = asyncio.gather(*(sent(session, upstream) for _ in range(6)))
    await asyncio.to_thread(upstream.wait_until, lambda it: len(it.requests) == 6)
    assert session[1].busy_count == 6
    upstream.release("all")
    await waiting
    assert (session[1].idle_count, session[1].busy_count) == (2, 0)


async def test_without_descriptors_idle_connections_make_room(
    session: Session, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, connector = aiohappyeyeballs.start_connection, session[1]

    async def short(*arguments: Any, **named: Any) -> Any:
        if connector.idle_count:
            raise OSError(errno.EMFILE, "Too many open files")
        return await connect(*arguments, **named)

    await sent(session, upstream)
    assert connector.idle_count == 1
    monkeypatch.setattr(aiohappyeyeballs, "start_connection", short)
    elsewhere = upstream.url.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(UpstreamConnectError, match="refused"):  # and not: no descriptor left
        await send(session[0], "POST", elsewhere, CIMultiDict(), b"{}", 5.0)
    assert connector.idle_count == 0


async def test_waiting_for_a_place_in_the_pool_is_measured_apart(session: Session, upstream: Upstream) -> None:
    upstream.play(*[Script((("hold", "all"), *reply().steps))] * POOL)
    made = [Connecting() for _ in range(POOL + 2)]

    async def ask(own: Connecting) -> None:
        async with await send(session[0], "POST", upstream.url + "/v1/x", CIMultiDict(), b"{}", 5, own) as answer:
            await answer.read()

    asked = [asyncio.create_task(ask(own)) for own in made]
    await asyncio.to_thread(upstream.wait_until, lambda it: len(it.requests) == POOL)
    asked[-1].cancel()  # who gave up has waited too
    await asyncio.wait(asked[-1:])
    upstream.release("all")
    await asyncio.gather(*asked[:-1])
    assert [own.pool_ns > 0 for own in made] == [False] * POOL + [True, True]


async def test_a_connection_that_just_ended_is_not_used_again(session: Session, upstream: Upstream) -> None:
    await sent(session, upstream)
    assert session[1].idle_count == 1
    loop = upstream._loop
    assert loop
    loop.call_soon_threadsafe(upstream.connections[0].reset)
    # This loop does not turn while we wait, so that only the socket itself knows of the end.
    upstream.wait_until(lambda it: it.open_connections == 0)
    upstream.settle()
    assert await sent(session, upstream) == b"{}"
    assert len(upstream.connections) == 2


async def test_nobody_listening_is_a_connect_error(session: Session) -> None:
    with pytest.raises(UpstreamConnectError) as caught:
        await send(session[0], "POST", "http://127.0.0.1:9/", CIMultiDict(), b"", 1)
    assert caught.value.phase == "connect"


async def test_silence_is_a_timeout(session: Session, upstream: Upstream) -> None:
    upstream.play(STALL_AFTER_BODY)
    with pytest.raises(UpstreamTimeoutError) as caught:
        await sent(session, upstream)
    assert caught.value.phase == "head"


EARLY = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"


@pytest.mark.parametrize(
    "interim",
    [EARLY, EARLY * 3, EARLY + b"HTTP/1.1 200 O", b"HTTP/1.1 199 No\r\ncontent-length: 2\r\n\r\n{}"],
    ids=["one", "several", "half an answer behind it", "one with a body"],
)
async def test_silence_after_an_interim_answer_is_a_timeout_too(
    interim: bytes, session: Session, upstream: Upstream
) -> None:
    upstream.play(Script((("send", interim), ("stall",))))
    with pytest.raises(UpstreamTimeoutError) as caught:
        async with asyncio.timeout(10):
            await sent(session, upstream)
    assert caught.value.phase == "head"


async def test_interim_answers_are_passed_over(session: Session, upstream: Upstream) -> None:
    upstream.play(Script((("send", EARLY * 99), ("send", EARLY[:9]), ("send", EARLY[9:]), *reply(b"{}").steps)))
    assert await sent(session, upstream) == b"{}"


@pytest.mark.parametrize(
    "steps",
    [
        (("send", EARLY * 101),),
        tuple(("send", EARLY) for _ in range(150)),
        (("send", b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"a" * 60_000) for n in range(18))),),
        (("send", b"".join(EARLY[:-2] + b"x: %s\r\n\r\n" % (b"a" * 60_000) for _ in range(18))),),
    ],
    ids=["interim answers at once", "interim answers one by one", "a long head", "long interim answers"],
)
async def test_an_upstream_whose_head_has_no_end_is_not_listened_to(
    steps: tuple[Any, ...], session: Session, upstream: Upstream
) -> None:
    upstream.play(Script((*steps, ("stall",))))
    with pytest.raises(UpstreamBrokenError, match=r"more than 1 MiB, or more than 100 interim answers") as caught:
        async with asyncio.timeout(10):
            await sent(session, upstream)
    assert caught.value.phase == "head"
    assert await sent(session, upstream) == b"{}", "another connection serves the next"


async def test_a_head_behind_an_interim_answer_counts_though_its_body_is_broken(
    session: Session, upstream: Upstream
) -> None:
    broken = b"HTTP/1.1 529 Busy\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
    upstream.play(Script((("send", EARLY * 2 + broken), ("stall",))))
    answer = await send(session[0], "POST", upstream.url + "/v1/x", CIMultiDict(), b"{}", 5)
    assert answer.status == 529
    answer.close()


async def test_an_upstream_that_does_not_read_is_a_timeout(session: Session, upstream: Upstream) -> None:
    upstream.play(Script((("deaf",), ("stall",)), when="head"))
    with pytest.raises(UpstreamTimeoutError) as caught:
        await sent(session, upstream, b"x" * (24 << 20), gap_seconds=0.2)
    assert caught.value.phase == "send"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_cancelled_request_stays_cancelled(session: Session, upstream: Upstream) -> None:
    upstream.play(Script((("deaf",), ("stall",)), when="head"))
    task = asyncio.ensure_future(sent(session, upstream, b"x" * (24 << 20)))
    await asyncio.to_thread(upstream.wait_until, lambda it: bool(it.requests))
    (busy,) = session[1]._acquired
    assert busy.transport is not None
    peer = busy.transport.get_extra_info("socket")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert peer.fileno() == -1, "what is left to send keeps no connection open"


async def test_an_answer_that_is_not_http_is_broken(session: Session, upstream: Upstream) -> None:
    upstream.play(Script((("send", b"hello\r\n\r\n"), ("close",))))
    with pytest.raises(UpstreamBrokenError):
        await sent(session, upstream)
