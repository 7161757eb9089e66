"""Errors of ours as replies: always in the shape of the API that was called, always with a code that names us."""

import math
import re
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from proxy_pkg.errors import Allowance, LimitedError, RefusedError, RelayError, UpstreamTimeoutError
from proxy_pkg.protocols.grammar import ErrorShape, LimitHeaders
from proxy_pkg.relay.pump import Message, Send

CODE_PREFIX = "headroom_"
_PLACE: Final = re.compile(r"\{(message|kind|code|request_id|retry_after)\}")

_POLICY = 1008


class Failure(msgspec.Struct, frozen=True):
    """What to tell a client: `code` names the cause for programs, `message` says what to do.

    `allowances` and `soon` as in LimitedError.
    """

    status: int
    code: str
    message: str
    retry_after_seconds: int = 0
    allowances: tuple[Allowance, ...] = ()
    soon: bool = True


def failure_of(error: RefusedError | RelayError) -> Failure:
    """The reply for an error that ended a request."""
    if isinstance(error, LimitedError):
        return Failure(
            error.status, error.code, str(error), error.retry_after_seconds, error.allowances, soon=error.soon
        )
    if isinstance(error, RefusedError):
        return Failure(error.status, error.code, str(error), error.retry_after_seconds)
    status = 504 if isinstance(error, UpstreamTimeoutError) else 502
    return Failure(status, f"upstream_{_ERROR_CODES[status]}", f"The proxy got no complete answer: {error}.")


def reply_body(shape: ErrorShape, failure: Failure, request_id: str) -> bytes:
    """The JSON body of an error reply."""
    template = shape.body_with_retry if shape.body_with_retry and failure.retry_after_seconds else shape.body
    return msgspec.json.encode(_fill(template, shape, failure, request_id))


def refusal_frame(template: dict[str, object], shape: ErrorShape, failure: Failure, request_id: str) -> str:
    """The frame that refuses one request on an open WebSocket."""
    return msgspec.json.encode(_fill(template, shape, failure, request_id)).decode()


def stream_event(shape: ErrorShape, failure: Failure, request_id: str) -> bytes:
    """The server-sent event that tells of an error in a stream that has begun."""
    name = f"event: {shape.event_name}\n".encode() if shape.event_name else b""
    return name + b"data: " + msgspec.json.encode(_fill(shape.event, shape, failure, request_id)) + b"\n\n"


async def send_failure(send: Send, shape: ErrorShape, failure: Failure, request_id: str) -> None:
    """Send the whole reply."""
    body = reply_body(shape, failure, request_id)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-headroom-error", failure.code.encode()),
        (b"x-headroom-request-id", request_id.encode()),
    ]
    if failure.retry_after_seconds:
        headers.append((b"retry-after", b"%d" % failure.retry_after_seconds))
    if not failure.soon:
        headers.append((b"x-should-retry", b"false"))  # which the SDKs of Anthropic and OpenAI heed
    if failure.allowances and shape.limits:
        headers += _limit_headers(shape.limits, failure.allowances, time.time())
    await send({"type": "http.response.start", "status": failure.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def refusing(scope: dict[str, Any], send: Send) -> Send:
    """A `send` for the ordinary answer that refuses a WebSocket handshake.

    A server that knows of no such answers gets a close instead, which it turns into an answer of its own.
    """

    async def refuse(message: Message) -> None:
        if "websocket.http.response" in scope.get("extensions", {}):
            await send({**message, "type": f"websocket.{message['type']}"})
        elif message["type"] == "http.response.start":
            await send({"type": "websocket.close", "code": _POLICY, "reason": ""})

    return refuse


def _limit_headers(names: LimitHeaders, allowances: tuple[Allowance, ...], now: float) -> list[tuple[bytes, bytes]]:
    """The standing of our limits as the API words its own. `now` is Unix time."""
    by_kind = b"{kind}" in names.limit
    found: dict[bytes, bytes] = {}
    for allowance in allowances:
        if allowance.kind not in ("requests", "tokens") or (found and not by_kind):
            continue
        reset = _RESETS[names.reset_form](allowance.reset_seconds, now)
        for name, value in (
            (names.limit, b"%d" % allowance.limit),
            (names.remaining, b"%d" % allowance.remaining),
            (names.reset, reset),
        ):
            found.setdefault(name.replace(b"{kind}", allowance.kind.encode()), value)
    return list(found.items())


def _time_form(seconds: float, now: float) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(math.ceil(now + seconds))).encode()


def _duration_form(seconds: float, _now: float) -> bytes:
    whole = math.ceil(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return (f"{hours}h" if hours else "").encode() + (
        b"%dm%ds" % (minutes, whole % 60) if whole >= 60 else b"%ds" % whole
    )


def _seconds_form(seconds: float, _now: float) -> bytes:
    return b"%d" % math.ceil(seconds)


_RESETS: Final[dict[str, Callable[[float, float], bytes]]] = {
    "time": _time_form,
    "duration": _duration_form,
    "seconds": _seconds_form,
}


def _fill(template: Any, shape: ErrorShape, failure: Failure, request_id: str) -> Any:
    if isinstance(template, dict):
        return {
            key: failure.status
            if key in ("code", "status") and value == 0
            else _fill(value, shape, failure, request_id)
            for key, value in template.items()
        }
    if isinstance(template, list):
        return [_fill(value, shape, failure, request_id) for value in template]
    if not isinstance(template, str):
        return template
    values = {
        "message": failure.message,
        "kind": shape.kinds.get(failure.status, shape.kind_otherwise),
        "code": CODE_PREFIX + failure.code,
        "request_id": request_id,
        "retry_after": str(failure.retry_after_seconds),
    }
    return _PLACE.sub(lambda place: values[place[1]], template)


_ERROR_CODES = {502: "failed", 504: "timeout"}
