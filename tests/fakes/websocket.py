"""The WebSocket side of the fake upstream: it accepts a handshake, then a coroutine of the test talks.

`sockets = Sockets(upstream, talk)` makes every handshake that reaches `upstream` end in `talk(socket)`; what the
peers sent is in `sockets.opened`. The protocol itself is the `websockets` library's, which is not what the relay
uses towards its upstream.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from tests.fakes.answers import default_answer
from tests.fakes.exchange import Request
from tests.fakes.scripts import Script
from tests.fakes.upstream import Connection, Upstream

READ_BYTES = 256 * 1024
MESSAGE_BYTES_MAX = 128 << 20
LINE_BYTES_MAX = 8000  # the library refuses longer ones; what they say is in the request

Talk = Callable[["Socket"], Awaitable[None]]


class PeerLeft(Exception):
    """The peer closed the socket or its connection."""


class Socket:
    """One accepted socket.

    `received` are the messages that the talk took, `close` what the peer's close frame said, None without one.
    """

    def __init__(self, request: Request, deflate: bool, headers: tuple[tuple[str, str], ...]) -> None:
        self.request = request
        self.received: list[str | bytes] = []
        self.pongs: list[bytes] = []
        self.pings: list[bytes] = []
        self.close: tuple[int, str] | None = None
        self.left_at: float | None = None
        self.deflated = False
        extensions = [ServerPerMessageDeflateFactory()] if deflate else []
        self._protocol = ServerProtocol(extensions=extensions, max_size=MESSAGE_BYTES_MAX)
        self._headers = headers
        self._connection: Connection | None = None
        self._parts: list[bytes] = []
        self._unread: deque[str | bytes] = deque()
        self._opcode = Opcode.TEXT

    async def open(self, connection: Connection) -> None:
        """Answer the handshake."""
        self._connection = connection
        lines = self.request.head.split(b"\r\n")
        self._protocol.receive_data(b"\r\n".join(line for line in lines if len(line) < LINE_BYTES_MAX))
        [asked] = self._protocol.events_received()
        answer = self._protocol.accept(asked)  # type: ignore[arg-type]
        for name, value in self._headers:
            answer.headers[name] = value
        self.deflated = "permessage-deflate" in answer.headers.get("Sec-WebSocket-Extensions", "")
        self._protocol.send_response(answer)
        await self._flush()

    async def receive(self) -> str | bytes:
        """The next message. Raises PeerLeft."""
        assert self._connection
        while not self._unread:
            if self.close is not None:
                raise PeerLeft
            try:
                data = await self._connection.reader.read(READ_BYTES)
            except ConnectionError:
                data = b""
            if not data:
                self.left_at = self.left_at or time.monotonic()
                raise PeerLeft
            self._protocol.receive_data(data)
            self._read_events()
            await self._flush()
        message = self._unread.popleft()
        self.received.append(message)
        return message

    async def receive_all(self) -> None:
        """Read until the peer leaves."""
        while True:
            try:
                await self.receive()
            except PeerLeft:
                return

    async def send(self, message: str | bytes) -> None:
        """Raises PeerLeft once the peer has said goodbye."""
        if self.close is not None:
            raise PeerLeft
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        await self._flush()

    async def ping(self, data: bytes) -> None:
        self._protocol.send_ping(data)
        await self._flush()

    async def end(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a close frame and read on until the peer is gone."""
        self._protocol.send_close(code, reason)
        await self._flush()
        await self.receive_all()

    def reset(self) -> None:
        assert self._connection
        self._connection.reset()

    async def _flush(self) -> None:
        assert self._connection
        data = b"".join(self._protocol.data_to_send())
        if data:
            self._connection.writer.write(data)
            await self._connection.writer.drain()

    def _read_events(self) -> None:
        for event in self._protocol.events_received():
            assert isinstance(event, Frame)
            if event.opcode is Opcode.CLOSE:
                received = self._protocol.close_rcvd
                self.close = (received.code, received.reason) if received else (1005, "")
                self.left_at = time.monotonic()
            elif event.opcode is Opcode.PONG:
                self.pongs.append(bytes(event.data))
            elif event.opcode is Opcode.PING:
                self.pings.append(bytes(event.data))
            else:
                self._assemble(event)

    def _assemble(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._opcode, self._parts = frame.opcode, []
        self._parts.append(bytes(frame.data))
        if frame.fin:
            data = b"".join(self._parts)
            self._unread.append(data.decode() if self._opcode is Opcode.TEXT else data)


class Sockets:
    """All sockets that an upstream opens from now on, each given to `talk`. Other requests get the usual answers."""

    def __init__(
        self, upstream: Upstream, talk: Talk, *, deflate: bool = True, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.opened: list[Socket] = []
        self._upstream = upstream
        self._talk = talk
        self._deflate = deflate
        self._headers = headers
        upstream.answer = self._answer

    def _answer(self, request: Request) -> Script:
        if request.header("upgrade").lower() != "websocket":
            return default_answer(request)
        socket = Socket(request, self._deflate, self._headers)

        async def converse(connection: Connection) -> None:
            self.opened.append(socket)
            await socket.open(connection)
            try:
                await self._talk(socket)
            except PeerLeft:
                return
            finally:
                self._upstream._notify()

        return Script((("talk", converse), ("close",)))


async def listen(socket: Socket) -> None:
    """A talk that only takes."""
    await socket.receive_all()


async def echo(socket: Socket) -> None:
    """A talk that gives every message back."""
    while True:
        await socket.send(await socket.receive())


def script(*steps: Any) -> Talk:
    """A talk of steps: text or bytes are sent, `int` waits for so many messages, (code, reason) closes."""

    async def talk(socket: Socket) -> None:
        for step in steps:
            if isinstance(step, int):
                for _ in range(step):
                    await socket.receive()
            elif isinstance(step, tuple):
                await socket.end(*step)
            elif step == "reset":
                socket.reset()
            elif isinstance(step, float):
                await asyncio.sleep(step)
            else:
                await socket.send(step)

    return talk
