"""A real HTTP/1.1 server on loopback that keeps the raw bytes of every request and answers as it is told.

Without a script it answers as the provider whose path is asked would (tests/fakes/answers.py). With scripts
(tests/fakes/scripts.py) it plays faults: resets, stalls, cuts, odd framing, at any phase of a request.

In a test: `with running() as upstream: upstream.play(reply(status=529), path="/v1/messages")`.
As a process of its own: `python -m tests.fakes.upstream --port 0` prints its port; GET /__control tells what
it saw, DELETE /__control makes it forget.
"""

import argparse
import asyncio
import contextlib
import functools
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from tests.fakes.answers import default_answer
from tests.fakes.exchange import FramingError, Request, read_body, read_head
from tests.fakes.scripts import CONTINUE, Script, Step, chunk, head, last_chunk, reply

READ_LIMIT_BYTES = 256 * 1024
CONTROL = "/__control"
STOP_LIMIT_SECONDS = 5.0

__all__ = ["Script", "Upstream", "chunk", "head", "last_chunk", "reply", "running"]


@dataclass
class Rule:
    """Which requests get a script. Empty means any; `times` counts down, None means always."""

    script: Script
    method: str = ""
    path: str = ""
    body: bytes = b""
    header: bytes = b""
    times: int | None = 1

    def fits(self, request: Request) -> bool:
        return (
            self.times != 0
            and (not self.method or request.method == self.method)
            and request.target.startswith(self.path)
            and self.header.lower() in request.head.lower()
            and self.body in request.body
        )


