"""What has to happen at once: refusals reach the client, and a peer that leaves is let go on the other side.

Refusals of HTTP requests and of WebSocket handshakes are timed to the end of their answer. Letting go of a WebSocket is
timed from one peer's leaving to what the other side sees of it; plain requests have bench/aborts.py for that.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bench.driver import post
from bench.figures import Figure
from bench.processes import Server, free_port
from bench.stacks import ours
from tests.fakes.scripts import JSON, SSE, Script, chunk, head, reply
from tests.fakes.sockets import HANDSHAKE
from tests.fakes.upstream import Upstream, running
from tests.fakes.websocket import Sockets, listen

TIMES = 25
BAR_MS = 1000.0
LIMIT_SECONDS = 15.0
BODY_BYTES_MAX = 1 << 20
SETTINGS = {"HEADROOM_BODY_BYTES_MAX": str(BODY_BYTES_MAX), "HEADROOM_ACCESS_LOG": "false"}
BODY = b'{"model":"m","messages":[]}'
ASKED = post("/v1/messages", BODY)
TOO_LARGE = ASKED.replace(b"content-length: 27", b"content-length: %d" % (BODY_BYTES_MAX + 1))
NO_WEBSOCKET = reply(b'{"error":{"message":"no"}}', 404, JSON)
HELD = Script((("send", head(200, (*SSE, ("transfer-encoding", "chunked"))) + chunk(b"data: 1\n\n")), ("hold", "all")))

Sample = Callable[[Server, Upstream], Awaitable[float]]


def at_once(names: tuple[str, ...], say: Callable[[str], None]) -> list[Figure]:
    """Each case many times, one after the other, on one worker."""
    if "ours" not in names:
        return []
    figures: list[Figure] = []
    for what, settings, sample in CASES:
        with (
            running() as upstream,
            TemporaryDirectory(prefix="bench-") as place,
            ours(upstream, Path(place), **SETTINGS | settings) as server,
        ):
            figures += _figures(what, asyncio.run(_samples_ms(server, upstream, sample)))
    return figures


async def _samples_ms(server: Server, upstream: Upstream, sample: Sample) -> list[float]:
    taken = []
    for _ in range(TIMES):
        async with asyncio.timeout(LIMIT_SECONDS):
            taken.append(1000 * await sample(server, upstream))
    return taken


def _figures(what: str, taken: list[float]) -> list[Figure]:
    return [
        Figure(what, "ours", median(taken), "ms, median", samples=tuple(taken)),
        Figure(what, "ours", max(taken), "ms, longest", at_most=BAR_MS),
    ]


async def refused(request: bytes, status: int, server: Server, _: Upstream) -> float:
    """From the first byte of `request` to the last of its refusal."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(request)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(answer.partition(b"content-length:")[2].split(b"\r\n")[0]))
        taken = time.monotonic() - began
    finally:
        writer.close()
    assert answer.startswith(b"http/1.1 %d " % status), answer
    return taken


async def refused_when_full(server: Server, upstream: Upstream) -> float:
    """A request while as many as allowed are in progress."""
    upstream.answer = lambda _: HELD
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(ASKED)
        await reader.readuntil(b"data: 1")
        return await refused(ASKED, 503, server, upstream)
    finally:
        writer.transport.abort()
        await _until(lambda: upstream.open_connections == 0)


async def handshake_refused(server: Server, upstream: Upstream) -> float:
    """An upstream without WebSockets says so; its answer is the client's."""
    upstream.answer = lambda _: NO_WEBSOCKET
    began = time.monotonic()
    with contextlib.suppress(InvalidStatus):
        async with _socket(server):
            raise AssertionError("the handshake was taken")
    return time.monotonic() - began


async def client_goes(leave: Callable[[Any], object], server: Server, upstream: Upstream) -> float:
    """From the end of the client to the end that the upstream's socket sees."""
    sockets = Sockets(upstream, listen)
    async with _socket(server) as client:
        await client.send("{}")
        await _until(lambda: bool(sockets.opened and sockets.opened[0].received))
        began = time.monotonic()
        leave(client)
        await _until(lambda: sockets.opened[0].left_at is not None)
    left_at = sockets.opened[0].left_at
    assert left_at is not None
    return left_at - began


async def client_goes_before_it_is_open(server: Server, upstream: Upstream) -> float:
    """The same while the upstream has not answered the handshake."""
    upstream.answer = lambda _: Script((("stall",),))
    seen = len(upstream.requests)
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(HANDSHAKE)
    await _until(lambda: len(upstream.requests) > seen)
    began = time.monotonic()
    writer.transport.abort()
    await _until(lambda: upstream.connections[-1].peer_left_at is not None)
    left_at = upstream.connections[-1].peer_left_at
    assert left_at is not None
    return left_at - began


async def upstream_goes(server: Server, upstream: Upstream) -> float:
    """From the end of the upstream's connection to the end that the client's socket sees."""
    sockets = Sockets(upstream, listen)
    async with _socket(server) as client:
        await _until(lambda: bool(sockets.opened))
        began = time.monotonic()
        assert upstream._loop
        upstream._loop.call_soon_threadsafe(sockets.opened[0].reset)
        with contextlib.suppress(ConnectionClosed):
            await client.recv()
        return time.monotonic() - began


@contextlib.asynccontextmanager
async def _socket(server: Server) -> AsyncIterator[Any]:
    async with connect(f"ws://127.0.0.1:{server.port}/v1/responses", proxy=None, ping_interval=None) as client:
        yield client


def _cut(client: Any) -> None:
    client.transport.abort()


def _reset(client: Any) -> None:
    peer: socket.socket = client.transport.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.transport.abort()


async def _until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.001)


USUAL: dict[str, str] = {}
ONE_AT_A_TIME = {"HEADROOM_LIMIT_CONCURRENCY": "1"}
WITH_TOKEN = {"HEADROOM_PROXY_TOKEN": "bench-0123456789abcdef"}
NOBODY_THERE = {"ANTHROPIC_TARGET_API_URL": f"http://127.0.0.1:{free_port()}"}

CASES: list[tuple[str, dict[str, str], Sample]] = [
    ("refused: path that no API has", USUAL, partial(refused, post("/nothing", BODY), 404)),
    ("refused: body announced too large", USUAL, partial(refused, TOO_LARGE, 413)),
    ("refused: no token", WITH_TOKEN, partial(refused, ASKED, 403)),
    ("refused: no request more", ONE_AT_A_TIME, refused_when_full),
    ("refused: nobody at the upstream", NOBODY_THERE, partial(refused, ASKED, 502)),
    ("refused: WebSocket by the upstream", USUAL, handshake_refused),
    ("let go: WebSocket, client ends", USUAL, partial(client_goes, _cut)),
    ("let go: WebSocket, client resets", USUAL, partial(client_goes, _reset)),
    ("let go: WebSocket, client in its handshake", USUAL, client_goes_before_it_is_open),
    ("let go: WebSocket, upstream resets", USUAL, upstream_goes),
]
