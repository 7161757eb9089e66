"""What Headroom's environment variables mean here, beside those that are settings of ours under the same name.

People who come from Headroom have them set, and some say "do not change this", "do not send this" or "do not store
this". Such a name is never passed over: it is applied to a setting of ours, it holds here in any case, or the server
refuses to start and says what to set instead. docs/from-headroom.md has the same tables.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

TRUE: Final = frozenset(("true", "1", "yes", "on", "enabled"))
"""The words that Headroom takes for true; all others are false to it."""
CHARS_LEFT_ALONE_ANYWAY: Final = 160
"""Tool results below so many characters are never changed (planning/policy.py)."""


def is_true(text: str) -> bool:
    """Whether Headroom would take `text` for true."""
    return text.strip().lower() in TRUE


def _is_false(text: str) -> bool:
    return not is_true(text)


def _is_set(_text: str) -> bool:
    return True


def _above(most: int) -> Callable[[str], bool]:
    """Whether a text is anything but a whole number up to `most`."""
    return lambda text: not (text.strip().isdecimal() and int(text) <= most)


def _is_none_of(*words: str) -> Callable[[str], bool]:
    return lambda text: text.strip().lower() not in words


class Refusal(Struct, frozen=True):
    """A name that asks for what this server cannot give: which values do, these in words, and what to
    do about it.
    """

    asks: Callable[[str], bool]
    words: str
    text: str


APPLIED: Final = {
    "HEADROOM_OPTIMIZE": "false: `compression = off`",
    "HEADROOM_MODE": "`off`, `passthrough`: `compression = off`; `audit`, `observe`, `simulate`: `compression = "
    "observe`; `token`, `cache` and their old names change nothing: what was sent once is sent the same way again "
    "in any case; other words are refused",
    "HEADROOM_LOSSLESS_COMPACTION": "false: `compression = off`, for there are no other forms than lossless ones",
    "HEADROOM_PROTECT_TOOL_RESULTS": "added to `compression_exact_tools`",
    "HEADROOM_DEDUPE": "false: `compression_references = false`",
    "HEADROOM_HTTP_PROXY": "`upstream_https_proxy_url` and `upstream_http_proxy_url`",
    "HEADROOM_STATELESS": "true: `state_dir` is made in memory, below /dev/shm",
}
"""Name -> what it does to our settings (headroom.py)."""

NOT_BESIDE: Final = {
    "HEADROOM_LOSSLESS": "true goes with any level but `balanced`",
    "HEADROOM_LOSSLESS_ONLY": "true goes with any level but `balanced`",
    "HEADROOM_RATE_LIMIT_ENABLED": "false does not go with limits of requests or tokens",
    "HEADROOM_RETRY_MAX_ATTEMPTS": "0 or 1 does not go with `retry_attempts_max`",
    "HEADROOM_OTEL_METRICS_ENABLED": "false does not go with `otel = true`",
}
"""Names that hold here in any case, unless a setting of ours says the opposite: then the start is refused."""

_ONE_RULE: Final = (
    "here what is sent for a result is the same on every turn, so that nothing can depend on how recent it is or what "
    "was asked: name the tools whose results must stay as they are in HEADROOM_EXCLUDE_TOOLS, set "
    "HEADROOM_PROTECT_READS=true for files, or HEADROOM_COMPRESSION=off; then unset this name"
)
_TABLES: Final = (
    "here arrays of records are written as tables, each value kept, and this cannot be switched off by itself: name "
    "the tools in HEADROOM_EXCLUDE_TOOLS, or set HEADROOM_COMPRESSION=off; then unset this name"
)
_CHARACTERS: Final = (
    "here the least size is told in tokens: set HEADROOM_MIN_TOKENS (a token is about four characters), then unset "
    "this name"
)
_EXTENSIONS: Final = (
    "extensions of Headroom do not run here, and what they keep from being sent would be sent: unset this name if you "
    "can do without them"
)

REFUSED: Final = {
    "HEADROOM_PROTECT_RECENT": Refusal(_above(0), "above 0", _ONE_RULE),
    "HEADROOM_PROTECT_ANALYSIS_CONTEXT": Refusal(is_true, "yes", _ONE_RULE),
    "HEADROOM_COMPRESSORS": Refusal(
        _is_none_of("*"),
        "any but `*`",
        "here compressors cannot be chosen one by one: name the tools whose results must stay as they are in "
        "HEADROOM_EXCLUDE_TOOLS, or set HEADROOM_COMPRESSION; then unset this name",
    ),
    "HEADROOM_MIN_CHARS_FOR_BLOCK": Refusal(_above(CHARS_LEFT_ALONE_ANYWAY), "above 160", _CHARACTERS),
    "HEADROOM_MCP_RESULT_MIN_CHARS": Refusal(_above(CHARS_LEFT_ALONE_ANYWAY), "above 160", _CHARACTERS),
    "HEADROOM_SMART_CRUSHER_COMPACTION": Refusal(_is_false, "no", _TABLES),
    "HEADROOM_WS_FAIL_OPEN_ON_COMPRESSION_FAILURE": Refusal(
        _is_false,
        "no",
        "here a message that cannot be compressed goes on as it came, always; unset this name if that will do",
    ),
    "HEADROOM_BACKEND": Refusal(
        _is_none_of("anthropic"),
        "any but `anthropic`",
        "requests go to the API that their path belongs to, not to one backend: set BEDROCK_TARGET_API_URL, "
        "VERTEX_TARGET_API_URL or a table [upstreams.NAME] (docs/settings.md), then unset this name",
    ),
    "HEADROOM_CODEX_UPSTREAM_BASE_URL": Refusal(
        _is_set, "any", "set CHATGPT_TARGET_API_URL or OPENAI_TARGET_API_URL instead, then unset this name"
    ),
    "HEADROOM_MODEL_ROUTER_ENABLED": Refusal(
        is_true,
        "yes",
        "requests go by model where a table [upstreams.NAME] with `models` says so (docs/settings.md); write one, then "
        "unset this name",
    ),
    "HEADROOM_UDS": Refusal(
        _is_set,
        "any",
        "this server listens on a TCP port, not on a socket of the file system: set HEADROOM_HOST and HEADROOM_PORT, "
        "then unset this name",
    ),
    "HEADROOM_PROXY_EXTENSIONS": Refusal(_is_set, "any", _EXTENSIONS),
    "HEADROOM_PIPELINE_EXTENSIONS": Refusal(_is_set, "any", _EXTENSIONS),
    "HEADROOM_WS_ORIGINS": Refusal(
        _is_none_of("*"),
        "any but `*`",
        "here WebSockets are not told apart by their origin: set HEADROOM_PROXY_TOKEN, which no page in a browser can "
        "send with a WebSocket, then unset this name",
    ),
}
"""Name -> which values keep the server from starting, and what to do."""

_NO_MODEL: Final = "no model takes part in compression"
_NO_CLOUD: Final = "nothing is sent but the clients' requests, and what OpenTelemetry or Redis are set to"
_NO_MEMORY: Final = "no memory of conversations is kept, nor added to a request"
_NO_TOOL: Final = "no tool is added to a request, and no marker that would need one"
_NO_TEXT_KEPT: Final = "no text of a request or an answer is kept when it has been relayed"
_NO_BODY_LOGGED: Final = "no body is ever logged or written to a file"
_TOOL_RESULTS_ALONE: Final = "only the results of tools are ever changed"
_NOTHING_LOST: Final = "a server sends nothing that a client could not have again"
_NO_CHOICE: Final = "no request can name an address to go to"

HOLDS_IF_FALSE: Final = {
    "HEADROOM_BACKGROUND_COMPRESSION": _NO_MODEL,
    "HEADROOM_BEACON": _NO_CLOUD,
    "HEADROOM_BETA_HEADER_STICKY": "headers go as they came",
    "HEADROOM_BINARIES_ALLOW_UNVERIFIED": "no programs are fetched",
    "HEADROOM_CACHE_ENABLED": "no answer is ever given out of a cache",
    "HEADROOM_CACHE_TTL_LEARN": "nothing is learnt from requests",
    "HEADROOM_CCR_INLINE_RESOLVE": _NO_TOOL,
    "HEADROOM_CCR_TOOL_INJECTION": _NO_TOOL,
    "HEADROOM_CODEX_WIRE_DEBUG": _NO_BODY_LOGGED,
    "HEADROOM_CODE_AWARE_ENABLED": "code is never shortened by its syntax",
    "HEADROOM_CODE_MEMORY": _NO_MEMORY,
    "HEADROOM_COLD_RECOMPACT": "what was sent once is sent the same way again",
    "HEADROOM_COMPRESSION_CACHE_DISK": _NO_TEXT_KEPT,
    "HEADROOM_COMPRESS_ALLOW_REMOTE": "/v1/compress answers this machine, or whoever has the proxy's token",
    "HEADROOM_COMPRESS_PASSTHROUGH": "what goes to an address that nobody configured is refused",
    "HEADROOM_COMPRESS_SESSION_STORE": _NO_TEXT_KEPT,
    "HEADROOM_COMPRESS_SYSTEM_MESSAGES": _TOOL_RESULTS_ALONE,
    "HEADROOM_COMPRESS_USER_MESSAGES": _TOOL_RESULTS_ALONE,
    "HEADROOM_CONTEXT_GUARD": "answers go through as they came",
    "HEADROOM_DEBUG_DUMP": _NO_BODY_LOGGED,
    "HEADROOM_DIAGNOSTICS": _NO_CLOUD,
    "HEADROOM_FORCE_KOMPRESS": _NO_MODEL,
    "HEADROOM_FORCE_KOMPRESS_ALL": _NO_MODEL,
    "HEADROOM_HTTP2": "upstreams are spoken to in HTTP/1.1",
    "HEADROOM_INTERCEPT_ENABLED": "tools are never intercepted",
    "HEADROOM_INTERCEPT_TOOL_RESULTS": "tools are never intercepted",
    "HEADROOM_LANGFUSE_ENABLED": _NO_CLOUD,
    "HEADROOM_LOG_MESSAGES": _NO_BODY_LOGGED,
    "HEADROOM_LOG_PAYLOAD_PREVIEW": _NO_BODY_LOGGED,
    "HEADROOM_LOSSLESS_THEN_LOSSY": _NOTHING_LOST,
    "HEADROOM_MEMORY": _NO_MEMORY,
    "HEADROOM_MEMORY_ENABLED": _NO_MEMORY,
    "HEADROOM_MEMORY_INJECTION_MODE": _NO_MEMORY,
    "HEADROOM_OUTPUT_SHAPER": "nothing is added to a prompt",
    "HEADROOM_PERIODIC_TOIN_STATS": _NO_CLOUD,
    "HEADROOM_READ_MATURATION": "what was sent once is sent the same way again",
    "HEADROOM_SYSTEM_COMPACT": _TOOL_RESULTS_ALONE,
    "HEADROOM_TELEMETRY": _NO_CLOUD,
    "HEADROOM_TEXT_CRUSHER": "prose is never shortened",
    "HEADROOM_THINKING_COMPACT": _TOOL_RESULTS_ALONE,
    "HEADROOM_TOOL_DESC_STRIP_SEMANTIC": "descriptions of tools are never changed",
    "HEADROOM_TOOL_INJECTION_STICKY": _NO_TOOL,
    "HEADROOM_TOOL_SEARCH": "the list of tools is never changed",
    "HEADROOM_UPDATE_CHECK": _NO_CLOUD,
    "HEADROOM_USAGE_REPORTING": _NO_CLOUD,
    "HEADROOM_VERBOSITY_AUTOTUNE": "nothing is added to a prompt",
}
"""Names whose "no" holds here in any case -> what holds. A "yes" is warned of: it asks for what is not here."""

HOLDS_IF_TRUE: Final = {
    "HEADROOM_BINARIES_OFFLINE": "no programs are fetched",
    "HEADROOM_CACHE_CONTROL_TTL_GUARD": "marks for the provider's cache are never changed",
    "HEADROOM_DISABLE_KOMPRESS": _NO_MODEL,
    "HEADROOM_DISABLE_KOMPRESS_ANTHROPIC": _NO_MODEL,
    "HEADROOM_DISABLE_KOMPRESS_FALLBACK": _NO_MODEL,
    "HEADROOM_DISABLE_KOMPRESS_OPENAI": _NO_MODEL,
    "HEADROOM_FREEZE_BLOCK_DECISION": "what was sent once is sent the same way again",
    "HEADROOM_HF_PIN": "no models are fetched",
    "HEADROOM_NO_CCR": _NO_TOOL,
    "HEADROOM_NO_CCR_PROACTIVE_EXPANSION": _NO_TOOL,
    "HEADROOM_NO_MEMORY_CONTEXT": _NO_MEMORY,
    "HEADROOM_NO_MEMORY_TOOLS": _NO_MEMORY,
    "HEADROOM_NO_SUBSCRIPTION_TRACKING": _NO_CLOUD,
    "HEADROOM_OFFLINE": _NO_CLOUD,
    "HEADROOM_SKIP_UPSTREAM_CHECK": "no upstream is asked before a request goes there",
    "HEADROOM_STRIP_INTERNAL_HEADERS": "no header that begins with x-headroom- goes to an upstream",
    "HEADROOM_TELEMETRY_DISABLED": _NO_CLOUD,
    "HEADROOM_THINKING_PRESERVING_MUTATIONS": _TOOL_RESULTS_ALONE,
    "HEADROOM_TLS_STRICT": "certificates of upstreams are always checked",
}
"""The same for names whose "yes" holds here in any case."""

HOLDS_ALWAYS: Final = {
    "HEADROOM_ACCURACY_GUARD": _NOTHING_LOST,
    "HEADROOM_ALLOWED_BASE_URLS": _NO_CHOICE,
    "HEADROOM_CCR_TENANT_PREFIX": _NO_TEXT_KEPT,
    "HEADROOM_CCR_TTL_SECONDS": _NO_TEXT_KEPT,
    "HEADROOM_CORS_ORIGINS": "no other origin is allowed to read answers in a browser",
    "HEADROOM_DISABLE_FEATURES": "none of these features is here",
    "HEADROOM_KOMPRESS_MUST_KEEP": _NOTHING_LOST,
    "HEADROOM_PROXY_AUTH_MODE_POLICY_ENFORCEMENT": _NOTHING_LOST,
    "HEADROOM_TENANT_KEY_HEADER": _NO_TEXT_KEPT,
    "HEADROOM_TOIN_BACKEND": _NO_CLOUD,
    "HEADROOM_TOOL_PROFILES": _NOTHING_LOST,
    "HEADROOM_UPSTREAM_ALLOWED_HOSTS": _NO_CHOICE,
}
"""The same for names whose every value does."""
