"""One request as it came over the socket: raw head, raw body, how it was framed, and when each part came."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any

import msgspec


class FramingError(Exception):
    """The request's framing is not HTTP/1.1."""


@dataclass
class Request:
    """A recorded request.

    `head` is every byte up to and including the empty line. `body` is without chunk framing, `wire_body`
    with it. `framing` is none, length, chunked or both (length and chunked together: a smuggling attempt).
    Times are seconds of the monotonic clock; None until the moment comes.
    """

    connection: int
    number: int
    head: bytes
    head_at: float
    body: bytes = b""
    wire_body: bytes = b""
    trailers: bytes = b""
    ended_at: float | None = None
    answered_at: float | None = None
    chunk_sizes: list[int] = field(default_factory=list)

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode("latin-1")

    @property
    def target(self) -> str:
        return self.head.split(b"\r\n", 1)[0].split(b" ")[1].decode("latin-1")

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Names and values in order, spelled as they came."""
        lines = self.head.split(b"\r\n")[1:-2]
        pairs = (line.partition(b":") for line in lines)
        return [(name, value.strip(b" \t")) for name, _, value in pairs]

    def header(self, name: str) -> str:
        """All values of a header, joined by a comma; empty if it is not there."""
        wanted = name.lower().encode()
        return ", ".join(value.decode("latin-1") for key, value in self.headers if key.lower() == wanted)

    @property
    def framing(self) -> str:
        length, coding = self.header("content-length"), self.header("transfer-encoding")
        if length and coding:
            return "both"
        return "chunked" if coding else "length" if length else "none"

    @property
    def complete(self) -> bool:
        return self.ended_at is not None

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    def described(self) -> dict[str, Any]:
        """Everything as JSON values, bytes as latin-1 text."""
        names = ("connection", "number", "method", "target", "framing", "complete", "head_at", "ended_at")
        raw = {name: getattr(self, name).decode("latin-1") for name in ("head", "body", "trailers")}
        return {name: getattr(self, name) for name in names} | raw


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """All bytes up to and including the empty line; nothing at the end of the connection."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


async def read_body(reader: asyncio.StreamReader, request: Request) -> None:
    """Fill in the body, also what had arrived of a broken one. Raises FramingError or IncompleteReadError."""
    body, wire = bytearray(), bytearray()
    try:
        if request.framing in ("chunked", "both"):
            await _read_chunks(reader, request, body, wire)
        elif request.framing == "length":
            length = request.header("content-length")
            if not length.isdecimal():
                raise FramingError(f"content-length {length!r}")
            await _read_exactly(reader, int(length), body)
            wire = body
    finally:
        request.body, request.wire_body = bytes(body), bytes(wire)


async def _read_exactly(reader: asyncio.StreamReader, size: int, into: bytearray) -> None:
    missing = size
    while missing and (part := await reader.read(missing)):
        into += part
        missing -= len(part)
    if missing:
        raise asyncio.IncompleteReadError(b"", missing)


async def _read_chunks(reader: asyncio.StreamReader, request: Request, body: bytearray, wire: bytearray) -> None:
    while True:
        line = await reader.readuntil(b"\r\n")
        wire += line
        if not re.fullmatch(rb"[0-9a-fA-F]+(;[^\r\n]*)?\r\n", line):
            raise FramingError(f"chunk size {line!r}")
        size = int(line.partition(b";")[0], 16)
        if not size:
            break
        data = bytearray()
        try:
            await _read_exactly(reader, size + 2, data)
        finally:
            wire += data
            body += data[:size]
        request.chunk_sizes.append(size)
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        request.trailers += line
        wire += line
    wire += b"\r\n"
