"""One request on its way: its body in, perhaps made shorter, up to its upstream, and the answer out as it comes."""

from collections.abc import AsyncIterator
from contextlib import suppress
from functools import lru_cache, partial
from time import monotonic_ns
from typing import Any

from multidict import CIMultiDict

from proxy_pkg.errors import ClientGoneError, RefusedError, RelayError
from proxy_pkg.protocols.table import Match
from proxy_pkg.relay.headers import BODILESS, request_headers, response_headers
from proxy_pkg.relay.pump import Departure, Message, Receive, Send, pump
from proxy_pkg.relay.retry import insist
from proxy_pkg.relay.send import Body, send
from proxy_pkg.stats.clients import client_label
from proxy_pkg.stats.record import RequestRecord, status_class
from proxy_pkg.web.accounts import Answer, tells_usage
from proxy_pkg.web.body import BodyReader, announced_bytes
from proxy_pkg.web.compression import BYPASS_HEADER, Decoding, compressed, decoded
from proxy_pkg.web.limits import Granted
from proxy_pkg.web.middleware.auth import TOKEN_HEADER
from proxy_pkg.web.models import asked_in, label
from proxy_pkg.web.services import Services
from proxy_pkg.web.tracing import Outcome
from proxy_pkg.web.usage import Copy, Usage
from proxy_pkg.wire.encoding import EncodingError

OUR_HEADERS = frozenset((BYPASS_HEADER, TOKEN_HEADER))

_client_label = lru_cache(maxsize=256)(client_label)
_OK = 200
_EVENT_END_BYTES_MAX = 4
_FIXED_BYTES = ("content-encoding", "content-length")  # with one of them, nothing can be added to a stream


