"""One request on its way: its body in, perhaps made shorter, up to its upstream, and the answer out as it comes."""

from collections.abc import Sequence
from functools import lru_cache, partial
from time import monotonic_ns
from typing import Any

from multidict import CIMultiDict

from proxy_pkg.billing.accounts import Answer, check_countable, tells_usage
from proxy_pkg.billing.models import asked_in, label
from proxy_pkg.billing.usage import Copy, Usage
from proxy_pkg.errors import ClientGoneError, RefusedError, RelayError
from proxy_pkg.limits.callers import number
from proxy_pkg.limits.limiter import BYTES_PER_TOKEN, Granted
from proxy_pkg.protocols.table import Match
from proxy_pkg.relay.client import Connecting
from proxy_pkg.relay.headers import BODILESS, request_headers, response_headers
from proxy_pkg.relay.pump import Departure, Message, Receive, Send, pump
from proxy_pkg.relay.retry import insist
from proxy_pkg.relay.send import Body, send
from proxy_pkg.stats.record import UNKNOWN, RequestRecord, status_class
from proxy_pkg.stats.series import client_label
from proxy_pkg.telemetry.tracing import Outcome
from proxy_pkg.web.body import BodyReader, announced_bytes, announces_body
from proxy_pkg.web.charging import charge_body, leave, occupy, settle
from proxy_pkg.web.choosing import origin_for_body
from proxy_pkg.web.compression import BYPASS_HEADER, Decoding, compressed, unread
from proxy_pkg.web.endings import is_ended, look
from proxy_pkg.web.middleware.auth import TOKEN_HEADER
from proxy_pkg.web.services import Services
from proxy_pkg.web.shared_calls import CallersCalls, watch_of
from proxy_pkg.web.timing import server_timing
from proxy_pkg.web.upload import Upload, whole_body

OUR_HEADERS = frozenset((BYPASS_HEADER, TOKEN_HEADER))


_client_label = lru_cache(maxsize=256)(client_label)
_OK = 200
_EVENT_BYTES_PER_TOKEN = 32
_FIXED_BYTES = ("content-encoding", "content-length")  # with one of them, nothing can be added to a stream


