"""Constant load from a client that forgives nothing: whatever is refused, reset, cut or late is a failure with a cause.

It behaves as HTTP/1.1 asks: it sends on a connection that the server left open, and opens a new one after
`connection: close` or when it has seen the server's end.
"""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

ANSWER_SECONDS_MAX = 30.0
STREAM_END = b"0\r\n\r\n"


class Kind(Struct, frozen=True):
    """A sort of client: its request, whether it keeps its connection, and its pause between requests in seconds."""

    name: str
    request: bytes
    keeps: bool = True
    pause_seconds: tuple[float, float] = (0.0, 0.02)


class Outcome:
    """What came of it, by kind; `failures` names the causes, `waits` are the seconds to each first byte."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.waits: list[float] = []

    def wait_seconds(self, part: float) -> float:
        """The wait that this part of all requests did not exceed: 1.0 gives the longest."""
        return sorted(self.waits)[int((len(self.waits) - 1) * part)] if self.waits else 0.0


class BadAnswerError(Exception):
    """An answer with another status than 200, or without its end."""


class LoadClient:
    """One client of a kind."""

    def __init__(self, port: int, kind: Kind, outcome: Outcome) -> None:
        self._port = port
        self._kind = kind
        self._outcome = outcome
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            step = "connect"
            try:
                async with asyncio.timeout(ANSWER_SECONDS_MAX):
                    await self._connect()
                    step = "answer"
                    await self._exchange()
                self._outcome.answers[self._kind.name] += 1
            except (OSError, asyncio.IncompleteReadError, BadAnswerError, TimeoutError) as error:
                self._outcome.failures[f"{self._kind.name}: {step}: {type(error).__name__} {str(error)[:120]}"] += 1
                self._close()
                await asyncio.sleep(0.01)
            await asyncio.sleep(random.uniform(*self._kind.pause_seconds))
        self._close()

    async def _connect(self) -> None:
        if self._reader is None or self._reader.at_eof() or self._reader.exception():
            self._close()
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def _exchange(self) -> None:
        assert self._reader
        assert self._writer
        began = time.monotonic()
        self._writer.write(self._kind.request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        self._outcome.waits.append(time.monotonic() - began)
        await self._body(head.lower())
        if not head.startswith(b"HTTP/1.1 200"):
            raise BadAnswerError(head.partition(b"\r\n")[0].decode())
        if not self._kind.keeps or b"\r\nconnection: close" in head.lower():
            self._close()

    async def _body(self, head: bytes) -> None:
        assert self._reader
        if b"\r\ncontent-length:" in head:
            await self._reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
            return
        last = b""
        while not last.endswith(STREAM_END):
            chunk = await self._reader.read(65536)
            if not chunk:
                raise BadAnswerError(f"the stream was cut after {last[-60:]!r}")
            last = (last + chunk)[-200:]

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


@contextmanager
def constant_load(port: int, kinds: list[tuple[Kind, int]]) -> Iterator[Outcome]:
    """Clients on a thread of their own while the block runs; at its end each finishes what it has begun."""
    outcome = Outcome()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        clients = [LoadClient(port, kind, outcome) for kind, count in kinds for _ in range(count)]
        await asyncio.gather(*(client.run(stop) for client in clients))

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="constant-load")
    thread.start()
    try:
        yield outcome
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(2 * ANSWER_SECONDS_MAX)
        loop.close()