@dataclass(eq=False)
class Connection:
    """One accepted connection. `peer_left_at` is the monotonic time of its end as the other side made it."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    opened_at: float
    requests: int = 0
    peer_left_at: float | None = None
    ended_at: float | None = None
    peer_left: asyncio.Event = field(default_factory=asyncio.Event)

    def reset(self) -> None:
        """End it with RST."""
        self.ended_at = self.ended_at or time.monotonic()
        peer: socket.socket = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Watched(asyncio.StreamReaderProtocol):
    """The stream protocol, and it notes the moment the peer leaves even if nobody reads."""

    connection: Connection | None = None
    notify: Callable[[], None]

    def eof_received(self) -> bool | None:
        self._note()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._note()
        super().connection_lost(exc)

    def _note(self) -> None:
        if self.connection and self.connection.peer_left_at is None and self.connection.ended_at is None:
            self.connection.peer_left_at = time.monotonic()
        if self.connection:
            self.connection.peer_left.set()
            self.notify()


class Upstream:
    """The server, usable from any thread. `requests` holds what came, in order of arrival of the heads.

    `answer` makes the script of a request that no rule fits. `continues` says whether
    `expect: 100-continue` is met.
    """

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self.continues = True
        self._rules: list[Rule] = []
        self.answer: Callable[[Request], Script] = default_answer
        self._released: dict[str, asyncio.Event] = {}
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- what a test says and asks ---

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def play(
        self,
        *scripts: Script,
        method: str = "",
        path: str = "",
        body: bytes = b"",
        header: bytes = b"",
        times: int | None = 1,
    ) -> None:
        """Give the next fitting requests these scripts, in order, each `times` times (None: for ever)."""
        self._rules += [Rule(script, method, path, body, header, times) for script in scripts]

    def release(self, name: str) -> None:
        """Let every ("hold", name) step go on, those to come too."""
        assert self._loop
        self._loop.call_soon_threadsafe(self._hold(name).set)

    @property
    def open_connections(self) -> int:
        """Connections that neither side has ended."""
        return sum(1 for each in self.connections if each.peer_left_at is None and each.ended_at is None)

    def wait_until(self, true: Callable[["Upstream"], bool], limit_seconds: float = 5.0) -> None:
        """Return as soon as `true(self)` holds; it is asked again after everything that happens here."""
        with self._changed:
            assert self._changed.wait_for(lambda: true(self), limit_seconds), self.describe()

    def clear(self) -> None:
        """Forget requests, scripts and ended connections; end those that are open."""
        self._rules.clear()
        if self._loop:
            for each in list(self.connections):
                self._loop.call_soon_threadsafe(each.reset)
        self.wait_until(lambda self: self.open_connections == 0)
        self.settle()
        self.requests.clear()
        self.connections.clear()
        self._released.clear()
        self.answer = default_answer
        self.continues = True

    def settle(self) -> None:
        """Return when every end of a connection that was noted here has left for the other side."""
        if self._loop:
            asyncio.run_coroutine_threadsafe(_turns(), self._loop).result(STOP_LIMIT_SECONDS)

    def describe(self) -> str:
        """What was seen, for the message of a failed assertion."""
        lines = [f"{r.connection}.{r.number} {r.method} {r.target} {r.framing} {len(r.body)}" for r in self.requests]
        return f"{self.open_connections} open of {len(self.connections)}; requests:\n" + "\n".join(lines)

    # --- the server ---

    @contextlib.asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[None]:
        """Serve on the running loop while the block runs; ends every connection after it."""
        self._loop = asyncio.get_running_loop()
        server = await self._loop.create_server(self._protocol, "127.0.0.1", port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    def _protocol(self) -> Watched:
        reader = asyncio.StreamReader(limit=READ_LIMIT_BYTES)
        protocol = Watched(reader, self._accept)
        protocol.notify = self._notify
        return protocol

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(len(self.connections) + 1, reader, writer, time.monotonic())
        protocol = writer.transport.get_protocol()
        assert isinstance(protocol, Watched)
        protocol.connection = connection
        self.connections.append(connection)
        task = asyncio.get_running_loop().create_task(self._converse(connection))
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._ended, connection))
        self._notify()

    def _ended(self, connection: Connection, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        connection.ended_at = connection.ended_at or time.monotonic()
        connection.writer.transport.abort() if connection.peer_left_at else connection.writer.close()
        if not task.cancelled() and (error := task.exception()):
            assert self._loop
            self._loop.call_exception_handler({"message": "the fake upstream is wrong", "exception": error})
        self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _hold(self, name: str) -> asyncio.Event:
        return self._released.setdefault(name, asyncio.Event())

    async def _converse(self, connection: Connection) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            greeting = next((r for r in self._rules if r.script.when == "connect" and r.times != 0), None)
            if greeting and not await self._perform(connection, _count(greeting).script):
                return
            while await self._exchange(connection):
                pass

    async def _exchange(self, connection: Connection) -> bool:
        """One request and its answer. False when the connection is over."""
        first = await read_head(connection.reader)
        if not first:
            return False
        connection.requests += 1
        request = Request(connection.number, connection.requests, first, head_at=time.monotonic())
        self.requests.append(request)
        self._notify()
        early = self._chosen(request, "head")
        if early:
            return await self._perform(connection, early)
        if request.header("expect").lower() == "100-continue" and self.continues:
            await self._step(connection, CONTINUE)
        try:
            await read_body(connection.reader, request)
        except FramingError as error:
            await self._step(connection, reply(str(error).encode(), 400).steps[0])
            return False
        request.ended_at = time.monotonic()
        self._notify()
        script = self._controlled(request) or self._chosen(request, "body") or self.answer(request)
        alive = await self._perform(connection, script)
        request.answered_at = time.monotonic()
        self._notify()
        return alive and request.header("connection").lower() != "close"

    def _chosen(self, request: Request, when: str) -> Script | None:
        rule = next((r for r in self._rules if r.script.when == when and r.fits(request)), None)
        return _count(rule).script if rule else None

    def _controlled(self, request: Request) -> Script | None:
        """The answer to the control path, which is not recorded."""
        if request.target != CONTROL:
            return None
        self.requests.remove(request)
        if request.method == "DELETE":
            self.requests.clear()
        return reply(msgspec.json.encode([each.described() for each in self.requests]))

    async def _perform(self, connection: Connection, script: Script) -> bool:
        """Play the steps; False if the connection ended by one of them or because the peer left."""
        for step in script.steps:
            if not await self._step(connection, step):
                return False
        return True

    async def _step(self, connection: Connection, step: Step) -> bool:
        match step:
            case ("send", bytes(data)):
                connection.writer.write(data)
                await connection.writer.drain()
            case ("drip", bytes(data), int(size), float(delay_seconds)):
                for start in range(0, len(data), size):
                    connection.writer.write(data[start : start + size])
                    await connection.writer.drain()
                    await asyncio.sleep(delay_seconds)
            case ("wait", float(delay_seconds) | int(delay_seconds)):
                return not await _happens(connection.peer_left, delay_seconds)
            case ("hold", str(name)):
                return await self._held(connection, name)
            case ("stall",):
                await connection.peer_left.wait()
                return False
            case ("talk", talk) if callable(talk):
                await talk(connection)
            case ("deaf",):
                connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            case ("half_close",):
                connection.writer.write_eof()
            case ("close",):
                return False
            case ("reset",):
                connection.reset()
                return False
            case _:
                raise ValueError(f"no such step: {step!r}")
        return True

    async def _held(self, connection: Connection, name: str) -> bool:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._hold(name), connection.peer_left)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return not connection.peer_left.is_set()


async def _turns() -> None:
    """A transport closes its socket one turn of the loop after it was aborted."""
    for _ in range(3):
        await asyncio.sleep(0)


def _count(rule: Rule) -> Rule:
    if rule.times is not None:
        rule.times -= 1
    return rule


async def _happens(event: asyncio.Event, limit_seconds: float) -> bool:
    """Whether `event` is set within the limit."""
    try:
        await asyncio.wait_for(event.wait(), limit_seconds)
    except TimeoutError:
        return False
    return True


@contextlib.contextmanager
def running(port: int = 0) -> Iterator[Upstream]:
    """An upstream on a thread of its own while the block runs."""
    upstream = Upstream()
    started, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with upstream.serving(port):
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="fake-upstream")
    thread.start()
    assert started.wait(STOP_LIMIT_SECONDS)
    try:
        yield upstream
    finally:
        assert upstream._loop
        upstream._loop.call_soon_threadsafe(stop.set)
        thread.join(STOP_LIMIT_SECONDS)
        assert not thread.is_alive()


async def _main(port: int) -> None:
    upstream = Upstream()
    async with upstream.serving(port):
        print(upstream.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A fake upstream that records and answers.")
    parser.add_argument("--port", type=int, default=0)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(parser.parse_args().port))
