"""The WebSocket endpoint: one socket to the client, one to the upstream, or one refusal before the first is open."""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from functools import lru_cache, partial
from time import monotonic_ns
from typing import Any
from urllib.parse import parse_qs

from proxy_pkg.billing.accounts import Answer, check_countable
from proxy_pkg.billing.models import asked_in
from proxy_pkg.billing.usage import Copy, Usage
from proxy_pkg.errors import ClientGoneError, RefusedError, RelayError
from proxy_pkg.limits.callers import number
from proxy_pkg.limits.limiter import Granted
from proxy_pkg.model import Level
from proxy_pkg.protocols.table import Match
from proxy_pkg.relay.headers import request_headers, response_headers
from proxy_pkg.relay.pump import Message, Receive, Send
from proxy_pkg.relay.websocket import CUT, NO_CODE, Ending, HandshakeRefusedError, Pump, UpstreamSocket, connect
from proxy_pkg.stats.record import RequestRecord, status_class
from proxy_pkg.stats.series import client_label
from proxy_pkg.telemetry.tracing import Outcome
from proxy_pkg.web.charging import charge, leave, settle
from proxy_pkg.web.compression import BYPASS_HEADER, asks_to_bypass
from proxy_pkg.web.endings import FAILED_PHASE, error_in
from proxy_pkg.web.failures import failure_of, refusal_frame, refusing, send_failure
from proxy_pkg.web.frames import Frames
from proxy_pkg.web.middleware.auth import TOKEN_HEADER
from proxy_pkg.web.services import Services

DRAIN = "proxy_pkg.drain"
"""The ASGI extension in which our server hands over an event: set once open sockets should end."""

UNREAD = "proxy_pkg.unread"
"""The ASGI extension in which our server hands over a function: give it one that is told of bytes of messages as they
come and go, and may raise RefusedError, and the coder that inflates them."""

