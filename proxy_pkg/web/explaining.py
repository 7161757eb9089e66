"""`POST /v1/compress`: what would be sent for a request body or a tool's output, decision by decision.

The answer holds the rewritten conversation under the key that the request had it under, so that gateways which send
`{"messages": …}` and take `messages` back can use it as it is.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic_ns
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy_pkg.config.settings import Settings
from proxy_pkg.errors import ClientGoneError, RefusedError, ScanError
from proxy_pkg.model import Level, Producer
from proxy_pkg.planning.desk import Desk
from proxy_pkg.planning.explain import PROTOCOLS, Explanation, explain_body, explain_text, protocol_of
from proxy_pkg.planning.policy import Rules, Tokens
from proxy_pkg.planning.watch import NO_JOURNAL, OverdueError, ThreadWatch
from proxy_pkg.protocols.grammar import Protocol
from proxy_pkg.web.body import BodyReader, announced_bytes
from proxy_pkg.web.loopback import host_names
from proxy_pkg.web.operations import Endpoint, answer_json, guarded

PATH = "/v1/compress"
PARAMETERS = ("level", "protocol", "tool", "command")
EXPLAINED_BYTES_MAX: Final = 16 << 20
"""A longer body would keep the thread for many seconds; offline, `proxyctl compress` takes any length."""
COPIES: Final = 6
"""What explaining a body takes for each of its bytes: its texts before and after, the decisions, and the answer."""
_WAITING_MAX = 4
_RETRY_AFTER_SECONDS = 1
_SLICE_BYTES = 256 << 10
_NS_PER_MS = 1_000_000
_OVERDUE = "a text of this body takes longer than HEADROOM_COMPRESSION_DEADLINE_MS: it would go through as it came"


class Explaining:
    """The endpoint of one worker: one body at a time on a thread of its own, a few more waiting."""

    def __init__(self, settings: Settings, rules: Rules, tokens: Tokens) -> None:
        self._settings = settings
        self._rules = rules
        self._tokens = tokens
        self._desk = Desk("explaining")
        self._inside = 0
        self.hold: Callable[[int], None] = lambda _: None
        """Is told of bytes that are taken and given back, and may raise RefusedError: the worker's limit."""

    async def __call__(self, request: Request) -> Response:
        """200 with every decision; 400, 408, 413, 415 or 503 with what to do about it."""
        try:
            asked = _asked(request)
            return await self._explained(request, asked)
        except RefusedError as error:
            headers = {"retry-after": str(error.retry_after_seconds)} if error.retry_after_seconds else {}
            return answer_json({"error": str(error), "code": error.code}, error.status, headers)
        except ClientGoneError:
            return Response(status_code=499)

    async def _explained(self, request: Request, asked: dict[str, str]) -> Response:
        if self._inside >= _WAITING_MAX:
            message = f"{_WAITING_MAX} bodies wait to be explained by this worker: try again"
            raise RefusedError(message, "overloaded", 503, _RETRY_AFTER_SECONDS)
        self._inside += 1
        held = 0

        def hold(part_bytes: int) -> None:
            nonlocal held
            self.hold(part_bytes * COPIES)
            held += part_bytes * COPIES

        def release() -> None:
            self._inside -= 1
            self.hold(-held)

        try:
            body = await self._body(request, hold)
            until_ns = monotonic_ns() + self._settings.compression_deadline_ms * _NS_PER_MS
            watch = ThreadWatch(NO_JOURNAL, until_ns)
            answer = await self._desk.take(partial(self._answer, body, asked, watch), watch=watch).done
        except OverdueError as error:
            release()
            raise RefusedError(_OVERDUE, "deadline", 503) from error
        except BaseException:
            release()
            raise
        return _Sliced(answer, release)

    async def _body(self, request: Request, hold: Callable[[int], None]) -> bytes:
        settings = self._settings
        announced = announced_bytes(request.scope["headers"]) or 0
        loop = asyncio.get_running_loop()
        reader = BodyReader(
            request.receive,
            settings.body_bytes_max,
            settings.body_timeout_seconds,
            loop,
            settings.body_rate_bytes_min,
        )
        reader.expect(announced)
        _expect(announced)

        def hold_some(part_bytes: int) -> None:
            _expect(reader.bytes_read)
            hold(part_bytes)

        return await reader.whole(hold_some)

    @property
    def stuck(self) -> int:
        """Threads that never came back."""
        return self._desk.stuck

    def _answer(self, body: bytes, asked: dict[str, str], watch: ThreadWatch) -> Response:
        protocol = PROTOCOLS.get(asked["protocol"])
        if protocol is None and not asked["tool"] and not asked["command"]:
            protocol = protocol_of(body)
        if protocol is None:
            return answer_json(self._of_text(body, asked, watch))
        try:
            until_ns = monotonic_ns() + self._settings.compression_deadline_ms * _NS_PER_MS
            explanation = explain_body(body, protocol, self._rules, self._tokens, until_ns, watch)
        except ScanError as error:
            raise RefusedError(
                f"as {protocol.name} the body would go through as it came: {error}", error.reason, 400
            ) from error
        return answer_json(_summary(explanation) | _conversation(explanation, protocol))

    def _of_text(self, body: bytes, asked: dict[str, str], watch: ThreadWatch) -> dict[str, Any]:
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise RefusedError(f"the output is not UTF-8: {error}", "body_not_read", 400) from error
        producer = Producer(asked["tool"] or "shell", {"command": asked["command"]} if asked["command"] else {})
        explanation = explain_text(text, producer, self._rules, self._tokens, watch)
        return _summary(explanation) | {"text": explanation.sent.decode()}

    def close(self) -> None:
        """Let the thread end after what it is doing; nothing waits for it."""
        self._desk.close()


