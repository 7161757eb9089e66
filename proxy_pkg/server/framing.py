"""What a client may send as HTTP/1.1: heads within a bound, and framing that can be read in one way only.

The parser refuses most of what two servers could read differently: a length beside chunks, two lengths, sizes that
are no numbers. The rest is refused here, so that no part of a request can pass for another request further on.
"""

import socket
import struct
import sys
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from proxy_pkg.relay.headers import BODILESS
from proxy_pkg.web.forward import REFUSED, Forward

_VERSIONS = frozenset(("1.0", "1.1"))
_LINE_BYTES = 4  # colon, blank, CR, LF
_BAD_REQUEST = 400
_REQUEST_TIMEOUT = 408
_HEAD_TOO_LARGE = 431
_NOT_IMPLEMENTED = 501
_UNAVAILABLE = 503


class _Discarding(list[tuple[bytes, bytes]]):
    """Where fields go that come behind a body: they are not headers, and must not pass for them."""

    def append(self, pair: tuple[bytes, bytes]) -> None:
        return


_NOWHERE = _Discarding()


class RefusedHeadError(Exception):
    """A head that is answered here; the parser turns it into an error of its own."""


class EndedByCloseCycle(RequestResponseCycle):
    """An answer for a client of HTTP/1.0: such clients know no chunks, so without a length its end is the connection's.

    An end that comes too early is a reset, or the client would take it for the proper one.
    """

    _is_endless = False

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", ())}
            if b"content-length" not in names and self.scope["method"] != "HEAD" and message["status"] not in BODILESS:
                self._is_endless = True
                self.chunked_encoding = False
                self.expected_content_length = sys.maxsize
                self._linger(enabled=True)
        elif self._is_endless and not message.get("more_body", False):
            self.expected_content_length = len(message.get("body", b""))
            self._linger(enabled=False)
        await super().send(message)

    def _linger(self, enabled: bool) -> None:
        """Have the next close end the connection with RST, or again with FIN."""
        peer = self.transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", enabled, 0))


class StrictConnection(HttpToolsProtocol):
    """uvicorn's connection, strict about what it takes in.

    The bound on a head is `h11_max_incomplete_event_size` of the configuration, which this parser has no other
    use for.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes_max = self.config.h11_max_incomplete_event_size or 0
        self._in_head = False
        self._idle_bytes = 0
        self._fed_bytes = 0
        self._refusal = _BAD_REQUEST

    def data_received(self, data: bytes) -> None:
        in_head, cycle = self._in_head, self.cycle
        body_bytes = 0 if cycle is None else len(cycle.body)
        self._fed_bytes = self._fed_bytes + len(data) if in_head else len(data)
        super().data_received(data)
        if self._in_head:
            idle = in_head
        else:
            idle = (
                cycle is not None
                and cycle is self.cycle
                and cycle.more_body
                and not cycle.response_complete
                and len(cycle.body) == body_bytes
            )
        # Bytes that bring neither a complete head nor any of a body: headers without end, trailers, chunk extensions.
        self._idle_bytes = self._idle_bytes + len(data) if idle else 0
        if self._idle_bytes > self._head_bytes_max and not self.transport.is_closing():
            self.logger.warning("A request whose head or trailers have no end was refused.")
            self._refuse(_HEAD_TOO_LARGE if self._in_head else _BAD_REQUEST)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._check()
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            self.headers = _NOWHERE

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if cycle.scope["http_version"] == "1.0":
            cycle.__class__ = EndedByCloseCycle
        super()._start_asgi_task(cycle, app)

    def _check(self) -> None:
        """Raises RefusedHeadError, and leaves the status for it."""
        version = self.parser.get_http_version()
        if version not in _VERSIONS:
            raise RefusedHeadError
        for name, value in self.headers:
            # A body in a coding that we do not undo would go on as if it had none.
            if name == b"transfer-encoding" and (version == "1.0" or value.strip().lower() != b"chunked"):
                self._refusal = _BAD_REQUEST if version == "1.0" else _NOT_IMPLEMENTED
                raise RefusedHeadError
        # The head is a part of the bytes it came with, so with few of them there is nothing to add up.
        if self._fed_bytes > self._head_bytes_max and self._head_bytes() > self._head_bytes_max:
            self._refusal = _HEAD_TOO_LARGE
            raise RefusedHeadError

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + _LINE_BYTES for name, value in self.headers)

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._refusal)

    def _refuse(self, status: int) -> None:
        """Answer, unless an answer has begun, and close: where the next request begins nobody knows.

        Which API was called is not known either, so the body has what the clients of all of them look for.
        """
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            code, message = _REFUSALS[status]
            error = {"type": "invalid_request_error", "message": message, "code": f"headroom_{code}"}
            body = msgspec.json.encode({"type": "error", "error": error})
            fields = (code.encode(), len(body))
            self.transport.write(STATUS_LINE[status] + _FIELDS % fields + self._counted(code, status, message) + body)
        self.transport.close()

    def _counted(self, code: str, status: int, message: str) -> bytes:
        """Have the refusal counted and logged, once; what else the head of the answer then has, and its end."""
        if self.cycle is not None and not self.cycle.response_complete:
            scope: dict[str, Any] = self.cycle.scope  # type: ignore[assignment]  # a plain dict, with room for more
            scope[REFUSED] = (code, status, message)
            return b"\r\n"
        relay: Forward | None = getattr(self.app, "relay", None)
        if relay is None:
            return b"\r\n"
        return b"x-headroom-request-id: %b\r\n\r\n" % relay.refused_unread(code, status, message).encode()


_FIELDS = b"content-type: application/json\r\nx-headroom-error: %b\r\ncontent-length: %d\r\nconnection: close\r\n"
_REFUSALS = {
    _BAD_REQUEST: ("bad_request", "The proxy cannot read this as an HTTP request."),
    _REQUEST_TIMEOUT: ("head_timeout", "The head of the request came too slowly (HEADROOM_HEAD_TIMEOUT_SECONDS)."),
    _HEAD_TOO_LARGE: ("head_too_large", "The head of the request is too long (HEADROOM_HEADER_BYTES_MAX)."),
    _NOT_IMPLEMENTED: ("unknown_transfer_coding", "The proxy knows no transfer coding but chunked."),
    _UNAVAILABLE: ("out_of_descriptors", "The proxy has no room for connections that wait: send the request again."),
}
"""Status -> the code for programs, and the sentence for people."""
