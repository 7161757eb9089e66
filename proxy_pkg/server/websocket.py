"""A client's WebSocket: uvicorn's own on the `websockets` library, with four changes.

It says nothing in the log, where uvicorn writes paths with their query, and keys travel there. A socket that ends
without a close frame has the code for that, 1006. A worker that stops lets the app end its sockets. And bytes of a
message count for the worker's limit as they come: uvicorn keeps an unfinished message for as long as it likes to be.
"""

import asyncio
import logging
from asyncio.transports import BaseTransport
from typing import Any

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11
from websockets.frames import Frame
from websockets.http11 import Request

from proxy_pkg.errors import RefusedError
from proxy_pkg.relay.keepalive import keep_alive
from proxy_pkg.server.unread import Unread
from proxy_pkg.web.websocket import DRAIN, UNREAD

# The head of the handshake has passed the server's own limits already; the library's of 8 KiB for a line would
# refuse what ordinary requests may have.
http11.MAX_LINE_LENGTH = 1 << 20
http11.MAX_NUM_HEADERS = 1024

_REFUSED = "proxy_pkg.refused"
_CLOSE_SECONDS = 2.0
"""For a client that sent too much to hear of it: what it still sends is thrown away."""

_quiet = logging.getLogger("proxy_pkg.websocket")
_quiet.setLevel(logging.ERROR)


class SocketConnection(WebSocketsSansIOProtocol):
    """One client's WebSocket connection."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = self.conn.logger = _quiet
        self.conn.debug = False
        self.drain = asyncio.Event()
        self.unread = Unread()
        self._refusal: RefusedError | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        keep_alive(transport)  # its bound on what waits to be written it has from the handshake's connection

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[DRAIN] = self.drain
            extensions[UNREAD] = self.unread.attach

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        super().data_received(data)
        try:
            self.unread.charge(len(self.conn.reader.buffer))
        except RefusedError as error:
            self._refuse(error)

    def handle_text(self, event: Frame) -> None:
        self.unread.add_fragment(len(event.data))
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        self.unread.add_fragment(len(event.data))
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        self.unread.add_fragment(len(event.data))
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        if self.close_sent:  # the message is dropped
            self.unread.fragments_bytes = 0
        else:
            self.unread.complete()
        super().send_receive_event_to_app()

    async def receive(self) -> ASGIReceiveEvent:
        """As ASGI has it. Raises RefusedError once for a message that the worker has no room for."""
        message = await super().receive()
        if message["type"] == "websocket.receive":
            self.unread.take()
            self.unread.charge(len(self.conn.reader.buffer))  # less than before: nobody refuses that
        elif self._refusal is not None and message.get("reason") == _REFUSED:
            raise self._refusal
        return message

    def _refuse(self, error: RefusedError) -> None:
        """Let go of what came, and have the app close the socket with `error`."""
        self._refusal = error
        self.close_timeout = _CLOSE_SECONDS
        self.frames = []
        self.conn.reader.buffer.clear()
        self.unread.fragments_bytes = 0
        self.unread.charge(0)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1013, "reason": _REFUSED})

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