_OF_THE_HOP = frozenset((b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions"))
_OURS = _OF_THE_HOP | {BYPASS_HEADER, TOKEN_HEADER}
_NOT_ACCEPTED_WITH = frozenset((b"sec-websocket-accept", b"sec-websocket-extensions", b"sec-websocket-protocol"))

_SWITCHED = 101
_GOING_AWAY = 1001
_INTERNAL = 1011
_RESTART = 1012
_TRY_LATER = 1013

_DRAIN_SHARE = 0.9

_client_label = lru_cache(maxsize=256)(client_label)

logger = logging.getLogger("proxy_pkg")


class SocketExchange:
    """One socket on its way, from the handshake to the close."""

    def __init__(self, services: Services, matched: Match, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.services = services
        self.matched = matched
        self.scope = scope | {"method": "GET"}
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.receive = receive
        self.send = send
        self._refuse = refusing(scope, send)
        self.id = services.next_request_id()
        agent = next((value.decode("latin-1") for name, value in self.headers if name == b"user-agent"), "")
        self.record = RequestRecord(protocol=matched.protocol.name, route="websocket", client=_client_label(agent))
        self.began_ns = monotonic_ns()
        self.trace = None if services.tracing is None else services.tracing.begin(self.headers)
        self.origin = ""
        self.held_bytes = 0
        self.accepted = False
        self.problem = ""
        self.granted: deque[Granted] = deque()
        """What the limits granted: for the socket, or for each request on it whose answer has not ended."""
        self._billed: Granted | None = None
        """The request whose answer was handed over last to be accounted for."""
        self._model = ""
        gate = self if services.limits is not None else None
        bill = self._bill if matched.protocol.usage is not None else None
        self.frames = Frames(
            matched.protocol.frames,
            services.planner,
            self._level(),
            self.record,
            gate,
            services.hold_out,
            bill,
            self._count_failed,
            number(scope, matched.protocol.api),
            services.calls_of(scope, matched),
        )

    def _level(self) -> Level:
        """How far frames may shrink; what says that none may is written down."""
        level = self.services.settings.compression
        if self.matched.protocol.frames is None:
            return Level.OFF
        if level is not Level.OFF and asks_to_bypass(self.headers):
            self.record.decision, self.record.decision_reason = "bypassed", "bypass_header"
            return Level.OFF
        if level is Level.OFF:
            self.record.decision, self.record.decision_reason = "passthrough", "compression_off"
        return level

    def hold_unread(self, more_bytes: int) -> None:
        """Count bytes of messages that are not taken yet. Raises RefusedError."""
        self.services.admission.hold(more_bytes)
        self.held_bytes += more_bytes

    def hold(self, part_bytes: int) -> None:
        self.hold_unread(part_bytes)
        self.record.request_bytes += max(0, part_bytes)

    @property
    def phase(self) -> str:
        """What it waits for: the upstream, the end of an answer, or the client."""
        if not self.accepted:
            return "connecting"
        return "idle" if self.frames.idle.is_set() else "answering"

    async def enter(self) -> None:
        """A socket whose frames mean nothing to us counts as one request. Raises LimitedError."""
        limits = self.services.limits
        if limits is not None and limits.are_of_cost and self.services.settings.uncounted == "refuse":
            check_countable(self.matched, "POST")
        if limits is not None and self.matched.protocol.frames is None:
            self.granted.append(await limits.enter(self._caller(), self.id))

    def leave(self) -> None:
        """Give back what the limits granted."""
        while self.granted:
            granted = self.granted.popleft()
            leave(self.services, granted, "none", None, is_billed=granted is self._billed)

    async def admit(self, frame: bytes) -> bool:
        """Ask the limits for one request on the open socket. A refusal goes to the client as an event of the API."""
        limits, frames = self.services.limits, self.matched.protocol.frames
        assert limits is not None, "a gate without limits"
        assert frames is not None, "a request in frames that nobody reads"
        name = self.services.next_request_id()
        granted = None
        try:
            granted = await limits.enter(self._caller(), name, len(frame))
            self.granted.append(granted)
            self._model = asked_in(frame) or self._model or self._named_model()
            await charge(self.services, granted, self._model, frame)
        except RefusedError as error:
            if granted is not None:
                self.granted.remove(granted)
                limits.ended(granted)
            failure = failure_of(error)
            self._count_refused(name, failure.status, error.code)
            text = refusal_frame(frames.refusal, self.matched.protocol.api.errors, failure, name)
            with suppress(OSError):  # the client may be gone
                await self.send({"type": "websocket.send", "text": text})
            return False
        return True

    def answered(self) -> None:
        """The oldest request that was let in is over. What no bill is to come for has cost nothing."""
        limits = self.services.limits
        if self.granted and limits is not None:
            granted = self.granted.popleft()
            if granted is not self._billed:
                limits.settled(granted, None)
            limits.ended(granted)

    def settled(self, granted: Granted | None, usage: Usage | None, microdollars: int) -> None:
        """Charge what an answer cost in truth to the request that it answers."""
        settle(self.services, granted, self._model, usage, microdollars, None)

    def _caller(self) -> str:
        return self.services.callers.name(self.scope, self.matched.protocol.api)

    def _count_refused(self, name: str, status: int, code: str) -> None:
        """A request on an open socket that is refused counts by itself."""
        record = RequestRecord(
            protocol=self.record.protocol,
            route="websocket_frame",
            client=self.record.client,
            status_class=status_class(status),
            outcome="refused",
            refusal=code,
        )
        self.services.ended(name, self.scope, status, record, code, monotonic_ns())

    def _count_failed(self, text: str) -> None:
        """An answer on an open socket that ends with an error counts by itself."""
        kind = error_in(text.encode()) or "unnamed"
        record = RequestRecord(
            protocol=self.record.protocol,
            route="websocket_frame",
            client=self.record.client,
            status_class=status_class(_SWITCHED),
            outcome="failed",
            failure_phase=FAILED_PHASE,
            answer_error=kind,
        )
        name, problem = self.services.next_request_id(), f"the upstream's answer ended with an error: {kind}"
        self.services.ended(name, self.scope, _SWITCHED, record, problem, monotonic_ns())

    async def run(self) -> None:
        """Relay the socket. Raises RefusedError, ClientGoneError or RelayError."""
        await self.receive()  # the handshake, of which the scope has everything
        upstream = await self._connect()
        goodbye = Ending("proxy", _GOING_AWAY)
        try:
            await self._accept(upstream)
            pump = Pump(
                self.receive, self.send, upstream, self.frames.outgoing, self._observe, self.hold, self.hold_unread
            )
            goodbye = await pump.run(self._leave())
        finally:
            closing = goodbye if goodbye.by != "upstream" or goodbye.code != CUT else Ending("proxy", _GOING_AWAY)
            await upstream.close(closing.code, closing.reason)
        await self._end(goodbye)

    async def _connect(self) -> UpstreamSocket:
        """A socket to the upstream, unless the client leaves before it is open."""
        headers = request_headers(self.headers, _OURS)
        if self.trace is not None:
            self.trace.pass_on(headers)
        deflate = any(name == b"sec-websocket-extensions" and b"deflate" in value for name, value in self.headers)
        places = self.services.places
        self.origin = self._origin()
        places.check_keys(self.origin, self.scope, self.matched)
        url = places.url(self.origin, self.matched, self.scope)
        asked_ns = monotonic_ns()
        connecting = self.services.loop.create_task(connect(self.services.socket_session, url, headers, deflate))
        leaving = asyncio.ensure_future(self.receive())
        try:
            await asyncio.wait((connecting, leaving), return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                leaving.result()  # raises what the server refuses already
                raise ClientGoneError("the client left during the handshake")
            self.record.first_byte_ns = monotonic_ns() - asked_ns
            return connecting.result()
        finally:
            await self._give_up(connecting, leaving)

    def _origin(self) -> str:
        """Where it goes. A socket is open before its first message, so only its address can name a model."""
        places = self.services.places
        named = self._named_model()
        if named and places.chosen_by_model(self.matched):
            return places.origin_for_model(self.matched, named)
        return places.origin(self.matched)

    def _named_model(self) -> str:
        query: str = self.scope["query_string"].decode("latin-1")
        return parse_qs(query).get("model", [""])[0]

    @staticmethod
    async def _give_up(connecting: "asyncio.Task[UpstreamSocket]", leaving: "asyncio.Future[Message]") -> None:
        """End both waits. A socket that nobody will use is closed."""
        unused = leaving.done()
        leaving.cancel()
        connecting.cancel()
        await asyncio.gather(leaving, connecting, return_exceptions=True)
        if unused and not connecting.cancelled() and connecting.exception() is None:
            await connecting.result().close(_GOING_AWAY)

    async def _accept(self, upstream: UpstreamSocket) -> None:
        headers = [pair for pair in response_headers(upstream.headers, _SWITCHED) if pair[0] not in _NOT_ACCEPTED_WITH]
        headers.append((b"x-headroom-request-id", self.id.encode()))
        try:
            await self.send({"type": "websocket.accept", "subprotocol": upstream.subprotocol, "headers": headers})
        except OSError as error:
            raise ClientGoneError("the client left during the handshake") from error
        self.accepted = True

    def _observe(self, message: str | bytes) -> None:
        self.record.response_bytes += len(message)
        self.frames.incoming(message)

    def _bill(self, text: str, saved: int) -> None:
        """Account for an answer when its last frame, `text`, has gone out."""
        self._billed = self.granted[0] if self.granted else None
        self.services.loop.call_soon(self._account, text, saved, self._billed)

    def _account(self, text: str, saved: int, granted: Granted | None) -> None:
        copy = Copy()
        copy.parts.append(text.encode())
        self.services.accounts.settle(
            Answer(
                protocol=self.matched.protocol,
                copy=copy,
                sent=b"",
                headers=self.headers,
                opening=self.record.opening,
                arm=self.record.arm,
                saved=saved,
                told=partial(self.settled, granted),
            )
        )

    async def _leave(self) -> Ending:
        """Ends when this worker should: between two answers, or shortly before the server would cut them."""
        drain: asyncio.Event = self.scope.get("extensions", {}).get(DRAIN) or asyncio.Event()
        await drain.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.frames.idle.wait(), _DRAIN_SHARE * self.services.settings.drain_limit_seconds)
        return Ending("proxy", _RESTART, "the proxy restarts")

    async def _end(self, ending: Ending) -> None:
        """Tell the client how the socket ended, and count it before."""
        if ending.by == "client":
            if ending.code == CUT:
                self.record.outcome = "client_gone"
            self.finish(_SWITCHED)
            return
        code, reason = ending.code, ending.reason
        if code == CUT:
            self.problem = reason = "the connection to the upstream broke"
            code, self.record.outcome, self.record.failure_phase = _INTERNAL, "failed", "body"
        self.finish(_SWITCHED)
        await self._close(None if code == NO_CODE else code, reason)

    async def fail(self, error: RefusedError | RelayError) -> None:
        """Refuse the handshake with the upstream's own answer or one of ours, or close what is open already."""
        record = self.record
        if isinstance(error, HandshakeRefusedError):
            self.finish(error.status)
            await self._relay_refusal(error)
            return
        if isinstance(error, RelayError):
            error = self.services.places.named(error, self.origin, self.matched)
        self.problem = str(error)
        if isinstance(error, RelayError):
            record.outcome, record.failure_phase = "failed", error.phase
        else:
            record.outcome, record.refusal = "refused", error.code
        failure = failure_of(error)
        self.finish(_SWITCHED if self.accepted else failure.status)
        if self.accepted:
            await self._close(_TRY_LATER if failure.status == 503 else _INTERNAL, failure.message)
        else:
            await send_failure(self._refuse, self.matched.protocol.api.errors, failure, self.id)

    async def _relay_refusal(self, error: HandshakeRefusedError) -> None:
        headers = [pair for pair in response_headers(error.headers, error.status) if pair[0] != b"content-length"]
        headers += [(b"content-length", b"%d" % len(error.body)), (b"x-headroom-request-id", self.id.encode())]
        await self._refuse({"type": "http.response.start", "status": error.status, "headers": headers})
        await self._refuse({"type": "http.response.body", "body": error.body, "more_body": False})

    async def _close(self, code: int | None, reason: str) -> None:
        with suppress(OSError):  # the client may be gone
            await self.send({"type": "websocket.close", "code": code, "reason": _cut(reason)})

    def finish(self, status: int) -> None:
        """Count the socket; only the first call does."""
        if self.record.counted:
            return
        self.record.status_class = status_class(status)
        self.record.upstream_ns = monotonic_ns() - self.began_ns
        self.services.ended(self.id, self.scope, status, self.record, self.problem, self.began_ns)
        if self.trace is not None:
            path, method = self.scope["path"], self.scope["method"]
            self.trace.end(Outcome(self.id, method, path, self.matched, self.origin, "", status, self.record))


def _cut(reason: str) -> str:
    """At most the 123 bytes that a close frame has room for."""
    return reason.encode()[:123].decode("utf-8", "ignore")
