"""Which connections age, and what ends with them; and which make room first when descriptors run short."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from uvicorn.config import Config

from proxy_pkg.server.client_timeouts import ClientLimits, ClientTimeouts
from proxy_pkg.server.connection import Connection, HandedOverConnection, OpenConnections
from proxy_pkg.server.connection_limit import ConnectionLimit

LIMITS = ClientLimits(head_seconds=30, body_seconds=60, read_seconds=300, body_rate_bytes_min=1000)
REQUEST = b"POST /held HTTP/1.1\r\nhost: a\r\ncontent-length: 10000\r\n\r\n"


class Wire:
    """A transport that notes what is written and whether it was closed."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = self.aborted = False
        self.unsent_bytes = 0

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def set_write_buffer_limits(self, high: int) -> None:
        return

    def get_extra_info(self, _: str) -> None:
        return None

    def pause_reading(self) -> None:
        return

    resume_reading = pause_reading


class Scene:
    """Connections without a network, and a clock that is turned by hand."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            while (await receive()).get("more_body"):
                pass
            if scope["path"] == "/held":
                await self.release.wait()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

        self.config = Config(app, http=Connection, interface="asgi3", lifespan="off", log_config=None)
        self.config.h11_max_incomplete_event_size = 1000
        self.config.load()
        self.state = OpenConnections(lambda: None)
        self.timeouts = ClientTimeouts(self.state.connections, LIMITS)
        self.now = asyncio.get_running_loop().time()

    def connect(self, kind: type[Connection] = Connection) -> tuple[Connection, Wire]:
        wire: Any = Wire()
        connection = kind(config=self.config, server_state=self.state, app_state={})
        connection.connection_made(wire)
        connection.made_at = self.now
        return connection, wire

    def look(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.now += 1
            self.timeouts.look(self.now)

    def limit(self, most: int) -> ConnectionLimit:
        return ConnectionLimit(self.state.connections, lambda: 0, lambda: self.now, most)


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    it = Scene()
    yield it
    it.release.set()
    for connection in list(it.state.connections):
        connection.transport.close()
        connection.connection_lost(None)
    await asyncio.sleep(0)


async def test_a_head_has_its_time_however_often_a_byte_of_it_comes() -> None:
    async with scene() as it:
        connection, wire = it.connect()
        connection.data_received(b"GET / HTTP/1.1\r\nx: ")
        for _ in range(29):
            it.look(1)
            connection.data_received(b"x")
        assert not wire.closed
        it.look(1)
        await asyncio.sleep(0)
        assert wire.closed
        assert wire.written.startswith(b"HTTP/1.1 408 ")


async def test_heads_one_after_the_other_have_each_their_own_time() -> None:
    async with scene() as it:
        connection, wire = it.connect()
        for _ in range(10):
            connection.data_received(b"GET / HTTP/1.1\r\nhost: a\r\nx: ")
            it.look(20)
            connection.data_received(b"y\r\n\r\n")
            await asyncio.sleep(0.001)
        assert wire.written.count(b"HTTP/1.1 200 ") == 10
        assert not wire.closed


async def test_a_body_below_its_least_rate_ages_and_one_above_it_does_not() -> None:
    async with scene() as it:
        connection, _ = it.connect()
        connection.data_received(REQUEST.replace(b"10000", b"1000000"))
        await asyncio.sleep(0)
        it.look(1)
        began = connection.wait.since
        for _ in range(5):
            connection.data_received(b"x" * 100)
            it.look(1)
        assert connection.wait.since == began, "500 bytes in five seconds are fewer than 1000 a second"
        connection.data_received(b"x" * 5000)
        it.look(1)
        assert connection.wait.since > began


async def test_the_first_head_of_a_connection_that_was_handed_over_has_its_whole_time() -> None:
    async with scene() as it:
        connection, wire = it.connect(HandedOverConnection)
        it.look(60)  # idle, as it may be: its own timer ends that
        connection.data_received(b"GET / HTTP/1.1\r\n")
        it.look(29)
        assert not wire.closed
        it.look(2)
        assert wire.closed


async def test_an_answer_that_nobody_reads_ends_and_one_that_is_read_slowly_does_not() -> None:
    async with scene() as it:
        (standing, deaf), (moving, slow) = it.connect(), it.connect()
        for connection, wire in ((standing, deaf), (moving, slow)):
            connection.data_received(REQUEST)
            await asyncio.sleep(0)
            connection.pause_writing()
            wire.unsent_bytes = 100_000
        for _ in range(302):
            slow.unsent_bytes -= 1
            it.look(1)
        assert (deaf.aborted, slow.aborted) == (True, False)


async def test_a_request_that_is_worked_on_has_no_limit_here() -> None:
    async with scene() as it:
        connection, wire = it.connect()
        connection.data_received(REQUEST + b"x" * 10_000)
        it.look(10_000)
        assert not wire.closed


async def test_room_is_made_by_the_oldest_that_wait_and_never_by_those_that_have_a_request() -> None:
    async with scene() as it:
        busy = [it.connect() for _ in range(4)]
        for connection, _ in busy:
            connection.data_received(REQUEST + b"x" * 10_000)
        halves = []
        for _ in range(4):
            it.look(1)
            halves.append(it.connect())
            halves[-1][0].data_received(b"GET / HTTP/1.1\r\n")
        it.look(3)
        limit = it.limit(8)
        assert limit.is_reached
        for closed in range(1, 5):
            assert limit.make_room()
            assert [wire.closed for _, wire in halves] == [True] * closed + [False] * (4 - closed)
        await asyncio.sleep(0)
        assert all(wire.written.startswith(b"HTTP/1.1 503 ") for _, wire in halves)
        assert not limit.make_room(), "all others have something to do"
        assert not any(wire.closed for _, wire in busy)


async def test_a_body_makes_room_only_when_it_stands() -> None:
    async with scene() as it:
        (standing, stood), (moving, moved) = it.connect(), it.connect()
        for connection, _ in ((standing, stood), (moving, moved)):
            connection.data_received(REQUEST)
        limit = it.limit(2)
        it.look(1)
        assert not limit.make_room(), "a body that has just begun is given a moment"
        for _ in range(4):
            moving.data_received(b"x" * 1000)
            await asyncio.sleep(0)
            it.look(1)
        assert limit.make_room()
        await asyncio.sleep(0)
        assert (stood.closed, moved.closed) == (True, False)
        assert not limit.make_room()
