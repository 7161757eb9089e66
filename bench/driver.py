"""A load driver made of raw sockets: it checks that answers are complete, and otherwise costs little."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import cast

import msgspec
import uvloop

HEAD_END = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


class DriverError(Exception):
    """The server closed a connection in the middle, or gave another status than 200."""


class Client(asyncio.Protocol):
    """One keep-alive connection that sends one request at a time."""

    def __init__(self, on_chunk: Callable[[bytes], None] | None = None) -> None:
        self.on_chunk = on_chunk
        self.buffer = b""
        self.missing = -1
        self.answered: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answered and not self.answered.done():
            self.answered.set_exception(DriverError(f"connection lost after {self.buffer[:200]!r}"))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.on_chunk:
            self.on_chunk(data)
        if self.missing == -1:
            head, found, rest = self.buffer.partition(HEAD_END)
            if not found:
                return
            length = header(head, b"content-length")
            self.missing = int(length) - len(rest) if length else -2
        else:
            self.missing -= len(data) if self.missing >= 0 else 0
        done = self.missing == 0 or (self.missing == -2 and self.buffer.endswith(LAST_CHUNK))
        if done and self.answered and not self.answered.done():
            self.answered.set_result(self.buffer)

    async def ask(self, request: bytes) -> bytes:
        """Send one request, return the whole answer as it came: head and body, framing included.

        Raises DriverError for another status than 200 or an early end.
        """
        self.buffer, self.missing = b"", -1
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        answer = await self.answered
        if not answer.startswith(b"HTTP/1.1 200"):
            raise DriverError(f"unexpected answer {answer[:300]!r}")
        return answer


def header(head: bytes, name: bytes) -> bytes:
    """The value of the first header `name` (lower case) in a head, empty if there is none."""
    _, found, rest = head.lower().partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip() if found else b""


def post(target: str, body: bytes, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """A POST of JSON as raw bytes."""
    lines = [
        f"POST {target} HTTP/1.1",
        "host: 127.0.0.1",
        "content-type: application/json",
        "accept: */*",
        "user-agent: bench/1",
        "authorization: Bearer sk-bench-0123456789abcdef",
        *(f"{name}: {value}" for name, value in headers),
        f"content-length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + HEAD_END + body


async def connect(port: int, on_chunk: Callable[[bytes], None] | None = None) -> Client:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: Client(on_chunk), "127.0.0.1", port)
    return client


class Load(msgspec.Struct, frozen=True):
    """What came of a load: answers and the wall time they took together."""

    answers: int
    seconds: float


async def send_all(port: int, requests: Sequence[bytes], connections: int) -> Load:
    """Send every request once, `connections` at a time: each connection takes the next when it is free."""
    clients = [await connect(port) for _ in range(connections)]
    left = iter(requests)
    started = time.monotonic()

    async def take(client: Client) -> None:
        for request in left:
            await client.ask(request)

    try:
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(take(client))
    finally:
        for client in clients:
            client.transport.close()
    return Load(len(requests), time.monotonic() - started)


def load(port: int, requests: Sequence[bytes], connections: int) -> Load:
    """`send_all` from ordinary code."""
    return uvloop.run(send_all(port, requests, connections))
