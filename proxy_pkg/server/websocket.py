"""A client's WebSocket: uvicorn's own on the `websockets` library, with seven changes.

It says nothing in the log, where uvicorn writes paths with their query, and keys travel there. A socket that ends
without a close frame has the code for that, 1006. A worker that stops lets the app end its sockets. Bytes of a
message count for the worker's limit as they come: uvicorn keeps an unfinished message for as long as it likes to be.
Coded ones are inflated when they are taken (inflating.py). And what is sent is gone when `send` returns, but for the
little that a transport may keep. A client that is refused while it sends hears why: what it still sends is read for a
while, since a socket that is closed with unread bytes resets the connection, and a reset may overtake the close frame.
"""

import asyncio
import logging
from asyncio.transports import BaseTransport
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Literal

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame
from websockets.http11 import Request

from proxy_pkg.errors import RefusedError
from proxy_pkg.relay.keepalive import keep_alive
from proxy_pkg.server.inflating import INLINE_BYTES, CodedFrame, InflatingError, Later
from proxy_pkg.web.coding import Coder
from proxy_pkg.web.websocket import DRAIN, UNREAD
from proxy_pkg.wire.encoding import Steps

# The head of the handshake has passed the server's own limits already; the library's of 8 KiB for a line would
# refuse what ordinary requests may have.
http11.MAX_LINE_LENGTH = 1 << 20
http11.MAX_NUM_HEADERS = 1024

_REFUSED = "proxy_pkg.refused"
_CODED = "proxy_pkg.coded"
_UNFINISHED = 1002
_INVALID_TEXT = 1007
_CLOSE_SECONDS = 2.0
"""For a client that sent too much to hear of it: what it still sends is thrown away."""
_DROPPED_BYTES_MAX = 64 << 20
"""What is thrown away of it: one message of the greatest size. More waits unread until the socket is closed."""

_quiet = logging.getLogger("proxy_pkg.websocket")
_quiet.setLevel(logging.ERROR)

FRAGMENT_BYTES: Final = 64
"""What a fragment takes besides its bytes: a message may come in fragments of one byte."""


class UndeliveredBytes:
    """The bytes of one socket: those of the message that is coming, and of messages that wait to be taken."""

    def __init__(self) -> None:
        self._hold: Callable[[int], None] | None = None
        self._charged = 0
        self._waiting: deque[int] = deque()
        self._waiting_bytes = 0
        self.fragments_bytes = 0
        self.inflated_bytes = 0
        """Of the message that is being inflated."""
        self.coder: Coder | None = None

    def attach(self, hold: Callable[[int], None] | None, coder: Coder | None = None) -> None:
        """From now on `hold` is called with each change in bytes, and may raise RefusedError; None ends that.

        `coder` does the work that takes long.
        """
        self._hold, self._charged, self.coder = hold, 0, coder

    def add_fragment(self, size_bytes: int) -> None:
        self.fragments_bytes += size_bytes + FRAGMENT_BYTES

    def complete(self) -> None:
        """The message that was coming waits to be taken."""
        self._waiting.append(self.fragments_bytes)
        self._waiting_bytes += self.fragments_bytes
        self.fragments_bytes = 0

    def drop(self) -> None:
        """Nothing is held any more, and nothing will be."""
        if self._hold is not None:
            self._hold(-self._charged)
        self._hold, self._charged = None, 0
        self._waiting.clear()
        self._waiting_bytes = self.fragments_bytes = self.inflated_bytes = 0

    def take(self) -> None:
        """The oldest message that waited is taken."""
        if self._waiting:  # nothing waits after `drop`
            self._waiting_bytes -= self._waiting.popleft()

    def charge(self, buffered_bytes: int) -> None:
        """Say what is held now, with so many bytes of a frame that is not whole. Raises what `hold` raises."""
        now = buffered_bytes + self.fragments_bytes + self._waiting_bytes + self.inflated_bytes
        if self._hold is not None and now != self._charged:
            self._hold(now - self._charged)
            self._charged = now


