"""Traces and metrics for OpenTelemetry, where the settings ask for them and the `otel` extra is installed.

Nothing of OpenTelemetry is imported here: `otel.py`, which needs the extra, is loaded by name when tracing is on.
"""

import importlib
import logging
from typing import Final, Protocol
from urllib.parse import urlsplit

from msgspec import Struct
from multidict import CIMultiDict

from proxy_pkg.config.settings import Settings
from proxy_pkg.protocols.table import Match
from proxy_pkg.stats.reading import Server
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.web.usage import Usage

_ENGINE: Final = "proxy_pkg.web.otel"

logger = logging.getLogger("proxy_pkg")

Value = str | int | float


class Outcome(Struct):
    """What a request came to, as far as its span tells: no query, no header, no body, no error text of others."""

    id: str
    method: str
    path: str
    matched: Match
    origin: str
    model: str
    status: int
    record: RequestRecord
    usage: Usage | None = None


class Trace(Protocol):
    """The span of one request."""

    def pass_on(self, headers: "CIMultiDict[str]") -> None:
        """Name this span as the parent in the headers that go upstream."""
        ...

    def end(self, outcome: Outcome) -> None:
        """End it. Later calls do nothing."""
        ...


class Tracing(Protocol):
    """The tools of one worker. Its methods return at once; what they hand over waits in a bounded queue."""

    def begin(self, headers: list[tuple[bytes, bytes]]) -> Trace:
        """A span, whose parent is the one that the client's headers name."""
        ...

    async def publish(self, server: Server) -> None:
        """Send what the server has counted. Called in one worker alone, every few seconds."""
        ...

    async def close(self) -> None:
        """Send what waits, for at most `otel.CLOSE_SECONDS_MAX`."""
        ...


def open_tracing(settings: Settings) -> Tracing | None:
    """None where the settings do not ask for it, or the extra is missing, which check-config tells before a start."""
    if not settings.otel:
        return None
    try:
        engine = importlib.import_module(_ENGINE)
    except ImportError as error:
        logger.error("no traces are made: %s; pip install 'proxy_pkg[otel]'", error)
        return None
    tracing: Tracing = engine.OpenTelemetry(settings.otel_endpoint, settings.otel_sample_share)
    return tracing


def name_of(outcome: Outcome) -> str:
    """As the conventions have it: operation and model, or method and route."""
    if _is_generation(outcome):
        return f"{_operation(outcome)} {outcome.model}".rstrip()
    return f"{_method(outcome)} {outcome.record.route}"


def attributes_of(outcome: Outcome) -> dict[str, Value]:
    """The attributes of a span, named after the semantic conventions for HTTP and for generative AI."""
    record = outcome.record
    found: dict[str, Value] = {
        "http.request.method": _method(outcome),
        "http.route": record.route,
        "url.path": outcome.path,
        "http.request.body.size": record.request_bytes,
        "http.response.body.size": record.response_bytes,
        "headroom.request.id": outcome.id,
        "headroom.outcome": record.outcome,
        "headroom.client": record.client,
    }
    if outcome.status:
        found["http.response.status_code"] = outcome.status
    if outcome.origin:
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
    return found | (_generation(outcome) if _is_generation(outcome) else {})


def error_of(outcome: Outcome) -> str:
    """Why the request failed, as one word of few; empty if it did not."""
    record = outcome.record
    if record.failure_phase:
        return f"upstream_{record.failure_phase}"
    if record.refusal:
        return record.refusal
    if record.outcome == "client_gone":
        return "client_gone"
    return str(outcome.status) if outcome.status >= 400 else ""


def provider_of(protocol: str, api: str) -> str:
    """The provider's name in the conventions, for a protocol's name and its API's."""
    return next((name for word, name in _PROVIDERS.items() if word in (api, protocol.partition("_")[0])), api)


def _is_generation(outcome: Outcome) -> bool:
    protocol = outcome.matched.protocol
    return protocol.conversation is not None or protocol.frames is not None or outcome.record.route in _OPERATIONS


def _generation(outcome: Outcome) -> dict[str, Value]:
    protocol, record, usage = outcome.matched.protocol, outcome.record, outcome.usage
    found: dict[str, Value] = {
        "gen_ai.operation.name": _operation(outcome),
        "gen_ai.provider.name": provider_of(protocol.name, protocol.api.name),
    }
    if outcome.model:
        found["gen_ai.request.model"] = outcome.model
    if record.first_byte_ns:
        found["gen_ai.response.time_to_first_chunk"] = record.first_byte_ns / 1e9
    if usage is not None:
        found |= {
            "gen_ai.usage.input_tokens": usage.input_total,
            "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write,
            "gen_ai.usage.output_tokens": usage.output,
        }
    return found


def _operation(outcome: Outcome) -> str:
    return _OPERATIONS.get(outcome.record.route, "chat")


def _method(outcome: Outcome) -> str:
    return outcome.method if outcome.method in _METHODS else "_OTHER"


def _server(origin: str) -> dict[str, Value]:
    parts = urlsplit(origin)
    port = parts.port or (80 if parts.scheme in ("http", "ws") else 443)
    return {"server.address": parts.hostname or "", "server.port": port}


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
