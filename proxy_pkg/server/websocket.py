"""A client's WebSocket: uvicorn's own on the `websockets` library, with three changes.

It says nothing in the log, where uvicorn writes paths with their query, and keys travel there. A socket that ends
without a close frame has the code for that, 1006. And a worker that stops lets the app end its sockets.
"""

import asyncio
import logging
from asyncio.transports import BaseTransport
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11
from websockets.http11 import Request

from proxy_pkg.relay.keepalive import keep_alive
from proxy_pkg.web.websocket import DRAIN

# The head of the handshake has passed the server's own limits already; the library's of 8 KiB for a line would
# refuse what ordinary requests may have.
http11.MAX_LINE_LENGTH = 1 << 20
http11.MAX_NUM_HEADERS = 1024

_quiet = logging.getLogger("proxy_pkg.websocket")
_quiet.setLevel(logging.ERROR)


class SocketConnection(WebSocketsSansIOProtocol):
    """One client's WebSocket connection."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = self.conn.logger = _quiet
        self.conn.debug = False
        self.drain = asyncio.Event()

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        keep_alive(transport)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[DRAIN] = self.drain

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