class SocketConnection(WebSocketsSansIOProtocol):
    """One client's WebSocket connection."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = self.conn.logger = _quiet
        self.conn.debug = False
        self.drain = asyncio.Event()
        self.undelivered = UndeliveredBytes()
        self._refusal: RefusedError | None = None
        self._later: Later | None = None
        self._is_coded = False
        self._drops = False
        """Whether nothing that comes counts any more."""
        self._dropped_bytes = 0

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        keep_alive(transport)  # its bound on what waits to be written it has from the handshake's connection

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            self._later = self._inflate_later()
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[DRAIN] = self.drain
            extensions[UNREAD] = self.undelivered.attach

    def _inflate_later(self) -> Later | None:
        """Put our own deflate in the place of the library's, if that was agreed on."""
        agreed = self.conn.extensions
        if not agreed or not isinstance(agreed[0], PerMessageDeflate):
            return None
        later = Later(agreed[0], self.config.ws_max_size)
        self.conn.extensions = [later]
        return later

    def data_received(self, data: bytes) -> None:
        if self._drops:
            self._drop(len(data))
            return
        super().data_received(data)
        if self._drops:
            return
        try:
            self.undelivered.charge(len(self.conn.reader.buffer))
        except RefusedError as error:
            self._refuse(error)

    def _drop(self, size_bytes: int) -> None:
        self._dropped_bytes += size_bytes
        if self._dropped_bytes > _DROPPED_BYTES_MAX and not self.transport.is_closing():
            self.transport.pause_reading()

    def handle_parser_exception(self) -> None:
        """As uvicorn does it, but the client has time to hear of it."""
        sent = self.conn.close_sent
        assert sent is not None, "a fault of the client's for which the library closes nothing"
        self._let_go({"type": "websocket.disconnect", "code": sent.code, "reason": sent.reason})
        self._send_close()

    def handle_text(self, event: Frame) -> None:
        self._begin(event)
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        self._begin(event)
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        self.undelivered.add_fragment(len(event.data))
        super().handle_cont(event)

    def _begin(self, event: Frame) -> None:
        self._is_coded = isinstance(event, CodedFrame)
        self.undelivered.add_fragment(len(event.data))

    def send_receive_event_to_app(self) -> None:
        """Have the message wait as it came: `receive` inflates and reads it."""
        if self.close_sent:  # the message is dropped
            self.undelivered.fragments_bytes = 0
            self.frames = []
            return
        self.undelivered.complete()
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        message: Any = {"type": "websocket.receive", self.curr_msg_data_type: data, _CODED: self._is_coded}
        self.queue.put_nowait(message)
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    async def receive(self) -> ASGIReceiveEvent:
        """As ASGI has it. Raises RefusedError once for a message that the worker has no room for."""
        message: Any = await super().receive()
        if message["type"] == "websocket.receive":
            try:
                return await self._read(message)
            except RefusedError as error:
                self._refuse(error)
                raise
            except InflatingError as error:
                return self._fail(error.code, str(error))
            except UnicodeDecodeError as error:
                return self._fail(_INVALID_TEXT, f"{error.reason} at position {error.start}")
        if self._refusal is not None and message.get("reason") == _REFUSED:
            raise self._refusal
        event: ASGIReceiveEvent = message
        return event

    async def _read(self, message: dict[str, Any]) -> ASGIReceiveEvent:
        kind: Literal["text", "bytes"] = "text" if "text" in message else "bytes"
        data: bytes = message[kind]
        if message[_CODED] and self._later is not None:
            data = await self._inflated(self._later.steps(data))
        self.undelivered.take()
        self.undelivered.inflated_bytes = 0
        self.undelivered.charge(len(self.conn.reader.buffer))  # less than before: nobody refuses that
        if kind == "text":
            return {"type": "websocket.receive", "text": data.decode()}
        return {"type": "websocket.receive", "bytes": data}

    async def _inflated(self, steps: Steps) -> bytes:
        """A short message at once, a long one beside the loop and in turns with others. Raises InflatingError, and what
        is raised where there is no room.
        """
        try:
            while next(steps) <= INLINE_BYTES or self.undelivered.coder is None:
                pass
        except StopIteration as end:
            result: bytes = end.value
            return result
        return await self.undelivered.coder.decoded(steps, self._grow, has_to=True)

    def _grow(self, more_bytes: int) -> None:
        if self._drops:  # for what came meanwhile
            raise self._refusal or InflatingError("the socket is closed", _UNFINISHED)
        self.undelivered.inflated_bytes = max(0, self.undelivered.inflated_bytes + more_bytes)
        self.undelivered.charge(len(self.conn.reader.buffer))

    def _fail(self, code: int, reason: str) -> ASGIReceiveEvent:
        """Close the socket for what its client sent; nothing of it is read any more."""
        ending: ASGIReceiveEvent = {"type": "websocket.disconnect", "code": code, "reason": reason}
        self._let_go(ending)
        self.conn.fail(code, reason)
        self._send_close()
        return ending

    def _send_close(self) -> None:
        """Send the close frame that is ready, and close the connection when its client has had time to read it."""
        self.close_sent = True
        if self.transport.is_closing():
            return
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.read_paused = False
        self.transport.resume_reading()
        if self.close_timer is None:
            self.close_timer = self.loop.call_later(_CLOSE_SECONDS, self.transport.close)

    async def send(self, message: ASGISendEvent) -> None:
        """As ASGI has it. Returns when a slow client has taken nearly all of a message."""
        await self.writable.wait()
        if self.close_sent and message["type"] in ("websocket.send", "websocket.close"):
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.send":
            await self.writable.wait()

    def _refuse(self, error: RefusedError) -> None:
        """Let go of what came, and have the app close the socket with `error`."""
        if self._refusal is None:
            self._refusal = error
            self.close_timeout = _CLOSE_SECONDS
            self._let_go({"type": "websocket.disconnect", "code": 1013, "reason": _REFUSED})

    def _let_go(self, ending: ASGIReceiveEvent) -> None:
        """Drop all messages, those that wait to be taken too: they may be what there is no room for. The app hears of
        `ending` next.
        """
        self._drops = True
        self.frames = []
        self.conn.reader.buffer.clear()
        self.undelivered.drop()
        waiting = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        for event in (*waiting, ending):
            if event["type"] != "websocket.receive":
                self.queue.put_nowait(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self.handshake_complete = False  # or the base would call it a close frame without a code
        super().connection_lost(exc)

    def abandon(self) -> None:
        """End now, with the code for a server that restarts."""
        super().shutdown()

    def shutdown(self) -> None:
        """Let the app end the socket, at once or when it is open; one that is closing already needs no more."""
        if self.close_sent:
            super().shutdown()
        else:
            self.drain.set()