class Exchange:
    """One request on its way: what was learned of it so far, and what has to be given back at its end."""

    def __init__(self, services: Services, matched: Match, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.services = services
        self.matched = matched
        self.scope = scope
        self.receive = receive
        self.send = send
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.id = services.next_request_id()
        self.record = RequestRecord(
            protocol=matched.protocol.name,
            route=matched.route,
            client=_client_label(_header(self.headers, b"user-agent")),
        )
        self.began_ns = monotonic_ns()
        self.held_bytes = 0
        self.origin = ""
        self.told: list[tuple[bytes, bytes]] = []
        self.started = False
        self.upload_error: RefusedError | ClientGoneError | None = None
        self.problem = ""
        self.granted: Granted | None = None
        self.trace = None if services.tracing is None else services.tracing.begin(self.headers)
        self.asked_ns = 0
        self._status = 0
        self._announced: int | None = None
        self._takes_events = False
        self._tail = b""
        self._departure: Departure | None = None
        self._abandoned: RefusedError | None = None
        self._copy: Copy | None = None
        self._sent = b""
        self._is_complete = False

    def hold(self, part_bytes: int) -> None:
        self.services.admission.hold(part_bytes)
        self.held_bytes += part_bytes

    @property
    def phase(self) -> str:
        """What it waits for: the client's body, the upstream, or the end of the answer."""
        if self.started:
            return "answering"
        return "waiting" if self.record.read_ns or self.asked_ns else "reading"

    async def enter(self) -> None:
        """Ask the limits, where there are some. Raises LimitedError."""
        services = self.services
        if services.limits is not None:
            caller = services.callers.name(self.scope, self.matched.protocol.api)
            self.granted = await services.limits.enter(caller, self.id)

    def leave(self) -> None:
        """Give back what the limits granted. What no upstream answered took no tokens."""
        if self.services.limits is not None and self.granted is not None:
            if self.record.status_class in ("4xx", "5xx"):
                self.services.limits.settled(self.granted, 0)
            self.services.limits.ended(self.granted)

    def settled(self, usage: Usage | None, microdollars: int) -> None:
        """Charge what the answer cost in truth."""
        if self.services.limits is not None:
            tokens = None if usage is None else usage.input_total + usage.output
            self.services.limits.settled(self.granted, tokens, microdollars)
        self._end_trace(usage)

    def _end_trace(self, usage: Usage | None) -> None:
        if self.trace is not None:
            model = self.matched.model or asked_in(self._sent)
            self.trace.end(
                Outcome(
                    id=self.id,
                    method=self.scope["method"],
                    path=self.scope["path"],
                    matched=self.matched,
                    origin=self.origin,
                    model="" if not model else label(model),
                    status=self._status,
                    record=self.record,
                    usage=usage,
                )
            )

    async def run(self) -> None:
        """Relay the request. Raises RefusedError, ClientGoneError or RelayError."""
        async with Departure(self.receive, self.services.loop) as departure:
            self._departure = departure
            body = await self._body(departure)
            answer = await self._ask(body)
            try:
                await self._answer(answer)
                departure.stop()
                self.finish(answer.status)
                if not self._is_complete:
                    await self.send({"type": "http.response.body", "body": b"", "more_body": False})
                    self._is_complete = True
            except BaseException:
                answer.close()
                raise
            answer.release()
        if departure.happened:
            raise self._abandoned or ClientGoneError("the client left before its answer was complete")

    def abandon(self, error: RefusedError) -> None:
        """End the exchange with `error`: now, or in the middle of an event as soon as that is complete."""
        self._abandoned = error
        if self._departure is not None and (self.between_events or not self._takes_events):
            self._departure.leave()

    async def _body(self, departure: Departure) -> Body:
        """The body to send: whole where it holds a conversation or chooses the upstream, else in parts as it comes."""
        settings = self.services.settings
        conversation, asked_of_body = self.matched.protocol.conversation, self._chooses_by_body()
        if conversation is None and not asked_of_body:
            return self._stream(
                BodyReader(self.receive, None, settings.body_timeout_seconds, self.services.loop), departure
            )
        limits = (settings.body_bytes_max, settings.body_timeout_seconds, self.services.loop)
        reader = BodyReader(self.receive, *limits)
        reader.expect(announced_bytes(self.headers) or 0)
        body = await reader.whole(self.hold)
        departure.start()
        self.record.request_bytes = len(body)
        self.record.read_ns = monotonic_ns() - self.began_ns
        decoding = Decoding(settings.body_bytes_max, self.hold)
        if asked_of_body:
            self.origin = await self._origin_for(body, decoding)
        if conversation is None:
            return body
        body, self.told = await compressed(
            self.services.planner,
            settings.compression,
            conversation,
            self.headers,
            body,
            self.record,
            decoding,
            self.services.hold_out,
        )
        await self._charge(len(body))
        self._sent = body
        return body

    async def _charge(self, body_bytes: int) -> None:
        """Charge the tokens of the body as it will be sent, before it is. Raises LimitedError."""
        record, limits = self.record, self.services.limits
        if limits is not None and self.granted is not None and tells_usage(self.matched, self.scope["path"], _OK):
            plain_bytes = record.bytes_after if record.decision == "rewritten" else record.bytes_before
            await limits.charge(self.granted, plain_bytes or body_bytes)

    def _chooses_by_body(self) -> bool:
        """Whether the body has to be read for the model that chooses the upstream. The path alone may do."""
        protocol, places = self.matched.protocol, self.services.places
        if not places.chosen_by_model(self.matched):
            return False
        if protocol.conversation is not None:
            return True
        if self.matched.model:
            self.origin = places.origin_for_model(self.matched, self.matched.model)
        is_form = _header(self.headers, b"content-type").lower().startswith("multipart/")
        return protocol.names_model and self.scope["method"] == "POST" and not is_form

    async def _origin_for(self, body: bytes, decoding: Decoding) -> str:
        """Where the model that the body names goes. Without room to decode the body, the request is refused: sent
        elsewhere it would give this model's credentials away.
        """
        planner, places = self.services.planner, self.services.places
        plain = body
        with suppress(EncodingError):
            plain = await decoded(planner, self.headers, body, decoding)
        try:
            return await places.origin_for_body(self.matched, plain, planner.elsewhere)
        finally:
            if plain is not body:
                decoding.hold(-len(plain))

    def _stream(self, reader: BodyReader, departure: Departure) -> Body:
        announced = announced_bytes(self.headers)
        chunked = any(name == b"transfer-encoding" for name, _ in self.headers)
        if not announced and not chunked:
            departure.start()
            return None if announced is None else b""
        return self._parts(reader, departure)

    async def _parts(self, reader: BodyReader, departure: Departure) -> AsyncIterator[bytes]:
        try:
            async for part in reader.parts():
                self.record.request_bytes += len(part)
                yield part
        except (RefusedError, ClientGoneError) as error:
            self.upload_error = error  # aiohttp knows only that its body failed
            raise
        departure.start()

    async def _ask(self, body: Body) -> Any:
        services, scope = self.services, self.scope
        headers = request_headers(self.headers, OUR_HEADERS)
        if self.trace is not None:
            self.trace.pass_on(headers)
        if body is not None and not isinstance(body, bytes):
            length = announced_bytes(self.headers)
            if length is not None:
                headers["Content-Length"] = str(length)
        target = scope["raw_path"].decode("latin-1").removeprefix(self.matched.prefix)
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        url = self.origin + target
        answer = await self._ask_once(url, headers, body)
        if services.retries is not None and isinstance(body, bytes) and self.matched.protocol.conversation is not None:
            again = partial(self._ask_once, url, headers, body)
            answer, self.record.retries = await insist(services.retries, answer, again)
        return answer

    async def _ask_once(self, url: str, headers: CIMultiDict[str], body: Body) -> Any:
        services = self.services
        asked_ns = monotonic_ns()
        try:
            answer, connecting = await send(
                services.session, self.scope["method"], url, headers, body, services.settings.gap_timeout_seconds
            )
        except RelayError as error:
            if self.upload_error is not None:
                raise self.upload_error from error
            raise
        self.asked_ns = asked_ns
        self.record.first_byte_ns = monotonic_ns() - asked_ns
        self.record.connect_ns = connecting.connect_ns
        self.record.connection = "new" if connecting.connect_ns else "reused"
        return answer

    async def _answer(self, answer: Any) -> None:
        headers = response_headers(answer.raw_headers, answer.status)
        headers += self.told
        headers.append((b"x-headroom-request-id", self.id.encode()))
        headers.append((b"server-timing", _timing(self.record)))
        is_event_stream = answer.content_type == "text/event-stream"
        self._takes_events = is_event_stream and not any(name in answer.headers for name in _FIXED_BYTES)
        if is_event_stream:
            headers.append((b"x-accel-buffering", b"no"))
        self.started = True
        self._status = answer.status
        self._announced = 0 if _is_bodiless(self.scope["method"], answer.status) else answer.content_length
        if self._announced == 0:
            self.finish(answer.status)
        elif tells_usage(self.matched, self.scope["path"], answer.status):
            self._copy = Copy(answer.headers.get("content-encoding", ""))
        self.record.send_ns = monotonic_ns() - self.asked_ns - self.record.first_byte_ns
        await self.send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await pump(answer, self._send_chunk, self._on_chunk)

    def _on_chunk(self, chunk: bytes) -> None:
        self.record.response_bytes += len(chunk)
        if self._copy is not None:
            self._copy.take(chunk)
        if self.record.response_bytes == self._announced:
            self.finish(self._status)

    async def _send_chunk(self, message: Message) -> None:
        is_last = self.record.response_bytes == self._announced
        if is_last and self._departure is not None:
            self._departure.stop()
            message["more_body"] = False  # the length is reached: spares the server a call
        await self.send(message)
        self._is_complete = is_last
        chunk = message["body"]
        self._tail = chunk if len(chunk) >= _EVENT_END_BYTES_MAX else (self._tail + chunk)[-_EVENT_END_BYTES_MAX:]
        if self._abandoned is not None:
            self.abandon(self._abandoned)

    @property
    def between_events(self) -> bool:
        """Whether an event may be added: an event stream has begun, and its last event is complete."""
        tail = self._tail[-_EVENT_END_BYTES_MAX:].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return self._takes_events and (tail.endswith(b"\n\n") or not tail)

    def finish(self, status: int) -> None:
        """Count the request, before the byte that completes its answer leaves. Only the first call counts.

        Whoever has an answer then finds it counted, even if this worker is killed in the next moment.
        """
        if self.record.counted:
            return
        self._status = status
        self.record.status_class = status_class(status)
        if self.asked_ns:
            self.record.upstream_ns = monotonic_ns() - self.asked_ns
        self.services.counters.finished(self.record)
        self.services.board.recent.add(self.id, status, self.record, self.began_ns)
        if self.services.access_log is not None:
            self.services.access_log.add(self.id, self.scope, status, self.record, self.problem, self.began_ns)

    def account(self) -> None:
        """Account for what the answer cost, when nobody waits for anything any more."""
        if self._copy is None:
            self._end_trace(None)
            return
        record = self.record
        is_json = not _header(self.headers, b"content-encoding")
        self.services.accounts.settle(
            Answer(
                protocol=self.matched.protocol,
                copy=self._copy,
                sent=self._sent if is_json else b"",
                headers=self.headers,
                model=self.matched.model,
                opening=record.opening,
                arm=record.arm,
                saved=record.tokens_removed,
                complete=self._is_complete,
                told=self.settled,
            )
        )


def _header(headers: list[tuple[bytes, bytes]], wanted: bytes) -> str:
    for name, value in headers:
        if name == wanted:
            return value.decode("latin-1")
    return ""


def _is_bodiless(method: str, status: int) -> bool:
    return method == "HEAD" or status in BODILESS


def _timing(record: RequestRecord) -> bytes:
    """Our own phases in milliseconds, as a Server-Timing header has them."""
    return b"headroom-read;dur=%.2f, headroom-plan;dur=%.2f" % (record.read_ns / 1e6, record.plan_ns / 1e6)