def explaining_route(settings: Settings, explaining: Explaining) -> Route:
    """The route. With a proxy token whoever has it may ask, else only callers on this machine."""
    is_open = settings.operations_remote or bool(settings.proxy_token or settings.proxy_keys)
    endpoint: Endpoint = guarded(explaining.__call__, is_open=is_open, names=host_names(settings.allowed_hosts))
    return Route(PATH, endpoint, methods=["POST"])


class _Sliced(Response):
    """An answer sent in slices, each when the one before has gone out. Then, whatever happened, `release` is called."""

    def __init__(self, answer: Response, release: Callable[[], None]) -> None:
        super().__init__(status_code=answer.status_code)
        self.raw_headers = answer.raw_headers
        self.body = answer.body
        self._release = release

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            body = memoryview(self.body)
            for start in range(0, len(body), _SLICE_BYTES):
                part, more = bytes(body[start : start + _SLICE_BYTES]), start + _SLICE_BYTES < len(body)
                await send({"type": "http.response.body", "body": part, "more_body": more})
        finally:
            self._release()


def _expect(total_bytes: int) -> None:
    if total_bytes > EXPLAINED_BYTES_MAX:
        message = (
            f"bodies of up to {EXPLAINED_BYTES_MAX} bytes are explained here; "
            "`proxyctl compress FILE` explains longer ones offline"
        )
        raise RefusedError(message, "body_too_large", 413)


def _asked(request: Request) -> dict[str, str]:
    """The query's parameters. Raises RefusedError (400, 415) for what cannot be done."""
    unknown = set(request.query_params) - set(PARAMETERS)
    if unknown:
        raise RefusedError(
            f"{sorted(unknown)[0]} is no parameter; these are: {', '.join(PARAMETERS)}", "bad_query", 400
        )
    asked = {name: request.query_params.get(name, "") for name in PARAMETERS}
    if asked["protocol"] and asked["protocol"] not in PROTOCOLS:
        raise RefusedError(f"protocol is one of {', '.join(PROTOCOLS)}", "bad_query", 400)
    if asked["level"] not in ("", Level.LOSSLESS):
        message = (
            "a server goes as far as lossless; `proxyctl compress --level balanced` shows what balanced would send"
        )
        raise RefusedError(message, "level_held_back", 400)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise RefusedError("send the body without a content-encoding", "content_encoding", 415)
    return asked


def _summary(explanation: Explanation) -> dict[str, Any]:
    told = explanation.as_dict()
    before, after = told["tokens_before"], told["tokens_after"]
    steps = (span.verdict.compressor.split("+") for span in explanation.spans if span.verdict.text is not None)
    return told | {
        "level": Level.LOSSLESS,
        "compression_ratio": round(after / before, 4) if before else 1.0,
        "transforms_applied": list(dict.fromkeys(name for names in steps for name in names)),
    }


def _conversation(explanation: Explanation, protocol: Protocol) -> dict[str, Any]:
    """The items of the conversation as they would be sent, byte for byte, under their key."""
    assert protocol.conversation is not None
    value: Any = msgspec.Raw(explanation.sent)
    for key in protocol.conversation.path:
        value = msgspec.json.decode(value, type=dict[str, msgspec.Raw])[key]
    return {protocol.conversation.items: value}
