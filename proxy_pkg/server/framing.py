"""What a client may send as HTTP/1.1: heads within a bound, and framing that can be read in one way only.

The parser refuses most of what two servers could read differently: a length beside chunks, two lengths, sizes that
are no numbers. The rest is refused here, so that no part of a request can pass for another request further on.
"""

import re
import socket
import struct
import sys
from functools import lru_cache
from typing import Any, Final, NamedTuple

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from proxy_pkg.relay.headers import BODILESS
from proxy_pkg.server.response_cycle import SingleWriteCycle
from proxy_pkg.web.forward import REFUSED, Forward

_VERSIONS = frozenset(("1.0", "1.1"))
_LINE_BYTES = 4  # colon, blank, CR, LF
_BAD_REQUEST = 400
_REQUEST_TIMEOUT = 408
_HEAD_TOO_LARGE = 431
_NOT_IMPLEMENTED = 501
_UNAVAILABLE = 503
_CHECKED_NAMES = frozenset((b"host", b"transfer-encoding"))
_NOT_RELAYED = frozenset(
    b"CONNECT TRACE PRI SOURCE DESCRIBE ANNOUNCE SETUP PLAY PAUSE TEARDOWN GET_PARAMETER SET_PARAMETER REDIRECT "
    b"RECORD FLUSH".split()
)
"""CONNECT asks for a tunnel, TRACE for the credentials in the head as a text; the rest the parser knows from other
protocols than HTTP.
"""
_is_host = lru_cache(maxsize=64)(
    re.compile(rb"[ \t]*(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?[ \t]*").fullmatch
)


class _Discarding(list[tuple[bytes, bytes]]):
    """Where fields go that come behind a body: they are not headers, and must not pass for them."""

    def append(self, pair: tuple[bytes, bytes]) -> None:
        return


_NOWHERE = _Discarding()


class Refusal(NamedTuple):
    """An answer of ours to what is not passed on: `code` for programs, `message` for people."""

    status: int
    code: str
    message: str


class RefusedHeadError(Exception):
    """A head that is answered here; the parser turns it into an error of its own."""


class LastWords:
    """A refusal that waits in the pipeline until the requests before it have their answers. Ends the connection."""

    waiting_for_100_continue = False

    def __init__(self, transport: Any, words: bytes) -> None:
        self.scope = {"http_version": "1.1"}
        self._transport = transport
        self._words = words

    async def run_asgi(self, _app: Any) -> None:
        """Stands for a request's run, which is how the pipeline goes on."""
        if not self._transport.is_closing():
            self._transport.write(self._words)
            self._transport.close()


