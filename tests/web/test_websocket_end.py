"""How a WebSocket ends: codes and reasons both ways, losses that nobody takes for an end, and sockets that wait."""

import asyncio
import contextlib

import pytest

from bench.processes import Server
from tests.fakes.sockets import (
    LIMIT_SECONDS,
    MIB,
    Open,
    ended,
    stats,
    until,
)
from tests.fakes.upstream import Upstream
from tests.fakes.websocket import Socket, Sockets, listen, script

# --- the end ---


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1000, "done"), (1001, "bye"), (1008, "no ✓"), (1011, "x" * 123), (4001, "own")]
)
async def test_the_upstreams_close_reaches_the_client(code: int, reason: str, upstream: Upstream, opened: Open) -> None:
    sockets = Sockets(upstream, script(1, "last words", (code, reason)))
    async with opened() as client:
        await client.send("hello")
        assert await client.recv() == "last words"
        assert await ended(client) == (code, reason)
    await until(lambda: upstream.open_connections == 0)
    assert sockets.opened[0].close == (code, reason)


async def test_a_close_without_a_code_stays_without(upstream: Upstream, opened: Open) -> None:
    Sockets(upstream, script((None, "")))
    async with opened() as client:
        assert await ended(client) == (1005, "")


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_the_clients_close_reaches_the_upstream(code: int, upstream: Upstream, opened: Open) -> None:
    sockets = Sockets(upstream, listen)
    async with opened() as client:
        await client.send("sent just before")
        await client.close(code, "why ✓")
    await until(lambda: upstream.open_connections == 0)
    assert sockets.opened[0].close == (code, "why ✓")
    assert sockets.opened[0].received == ["sent just before"]


async def test_an_upstream_that_is_reset_is_no_clean_close(upstream: Upstream, opened: Open) -> None:
    Sockets(upstream, script(1, "half", "reset"))
    async with opened() as client:
        await client.send("hello")
        assert await client.recv() == "half"
        code, reason = await ended(client)
        assert (code, reason) == (1011, "the connection to the upstream broke")


async def test_an_upstream_that_ends_without_a_close_frame_is_no_clean_close(upstream: Upstream, opened: Open) -> None:
    Sockets(upstream, script(1))
    async with opened() as client:
        await client.send("hello")
        assert (await ended(client))[0] == 1011


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", b"\x88\x01x", b"\x81\x02\xff\xfe", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_an_upstream_that_breaks_the_protocol_is_no_clean_close(
    garbage: bytes, upstream: Upstream, opened: Open
) -> None:
    async def talk(peer: Socket) -> None:
        await peer.receive()
        assert peer._connection
        peer._connection.writer.write(garbage)
        await peer.receive_all()

    Sockets(upstream, talk)
    async with opened() as client:
        await client.send("hello")
        assert (await ended(client))[0] == 1011
    await until(lambda: upstream.open_connections == 0)


@pytest.mark.parametrize("busy", [False, True])
async def test_a_client_that_vanishes_frees_the_upstream_within_a_second(
    busy: bool, upstream: Upstream, opened: Open
) -> None:
    async def talk(peer: Socket) -> None:
        await peer.receive()
        while busy:
            await peer.send("x" * 10_000)
            await asyncio.sleep(0.001)
        await peer.receive_all()

    Sockets(upstream, talk)
    client = await opened()
    await client.send("hello")
    await until(lambda: bool(upstream.requests))
    await asyncio.sleep(0.1)
    client.transport.abort()
    await until(lambda: upstream.open_connections == 0)


async def test_a_client_that_vanishes_before_a_deaf_upstream_is_let_go_all_the_same(
    upstream: Upstream, opened: Open, place: Server
) -> None:
    hearing = asyncio.Event()

    async def talk(peer: Socket) -> None:
        await hearing.wait()
        await peer.receive_all()

    sockets = Sockets(upstream, talk)
    client = await opened(compression=None)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(client.send("x" * (24 * MIB)), 1.0)
    assert (await stats(place.port))["requests"]["in_flight"] == 1
    client.transport.abort()
    while (await stats(place.port))["requests"]["in_flight"]:
        await asyncio.sleep(0.02)
    assert upstream._loop
    upstream._loop.call_soon_threadsafe(hearing.set)
    await until(lambda: upstream.open_connections == 0)
    assert sockets.opened[0].received == [], "what was not sent yet is dropped with the client"


# --- load ---


async def test_a_client_that_does_not_read_holds_the_upstream_back(upstream: Upstream, opened: Open) -> None:
    sent = 0

    async def talk(peer: Socket) -> None:
        nonlocal sent
        for _ in range(2000):
            await peer.send("x" * 100_000)
            sent += 1

    Sockets(upstream, talk, deflate=False)
    async with opened(compression=None, max_queue=1) as client:
        await asyncio.sleep(1.0)
        stuck = sent
        await asyncio.sleep(0.5)
        assert sent == stuck < 400
        for _ in range(2000):
            assert len(await client.recv()) == 100_000


async def test_pings_are_answered_by_the_hop_that_gets_them(upstream: Upstream, opened: Open) -> None:
    async def talk(peer: Socket) -> None:
        await peer.ping(b"are you there?")
        await peer.receive_all()

    sockets = Sockets(upstream, talk)
    async with opened() as client:
        await asyncio.wait_for(await client.ping(b"and you?"), LIMIT_SECONDS)
        await until(lambda: sockets.opened[0].pongs == [b"are you there?"])
    assert sockets.opened[0].pings == []
