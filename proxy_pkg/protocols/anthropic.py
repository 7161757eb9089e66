"""Anthropic: the Messages API."""

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

API = Api(
    name="anthropic",
    marks=(b"anthropic-version", b"anthropic-beta"),
    credentials=(b"x-api-key", b"authorization"),
    errors=ErrorShape(
        body={
            "type": "error",
            "error": {"type": "{kind}", "message": "{message}"},
            "request_id": "{request_id}",
        },
        kinds={
            400: "invalid_request_error",
            401: "authentication_error",
            403: "permission_error",
            404: "not_found_error",
            408: "timeout_error",
            413: "request_too_large",
            429: "rate_limit_error",
            503: "overloaded_error",
            504: "timeout_error",
        },
        kind_otherwise="api_error",
        event={"type": "error", "error": {"type": "{kind}", "message": "{message}"}},
        event_name="error",
        limits=LimitHeaders(
            limit=b"anthropic-ratelimit-{kind}-limit",
            remaining=b"anthropic-ratelimit-{kind}-remaining",
            reset=b"anthropic-ratelimit-{kind}-reset",
            reset_form="time",
        ),
    ),
)

EDITS_AT = b'"context_management"'
EDITS_SPARING = ("clear_thinking_20251015",)

MESSAGES = Protocol(
    name="anthropic_messages",
    api=API,
    endings=((r'"message_stop"',),),
    usage=UsageMap(
        key="usage",
        input=(("input_tokens",),),
        cache_read=(("cache_read_input_tokens",),),
        cache_write=(("cache_creation_input_tokens",),),
        cache_write_1h=(("cache_creation", "ephemeral_1h_input_tokens"),),
        output=(("output_tokens",),),
        # Summing up a conversation that has grown too long reads all of it, and is paid beside the answer.
        apart=("iterations", ("compaction",)),
        wrapped=True,
        is_split=True,
    ),
    conversation=Conversation(
        items="messages",
        signs=(b'"tool_result"', b'"tool_use"'),
        forgetting=(b"clear_tool_uses", b"compact_"),
        edits_at=EDITS_AT,
        edits_sparing=EDITS_SPARING,
        calls=(CallPlace(parts="content", when=("type", ("tool_use",)), name="name", arguments="input"),),
        results=(
            ResultPlace(
                parts="content",
                when=("type", ("tool_result",)),
                id="tool_use_id",
                text="content",
                text_types=("text",),
            ),
        ),
        questions=(ResultPlace(when=("role", ("user",)), id="", text="content", text_types=("text",)),),
    ),
)

OTHER = Protocol(name="anthropic_other", api=API)