class UnconsumedBodyCycle(RequestResponseCycle):
    """An answer for a client that asks before it sends its body (`Expect: 100-continue`).

    If it is answered at once it may send the body or not, so where its next request begins nobody knows.
    """

    async def send(self, message: Any) -> None:
        if self.waiting_for_100_continue and self.more_body:
            self.keep_alive = False
        await super().send(message)


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
        self._refusal = REFUSALS[_BAD_REQUEST]
        self._has_refused = False

    def data_received(self, data: bytes) -> None:
        if self._has_refused:
            return
        in_head, cycle = self._in_head, self.cycle
        body_bytes = 0 if cycle is None else len(cycle.body)
        self._fed_bytes = self._fed_bytes + len(data) if in_head else len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._read_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse_with(self._refusal)
            return
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

    def _should_upgrade(self) -> bool:
        """The base asks whether a head with `Upgrade` is none for the app. It never is: see _read_without_upgrade."""
        return True

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Go on behind a head with `Upgrade`, of which the parser has made no request yet; `rest` is what follows it.

        After such a head the parser skips the body and would take it for the next request. But only a WebSocket's
        handshake ends HTTP here; any other `Upgrade` is an offer that a server may leave alone (RFC 9110 section 7.8),
        and Java's HTTP client makes it with every request. So the head is read again, without the offer.
        """
        while True:
            if self._is_handshake():
                self._open_socket(rest)
                return
            output = [self.parser.get_method(), b" ", self.url, b" HTTP/", self.scope["http_version"].encode(), b"\r\n"]
            for name, value in self.headers:
                if name != b"upgrade":
                    output += (name, b": ", value, b"\r\n")
            output.append(b"\r\n")
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            try:
                self.parser.feed_data(b"".join(output))
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
            except httptools.HttpParserError:
                self._refuse_with(self._refusal)
                return
            else:
                return

    def _is_handshake(self) -> bool:
        """Whether the head asks for a WebSocket: a GET without a body (RFC 6455 section 4.1)."""
        if self.scope["method"] != "GET" or self.scope["http_version"] != "1.1":
            return False
        upgrades = []
        for name, value in self.headers:
            if name == b"upgrade":
                upgrades.append(value.strip(b" \t").lower())
            elif name == b"transfer-encoding" or (name == b"content-length" and value.strip(b" \t0")):
                return False
        return upgrades == [b"websocket"] and self.ws_protocol_class is not None

    def _open_socket(self, rest: bytes) -> None:
        """Hand the connection to the WebSocket's protocol, if nothing else is on it.

        A client sends no frame before its handshake is answered, and the answer cannot come before those of earlier
        requests.
        """
        if rest or not (self.cycle is None or self.cycle.response_complete):
            self._refuse_with(_EARLY_SOCKET)
        else:
            self.handle_websocket_upgrade()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if cycle.scope["http_version"] == "1.0":
            cycle.waiting_for_100_continue = False  # such clients know no 1xx
            cycle.__class__ = EndedByCloseCycle
        elif cycle.waiting_for_100_continue:
            cycle.__class__ = UnconsumedBodyCycle
        elif type(cycle) is RequestResponseCycle:  # and not one of ours, or last words
            cycle.__class__ = SingleWriteCycle
        super()._start_asgi_task(cycle, app)

    def _check(self) -> None:
        """Raises RefusedHeadError, and leaves the refusal for it."""
        version = self.parser.get_http_version()
        if version not in _VERSIONS:
            raise RefusedHeadError
        if self.parser.get_method() in _NOT_RELAYED:
            self._refusal = _METHOD
            raise RefusedHeadError
        hosts = 0
        for name, value in self.headers:
            if name in _CHECKED_NAMES:
                if name == b"host":
                    hosts += 1 if _is_host(value) else 2
                # A body in a coding that we do not undo would go on as if it had none.
                elif version == "1.0" or value.strip().lower() != b"chunked":
                    self._refusal = REFUSALS[_BAD_REQUEST if version == "1.0" else _NOT_IMPLEMENTED]
                    raise RefusedHeadError
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            self._refusal = _HOST
            raise RefusedHeadError
        # The head is a part of the bytes it came with, so with few of them there is nothing to add up.
        if self._fed_bytes > self._head_bytes_max and self._head_bytes() > self._head_bytes_max:
            self._refusal = REFUSALS[_HEAD_TOO_LARGE]
            raise RefusedHeadError

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + _LINE_BYTES for name, value in self.headers)

    def _refuse(self, status: int) -> None:
        self._refuse_with(REFUSALS[status])

    def _refuse_with(self, refusal: Refusal) -> None:
        """Answer and close: where the next request begins nobody knows.

        What is refused may be the body of the request in progress; then its own answer is the refusal, or if that has
        begun, it ends here. Or it stands behind requests that came whole: those get their answers first, since a
        refusal in the place of one of them would be taken for it.
        """
        self._has_refused = True
        cycle = self.cycle
        answered = cycle is None or cycle.response_complete
        if not answered and cycle.more_body:
            scope: dict[str, Any] = cycle.scope  # type: ignore[assignment]  # a plain dict, with room for more
            scope[REFUSED] = (refusal.code, refusal.status, refusal.message)
            if not self._leave_to_pipeline(cycle, refusal):
                if not cycle.response_started:
                    self.transport.write(_words(refusal))
                self.transport.close()
            return
        words = _words(refusal, self._counted(refusal))
        if answered:
            self.transport.write(words)
            self.transport.close()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((LastWords(self.transport, words), None))  # type: ignore[arg-type]  # runs as one

    def _leave_to_pipeline(self, cycle: RequestResponseCycle, refusal: Refusal) -> bool:
        """Whether the broken request is one that waits for its turn; the refusal then waits in its place."""
        if not self.pipeline or self.pipeline[0][0] is not cycle:
            return False
        self.flow.pause_reading()
        words = _words(refusal, self._counted(refusal))
        self.pipeline[0] = (LastWords(self.transport, words), None)  # type: ignore[assignment]  # runs as one
        return True

    def _counted(self, refusal: Refusal) -> bytes:
        """Have the refusal counted and logged, once; what else the head of its answer then has."""
        relay: Forward | None = getattr(self.app, "relay", None)
        if relay is None:
            return b""
        request_id = relay.refused_unread(refusal.code, refusal.status, refusal.message)
        return b"x-headroom-request-id: %b\r\n" % request_id.encode()


def _words(refusal: Refusal, fields: bytes = b"") -> bytes:
    """The answer. Which API was called is not known, so the body has what the clients of all of them look for."""
    status, code, message = refusal
    error = {"type": "invalid_request_error", "message": message, "code": f"headroom_{code}"}
    body = msgspec.json.encode({"type": "error", "error": error})
    return STATUS_LINE[status] + _FIELDS % (code.encode(), len(body)) + fields + b"\r\n" + body


_FIELDS = b"content-type: application/json\r\nx-headroom-error: %b\r\ncontent-length: %d\r\nconnection: close\r\n"
REFUSALS: Final = {
    refusal.status: refusal
    for refusal in (
        Refusal(_BAD_REQUEST, "bad_request", "The proxy cannot read this as an HTTP request."),
        Refusal(
            _REQUEST_TIMEOUT, "head_timeout", "The head of the request came too slowly (HEADROOM_HEAD_TIMEOUT_SECONDS)."
        ),
        Refusal(_HEAD_TOO_LARGE, "head_too_large", "The head of the request is too long (HEADROOM_HEADER_BYTES_MAX)."),
        Refusal(_NOT_IMPLEMENTED, "unknown_transfer_coding", "The proxy knows no transfer coding but chunked."),
        Refusal(
            _UNAVAILABLE,
            "out_of_descriptors",
            "The proxy has no room for connections that wait: send the request again.",
        ),
    )
}
"""What may be wrong with a head or the framing of a body, by status."""
_HOST: Final = Refusal(_BAD_REQUEST, "bad_host", "The request needs one Host header that names a host, and has not.")
_METHOD: Final = Refusal(_NOT_IMPLEMENTED, "method_not_relayed", "The proxy relays no CONNECT, TRACE or RTSP requests.")
_EARLY_SOCKET: Final = Refusal(
    _BAD_REQUEST, "early_websocket", "A WebSocket needs a connection on which no other request and no frame waits."
)
