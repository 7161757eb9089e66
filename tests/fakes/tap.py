"""A wire tap: a port on loopback that passes bytes on to another port, and keeps them, both ways.

Clients that go through it need not be asked what they sent and got: here it stands as it was on the wire, whatever
library they use.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator, Sequence

from tests.fakes.client import Answer, Caller
from tests.fakes.exchange import Request, read_body, read_head

READ_BYTES = 1 << 16
JOIN_SECONDS = 10.0


class Recorded(Caller):
    """Reads answers from bytes that came earlier."""

    def __init__(self, data: bytes) -> None:
        self._left = data
        self._piece = b""

    def more(self) -> bytes:
        data, self._left = self._left, b""
        return data


class Tap:
    """`went` has what each connection's client sent, `came` what its server did, in the order of the connections."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.went: list[bytearray] = []
        self.came: list[bytearray] = []
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, methods: Sequence[str]) -> list[Answer]:
        """All answers that began, in order; `methods` are those of their requests. Wait for the end before."""
        found: list[Answer] = []
        for came in self.came:
            reader = Recorded(bytes(came))
            while (answer := reader.begin()).status:
                found.append(reader.finish(answer, methods[len(found)] if len(found) < len(methods) else "GET"))
        return found

    def requests(self) -> list[Request]:
        """All requests that were sent whole, connection by connection. Wait for the end before."""
        return [request for went in self.went for request in asyncio.run(_requests(bytes(went)))]

    def end(self) -> None:
        """Take no more connections, end those that are open, and wait until all that was sent is kept."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(JOIN_SECONDS)
            assert not thread.is_alive()

    def start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="tap")  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            self._sockets += [client, server]
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            went, came = bytearray(), bytearray()
            self.went.append(went)
            self.came.append(came)
            self.start(_carry, client, server, went)
            self.start(_carry, server, client, came)


async def _requests(data: bytes) -> list[Request]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    found: list[Request] = []
    while head := await read_head(reader):
        found.append(Request(0, len(found), head, 0.0))
        await read_body(reader, found[-1])
    return found


def _carry(source: socket.socket, to: socket.socket, kept: bytearray) -> None:
    """One direction, until it ends as it ends: FIN stays FIN, RST stays RST."""
    try:
        while data := source.recv(READ_BYTES):
            kept += data
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)
    except OSError:
        with contextlib.suppress(OSError):
            to.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for each in (to, source):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextlib.contextmanager
def tapped(port: int) -> Iterator[Tap]:
    """A tap before `port` while the block runs; at its end everything that came is in it."""
    tap = Tap(port)
    tap.start(tap.accept)
    try:
        yield tap
    finally:
        tap.end()
        for each in tap._sockets:
            each.close()