class Exchange:
    """One request on its way: what was learned of it so far, and what has to be given back at its end."""

    origin = ""
    model = ""
    """As the path or the body names it."""
    held_bytes = 0
    problem = ""
    started = False
    granted: Granted | None = None
    _upload: Upload | None = None
    asked_ns = 0
    _sent = b""
    _told: Sequence[tuple[bytes, bytes]] = ()
    _status = 0
    _announced: int | None = None
    _is_stream = _takes_events = _tells_usage = _is_complete = False
    _relayed_bytes = 0
    _copy: Copy | None = None
    _calls: CallersCalls | None = None
    _departure: Departure | None = None
    _abandoned: RefusedError | None = None

    def __init__(self, services: Services, matched: Match, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.services = services
        self.matched = matched
        self.scope = scope
        self.receive = receive
        self.send = send
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._named = dict(self.headers)
        self.id = services.next_request_id()
        self.record = RequestRecord(
            protocol=matched.protocol.name,
            route=matched.route,
            client=_client_label(self._named.get(b"user-agent", b"").decode("latin-1")),
        )
        if matched.model:
            self._learn(matched.model)
        self.began_ns = monotonic_ns()
        self.trace = None if services.tracing is None else services.tracing.begin(self.headers)

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
            if services.limits.are_of_cost and services.settings.uncounted == "refuse":
                check_countable(self.matched, self.scope["method"])
            caller = services.callers.name(self.scope, self.matched.protocol.api)
            charged = self.matched.protocol.conversation is not None and self._is_charged()
            body_bytes = announced_bytes(self.headers) or 0
            began_ns = monotonic_ns()
            try:
                self.granted = await services.limits.enter(
                    caller, self.id, body_bytes if charged else 0, body_comes=announces_body(self.headers)
                )
            finally:
                self.record.limits_ns = monotonic_ns() - began_ns

    def leave(self) -> None:
        """Give back what the limits granted."""
        if self._upload is not None:
            self._upload.close()
        is_billed = self._copy is not None and self._tells_usage
        leave(self.services, self.granted, self.record.status_class, self._unread_tokens, is_billed=is_billed)

    def settled(self, usage: Usage | None, microdollars: int) -> None:
        """Charge what the answer cost in truth."""
        if usage is None and self.record.answer_error and self.granted is not None:
            leave(self.services, self.granted, "5xx", 0, is_billed=False)
        else:
            settle(self.services, self.granted, self.model, usage, microdollars, self._unread_tokens)
        self._end_trace(usage)

    @property
    def _unread_tokens(self) -> int:
        """About how long the answer was, for one that tells no usage. An event has few tokens and many more words."""
        return self._relayed_bytes // (_EVENT_BYTES_PER_TOKEN if self._is_stream else BYTES_PER_TOKEN)

    def _end_trace(self, usage: Usage | None) -> None:
        if self.trace is not None:
            self.trace.end(
                Outcome(
                    id=self.id,
                    method=self.scope["method"],
                    path=self.scope["path"],
                    matched=self.matched,
                    origin=self.origin,
                    model="" if self.record.model == UNKNOWN else self.record.model,
                    status=self._status,
                    record=self.record,
                    usage=usage,
                    is_stream=self._is_stream,
                    ended_ns=self.asked_ns and self.asked_ns + self.record.upstream_ns,
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
            if not answer.closed:  # at the end of an answer, aiohttp has given its connection back
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
        if not asked_of_body:
            self.services.places.check_keys(self.origin, self.scope, self.matched)
        if conversation is None and self.matched.is_unknown and announces_body(self.headers):
            self._told = unread(self.record)
        if conversation is None and not asked_of_body and not self._is_charged():
            return await self._stream(departure)
        reader = self._reader(settings.body_bytes_max)
        reader.expect(announced_bytes(self.headers) or 0)
        body = await whole_body(reader, self.services.admission, self.hold)
        departure.start()
        self.record.request_bytes = len(body)
        self.record.read_ns = monotonic_ns() - self.began_ns - self.record.limits_ns
        await occupy(self.services, self.granted, self.record)
        if not self.model and b"content-encoding" not in self._named:
            self._learn(asked_in(body))
        decoding = Decoding(self.services.coder, settings.body_bytes_max, self.hold)
        if asked_of_body:
            self.origin = await origin_for_body(self.services, self.matched, self.headers, body, decoding)
            self.services.places.check_keys(self.origin, self.scope, self.matched)
        if conversation is not None:
            services, record = self.services, self.record
            self._calls = services.calls_of(self.scope, self.matched)
            body, self._told = await compressed(
                services.planner,
                services.settings.compression,
                conversation,
                self.headers,
                body,
                record,
                decoding,
                services.hold_out,
                number(self.scope, self.matched.protocol.api),
                self._calls,
            )
        if self.granted is not None and self._is_charged():
            model = await charge_body(
                self.services, self.granted, self.record, self.headers, body, decoding, self.model
            )
            self._learn(model or self.model)
        self._sent = body
        return body

    def _learn(self, model: str) -> None:
        self.model = model
        self.record.model = label(model)

    def _is_charged(self) -> bool:
        """Whether its answer will tell the tokens that it took."""
        return self.scope["method"] == "POST" and tells_usage(self.matched, self.scope["path"], _OK)

    def _chooses_by_body(self) -> bool:
        """Whether the body has to be read for the model that chooses the upstream. The path alone may do."""
        protocol, places = self.matched.protocol, self.services.places
        if not places.chosen_by_model(self.matched):
            return False
        if protocol.conversation is not None:
            return True
        if self.matched.model:
            self.origin = places.origin_for_model(self.matched, self.matched.model)
        is_form = self._named.get(b"content-type", b"").lower().startswith(b"multipart/")
        return protocol.names_model and self.scope["method"] == "POST" and not is_form

    def _reader(self, bytes_max: int | None) -> BodyReader:
        settings, loop = self.services.settings, self.services.loop
        return BodyReader(
            self.receive, bytes_max, settings.body_timeout_seconds, loop, rate_bytes_min=settings.body_rate_bytes_min
        )

    async def _stream(self, departure: Departure) -> Body:
        announced = announced_bytes(self.headers)
        if not announces_body(self.headers):
            departure.start()
            return None if announced is None else b""
        self._upload = Upload(self._reader(None), self.services.admission, self.record, departure.start)
        parts = await self._upload.begin()
        await occupy(self.services, self.granted, self.record)
        return parts

    async def _ask(self, body: Body) -> Any:
        services = self.services
        headers = request_headers(self.headers, OUR_HEADERS)
        if self.trace is not None:
            self.trace.pass_on(headers)
        if body is not None and not isinstance(body, bytes):
            length = announced_bytes(self.headers)
            if length is not None:
                headers["Content-Length"] = str(length)
        url = services.places.url(self.origin, self.matched, self.scope)
        answer = await self._ask_once(url, headers, body)
        if services.retries is not None and isinstance(body, bytes) and self.matched.protocol.conversation is not None:
            again = partial(self._ask_once, url, headers, body)
            answer, self.record.retries = await insist(services.retries, answer, again)
        return answer

    async def _ask_once(self, url: str, headers: CIMultiDict[str], body: Body) -> Any:
        services = self.services
        made, asked_ns = Connecting(), monotonic_ns()
        try:
            answer = await send(
                services.session, self.scope["method"], url, headers, body, services.settings.gap_timeout_seconds, made
            )
        except RelayError as error:
            if self._upload is not None and self._upload.error is not None:
                raise self._upload.error from error
            raise
        finally:
            self.record.pool_ns += made.pool_ns
        self.asked_ns = asked_ns + made.pool_ns
        self.record.first_byte_ns = monotonic_ns() - self.asked_ns
        self.record.connect_ns = made.connect_ns
        self.record.connection = "new" if made.connect_ns else "reused"
        return answer

    async def _answer(self, answer: Any) -> None:
        headers = response_headers(answer.raw_headers, answer.status)
        headers += self._told
        headers.append((b"x-headroom-request-id", self.id.encode()))
        headers.append((b"server-timing", server_timing(self.record)))
        if answer.content_type == "text/event-stream":
            self._is_stream = True
            self._takes_events = not any(name in answer.headers for name in _FIXED_BYTES)
            headers.append((b"x-accel-buffering", b"no"))
        self.started = True
        self._status = answer.status
        self._announced = 0 if _is_bodiless(self.scope["method"], answer.status) else answer.content_length
        if self._announced == 0:
            self.finish(answer.status)
        else:
            self._tells_usage = tells_usage(self.matched, self.scope["path"], answer.status)
            self.record.awaits_usage = self._tells_usage
            if self._tells_usage or self._takes_events:
                watch = watch_of(self._calls, self.matched.protocol.conversation, is_stream=self._is_stream)
                self._copy = Copy(answer.headers.get("content-encoding", ""), watch)
        self.record.send_ns = monotonic_ns() - self.asked_ns - self.record.first_byte_ns
        await self.send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await pump(answer, self._send_chunk, self._on_chunk)

    def _on_chunk(self, chunk: bytes) -> None:
        self._relayed_bytes += len(chunk)
        if self._relayed_bytes == self._announced:
            self.finish(self._status, chunk)

    async def _send_chunk(self, message: Message) -> None:
        is_last = self._relayed_bytes == self._announced
        if is_last and self._departure is not None:
            self._departure.stop()
            message["more_body"] = False  # the length is reached: spares the server a call
        await self.send(message)
        self._is_complete = is_last
        if self._copy is not None:
            self._copy.parts.append(message["body"])
            if self._relayed_bytes > self._copy.cut_at_bytes:
                self._copy.cut(self._relayed_bytes)
        if self._abandoned is not None:
            self.abandon(self._abandoned)

    @property
    def between_events(self) -> bool:
        """Whether an event may be added: an event stream has begun, and its last event is complete."""
        if not self._takes_events or self._copy is None:
            return False
        tail = self._copy.tail.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return tail.endswith(b"\n\n") or not tail

    def finish_if_ended(self) -> bool:
        """Count a request whose client left after the event that ends its answer, or that tells of an error, as what it
        is; False for all others.
        """
        if not self._relayed_bytes or not is_ended(self._copy, self.matched.protocol):
            return False
        self._is_complete = True
        self.finish(self._status)
        return True

    def finish(self, status: int, last: bytes = b"") -> None:
        """Count the request, before the byte that completes its answer leaves. Only the first call counts.

        Whoever has an answer then finds it counted, even if this worker is killed in the next moment. `last` is what is
        to be relayed yet.
        """
        if self.record.counted:
            return
        self._status = status
        self.record.status_class = status_class(status)
        self.problem = look(self._copy, self.record, last) or self.problem
        self.record.response_bytes = self._relayed_bytes
        if self.asked_ns:
            self.record.upstream_ns = monotonic_ns() - self.asked_ns
        self.services.ended(self.id, self.scope, status, self.record, self.problem, self.began_ns)

    def account(self) -> None:
        """Account for what the answer cost, when nobody waits for anything any more."""
        if self._copy is None or not self._tells_usage:
            self.services.accounts.uncounted(self.matched, self.scope["method"], self._status)
            self._end_trace(None)
            return
        record = self.record
        self.services.accounts.settle(
            Answer(
                protocol=self.matched.protocol,
                copy=self._copy,
                sent=b"" if b"content-encoding" in self._named else self._sent,
                headers=self.headers,
                model=self.model,
                opening=record.opening,
                arm=record.arm,
                saved=record.tokens_removed,
                complete=self._is_complete,
                request=record,
                told=None if self.trace is None and self.granted is None else self.settled,
            )
        )


def _is_bodiless(method: str, status: int) -> bool:
    return method == "HEAD" or status in BODILESS
