"""Anthropic: the Messages API."""

from proxy_pkg.protocols.grammar import Api, CallPlace, Conversation, ErrorShape, Protocol, ResultPlace

API = Api(
    name="anthropic",
    marks=(b"anthropic-version", b"anthropic-beta"),
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
    ),
)

MESSAGES = Protocol(
    name="anthropic_messages",
    api=API,
    conversation=Conversation(
        items="messages",
        signs=(b'"tool_result"', b'"tool_use"'),
        forgetting=(b"clear_tool_uses", b"compact_"),
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
    ),
)

OTHER = Protocol(name="anthropic_other", api=API)
