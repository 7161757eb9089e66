"""A client that writes exactly the bytes it is told, and says whether an answer came to its proper end.

`http.client` and the SDKs mend, hide or refuse what these tests are about: odd framing, repeated headers, cut answers.
"""

import contextlib
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec

TIMEOUT_SECONDS = 20.0
HOST = (b"host", b"proxy.localhost")

Headers = Sequence[tuple[bytes, bytes]]


@dataclass
class Answer:
    """One answer. `body` is without chunk framing; `chunks` are the sizes of its chunks.

    `complete` is whether the framing was kept to the end: the announced length, or the empty last chunk.
    `status` 0 means that the connection ended without an answer.
    """

    status: int = 0
    head: bytes = b""
    body: bytes = b""
    chunks: list[int] = field(default_factory=list)
    complete: bool = False

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Names and values in order, spelled as they came."""
        pairs = (line.partition(b":") for line in self.head.split(b"\r\n")[1:-2])
        return [(name, value.strip(b" ")) for name, _, value in pairs]

    def all(self, name: str) -> list[str]:
        return [value.decode("latin-1") for key, value in self.headers if key.lower() == name.encode()]

    def header(self, name: str) -> str:
        return ", ".join(self.all(name))

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


def request_bytes(
    method: str, target: str, headers: Headers = (), body: bytes | None = None, chunked: bool = False
) -> bytes:
    """A request as it goes over the wire, framed by its length, or in chunks, or without a body."""
    framing: list[tuple[bytes, bytes]] = []
    wire = body or b""
    if chunked:
        framing = [(b"transfer-encoding", b"chunked")]
        wire = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in pieces(wire, 5000)) + b"0\r\n\r\n"
    elif body is not None:
        framing = [(b"content-length", b"%d" % len(body))]
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1")]
    lines += [name + b": " + value for name, value in (HOST, *headers, *framing)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + wire


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


class Caller:
    """One connection to a server on loopback."""

    def __init__(self, port: int, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_seconds)
        self._left = b""
        self._piece = b""  # of a chunk that never came whole

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(
        self, method: str, target: str, headers: Headers = (), body: bytes | None = None, chunked: bool = False
    ) -> Answer:
        # A server may refuse before it has read everything; its answer is what counts.
        with contextlib.suppress(ConnectionError):
            self.write(request_bytes(method, target, headers, body, chunked))
        return self.answer(method)

    def reset(self) -> None:
        """Leave with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def more(self) -> bytes:
        """What comes next, at least one byte; nothing at the end of the connection."""
        data, self._left = self._left, b""
        if data:
            return data
        try:
            return self.socket.recv(1 << 16)
        except ConnectionError:
            return b""

    def until(self, mark: bytes) -> bytes:
        """Everything up to and including `mark`, or up to the end of the connection."""
        data = bytearray()
        while mark not in data:
            part = self.more()
            if not part:
                return bytes(data)
            data += part
        end = data.index(mark) + len(mark)
        self._left = bytes(data[end:])
        return bytes(data[:end])

    def exactly(self, size: int) -> bytes:
        """So many bytes, or fewer at the end of the connection."""
        data = bytearray()
        while len(data) < size and (part := self.more()):
            data += part
        self._left = bytes(data[size:]) + self._left
        return bytes(data[:size])

    def begin(self) -> Answer:
        """The head of the next final answer; those of 1xx are passed over."""
        while True:
            head = self.until(b"\r\n\r\n")
            if not head.endswith(b"\r\n\r\n"):
                return Answer(head=head)
            answer = Answer(int(head.split(b" ", 2)[1]), head)
            if answer.status >= 200:
                return answer

    def answer(self, method: str = "GET") -> Answer:
        answer = self.begin()
        return self.finish(answer, method) if answer.status else answer

    def finish(self, answer: Answer, method: str = "GET") -> Answer:
        """Read the rest of an answer that was begun."""
        if method == "HEAD" or answer.status in (204, 304):
            answer.complete = True
        elif answer.header("transfer-encoding") == "chunked":
            while (part := self.chunk()) is not None and part:
                answer.chunks.append(len(part))
                answer.body += part
            answer.complete = part == b""
            answer.body += self._piece
        else:
            length = int(answer.header("content-length"))
            answer.body = self.exactly(length)
            answer.complete = len(answer.body) == length
        return answer

    def chunk(self) -> bytes | None:
        """The next chunk: empty for the last one, None where the connection ended instead."""
        line = self.until(b"\r\n")
        if not line.endswith(b"\r\n"):
            return None
        size = int(line, 16)
        data = self.exactly(size + 2)
        if len(data) == size + 2:
            return data[:size]
        self._piece = data[:size]
        return None


def ask(
    port: int, method: str, target: str, headers: Headers = (), body: bytes | None = None, chunked: bool = False
) -> Answer:
    """One request on a connection of its own."""
    with Caller(port) as caller:
        return caller.ask(method, target, headers, body, chunked)
