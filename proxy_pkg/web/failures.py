"""Errors of ours as replies: always in the shape of the API that was called, always with a code that names us."""

from typing import Any

import msgspec

from proxy_pkg.errors import RefusedError, RelayError, UpstreamTimeoutError
from proxy_pkg.protocols.grammar import ErrorShape
from proxy_pkg.relay.pump import Message, Send

CODE_PREFIX = "headroom_"

_POLICY = 1008


class Failure(msgspec.Struct, frozen=True):
    """What to tell a client: `code` names the cause for programs, `message` says what to do."""

    status: int
    code: str
    message: str
    retry_after_seconds: int = 0


def failure_of(error: RefusedError | RelayError) -> Failure:
    """The reply for an error that ended a request."""
    if isinstance(error, RefusedError):
        return Failure(error.status, error.code, str(error), error.retry_after_seconds)
    status = 504 if isinstance(error, UpstreamTimeoutError) else 502
    return Failure(status, f"upstream_{_ERROR_CODES[status]}", f"The proxy got no complete answer: {error}.")


def reply_body(shape: ErrorShape, failure: Failure, request_id: str) -> bytes:
    """The JSON body of an error reply."""
    return msgspec.json.encode(_fill(shape.body, shape, failure, request_id))


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


def _fill(template: Any, shape: ErrorShape, failure: Failure, request_id: str) -> Any:
    if isinstance(template, dict):
        return {
            key: failure.status if key == "code" and value == 0 else _fill(value, shape, failure, request_id)
            for key, value in template.items()
        }
    values = {
        "{message}": failure.message,
        "{kind}": shape.kinds.get(failure.status, shape.kind_otherwise),
        "{code}": CODE_PREFIX + failure.code,
        "{request_id}": request_id,
    }
    return values.get(template, template) if isinstance(template, str) else template


_ERROR_CODES = {502: "failed", 504: "timeout"}
