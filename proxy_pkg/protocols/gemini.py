"""Google Gemini: generateContent and its relatives."""

from proxy_pkg.protocols.grammar import (
    Api,
    CallPlace,
    Conversation,
    ErrorShape,
    LimitHeaders,
    Protocol,
    ResultPlace,
    UsageMap,
)

_ERROR: dict[str, object] = {"code": 0, "message": "{message}", "status": "{kind}"}
_BODY: dict[str, object] = {"error": _ERROR}
_RETRY: dict[str, object] = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "{retry_after}s"}

API = Api(
    name="gemini",
    marks=(b"x-goog-api-client", b"x-goog-api-key", b"x-goog-user-project", b"x-goog-upload-protocol"),
    credentials=(b"x-goog-api-key", b"authorization"),
    credential_parameter="key",
    errors=ErrorShape(
        body=_BODY,
        kinds={
            400: "INVALID_ARGUMENT",
            401: "UNAUTHENTICATED",
            403: "PERMISSION_DENIED",
            404: "NOT_FOUND",
            408: "DEADLINE_EXCEEDED",
            413: "INVALID_ARGUMENT",
            429: "RESOURCE_EXHAUSTED",
            500: "INTERNAL",
            502: "UNAVAILABLE",
            503: "UNAVAILABLE",
            504: "DEADLINE_EXCEEDED",
        },
        kind_otherwise="UNKNOWN",
        event=_BODY,
        body_with_retry={"error": _ERROR | {"details": [_RETRY]}},
        limits=LimitHeaders(
            limit=b"ratelimit-limit", remaining=b"ratelimit-remaining", reset=b"ratelimit-reset", reset_form="seconds"
        ),
    ),
)


def _response(holder: str) -> ResultPlace:
    return ResultPlace(parts="parts", holder=holder, id="id", text="response", leaves=True, name="name", by_order=True)


CONVERSATION = Conversation(
    items="contents",
    signs=(b'"functionCall"', b'"functionResponse"', b'"function_call"', b'"function_response"'),
    calls=(
        CallPlace(parts="parts", holder="functionCall", name="name", arguments="args"),
        CallPlace(parts="parts", holder="function_call", name="name", arguments="args"),
    ),
    results=(
        _response("functionResponse"),
        _response("function_response"),
    ),
    questions=(
        ResultPlace(parts="parts", id="", text="text"),
    ),  # the model's words too: parts do not say whose they are
)

USAGE = UsageMap(
    key="usageMetadata",
    input=(("promptTokenCount",), ("toolUsePromptTokenCount",)),
    cache_read=(("cachedContentTokenCount",),),
    output=(("candidatesTokenCount",), ("thoughtsTokenCount",)),
    input_has_cached=True,
    model="modelVersion",
    wrapped=True,  # by Code Assist
    in_list=True,
)

ENDINGS = ((r'"finishReason"\s*:\s*"', r'"usageMetadata"\s*:\s*\{'),)

GENERATE = Protocol(name="gemini_generate", api=API, conversation=CONVERSATION, usage=USAGE, endings=ENDINGS)

OTHER = Protocol(name="gemini_other", api=API)

INTERACTIONS = Protocol(
    name="gemini_other",
    api=API,
    names_model=True,
    usage=UsageMap(
        key="usage",
        input=(("total_input_tokens",), ("total_tool_use_tokens",)),
        cache_read=(("total_cached_tokens",),),
        output=(("total_output_tokens",), ("total_thought_tokens",)),
        input_has_cached=True,
        wrapped=True,  # by the event that ends a stream
    ),
    endings=((r'"interaction\.completed?"',), (r"\[DONE\]",)),
)
"""Interactions: what it holds is relayed unread, and what it costs is counted."""
