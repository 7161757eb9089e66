"""How OpenTelemetry's semantic conventions name what became of a request: for HTTP, and for generative AI."""

from typing import Final
from urllib.parse import urlsplit

from proxy_pkg.telemetry.outcome import shown_path
from proxy_pkg.telemetry.tracing import Outcome

Value = str | int | float
Attributes = dict[str, Value]

SOCKET_ROUTE: Final = "websocket"
"""A socket lives on through many operations, so its length is that of none."""


def name_of(outcome: Outcome) -> str:
    """The name of a span: operation and model, or method and route."""
    if is_generation(outcome):
        return f"{operation_of(outcome)} {outcome.model}".rstrip()
    return f"{method_of(outcome)} {outcome.record.route}"


def attributes_of(outcome: Outcome) -> Attributes:
    """The attributes of a span."""
    record = outcome.record
    found: Attributes = {
        "http.request.method": method_of(outcome),
        "http.route": record.route,
        "url.path": shown_path(outcome.path),
        "http.request.body.size": record.request_bytes,
        "http.response.body.size": record.response_bytes,
        "headroom.request.id": outcome.id,
        "headroom.outcome": record.outcome,
        "headroom.client": record.client,
    }
    if outcome.status:
        found["http.response.status_code"] = outcome.status
    found |= _server(outcome.origin)
    if error := error_of(outcome):
        found["error.type"] = error
    if record.decision:
        found |= {
            "headroom.decision": record.decision,
            "headroom.decision.reason": record.decision_reason,
            "headroom.tokens.before": record.tokens_before,
            "headroom.tokens.after": record.tokens_after,
        }
    return found | (_generation(outcome) if is_generation(outcome) else {})


def operation_attributes(outcome: Outcome) -> Attributes:
    """What tells the operations of generative AI apart in metrics: operation, provider, model and the upstream."""
    protocol = outcome.matched.protocol
    found: Attributes = {
        "gen_ai.operation.name": operation_of(outcome),
        "gen_ai.provider.name": provider_of(protocol.name, protocol.api.name),
    }
    if outcome.model:
        found["gen_ai.request.model"] = outcome.model
    return found | _server(outcome.origin)


def request_attributes(outcome: Outcome) -> Attributes:
    """What tells requests apart in metrics of this server: method, route, status; and the fault, if it is one of the
    server's side, ours or the upstream's.
    """
    found: Attributes = {
        "http.request.method": method_of(outcome),
        "url.scheme": "http",
        "http.route": outcome.record.route,
    }
    if outcome.status:
        found["http.response.status_code"] = outcome.status
    error = error_of(outcome)
    if error and not _BAD_REQUEST <= outcome.status < _BAD_SERVER:
        found["error.type"] = error
    return found


def error_of(outcome: Outcome) -> str:
    """Why the request failed, as one word of few; empty if it did not."""
    record = outcome.record
    if record.answer_error:
        return record.answer_error
    if record.failure_phase:
        return f"upstream_{record.failure_phase}"
    if record.refusal:
        return record.refusal
    if record.outcome == "client_gone":
        return "client_gone"
    return str(outcome.status) if outcome.status >= _BAD_REQUEST else ""


def is_generation(outcome: Outcome) -> bool:
    """Whether the request is an operation of generative AI."""
    protocol = outcome.matched.protocol
    return protocol.conversation is not None or protocol.frames is not None or outcome.record.route in _OPERATIONS


def operation_of(outcome: Outcome) -> str:
    """The operation's name."""
    return _OPERATIONS.get(outcome.record.route, "chat")


def provider_of(protocol: str, api: str) -> str:
    """The provider's name, for a protocol's name and its API's."""
    return next((name for word, name in _PROVIDERS.items() if word in (api, protocol.partition("_")[0])), api)


def method_of(outcome: Outcome) -> str:
    """The method; clients may make up others, which are one."""
    return outcome.method if outcome.method in _METHODS else "_OTHER"


def _generation(outcome: Outcome) -> Attributes:
    record, usage = outcome.record, outcome.usage
    found = operation_attributes(outcome)
    if outcome.is_stream and record.first_byte_ns:
        found["gen_ai.response.time_to_first_chunk"] = record.first_byte_ns / 1e9
    if usage is not None:
        found |= {
            "gen_ai.usage.input_tokens": usage.input_total,
            "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write,
            "gen_ai.usage.output_tokens": usage.output,
        }
    return found


def _server(origin: str) -> Attributes:
    if not origin:
        return {}
    parts = urlsplit(origin)
    port = parts.port or (80 if parts.scheme in ("http", "ws") else 443)
    return {"server.address": parts.hostname or "", "server.port": port}


_BAD_REQUEST: Final = 400
_BAD_SERVER: Final = 500
_METHODS: Final = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"))
_OPERATIONS: Final = {"generate_content": "generate_content", "embeddings": "embeddings"}
"""Route -> the operation's name in the conventions; conversations are "chat"."""
_PROVIDERS: Final = {
    "vertex": "gcp.vertex_ai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "anthropic": "anthropic",
    "openai": "openai",
}
