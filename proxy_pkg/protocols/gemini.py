"""Google Gemini: generateContent and its relatives."""

from msgspec.structs import replace

from proxy_pkg.protocols.grammar import (
    Api,
    CallPlace,
    Conversation,
    Envelope,
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
    return ResultPlace(
        parts="parts", holder=holder, id="id", text="response", leaves=True, records=True, name="name", by_order=True
    )


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

# Where the whole request is given, the API ignores the contents beside it.
_COUNTED = replace(
    CONVERSATION,
    envelopes=(Envelope(("generateContentRequest",)), Envelope(("generate_content_request",))),
)
COUNT = replace(GENERATE, conversation=_COUNTED)
"""countTokens: the contents alone, or the whole request whose tokens are asked for."""

OTHER = Protocol(name="gemini_other", api=API)

_RESULT = ResultPlace(
    when=("type", ("function_result",)),
    id="call_id",
    text="result",
    text_types=("text",),
    leaves_of_object=True,
    name="name",
)
_CALL = CallPlace(when=("type", ("function_call",)), name="name", arguments="arguments")
_QUESTION = ResultPlace(when=("type", ("user_input",)), id="", text="content", text_types=("text",))

INTERACTIONS = Protocol(
    name="gemini_interactions",
    api=API,
    names_model=True,
    conversation=Conversation(
        items="input",
        # What tools of the service gave comes back with signatures, and is no client's result.
        signs=(b'"function_call"', b'"function_result"'),
        calls=(_CALL, replace(_CALL, parts="content")),
        results=(_RESULT, replace(_RESULT, parts="content")),
        questions=(_QUESTION, ResultPlace(when=("role", ("user",)), id="", text="content", text_types=("text",))),
    ),
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
"""Interactions: its input is a list of steps, and was one of turns that hold them as their content."""
