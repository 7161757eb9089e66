"""Google Gemini: generateContent and its relatives."""

from proxy_pkg.protocols.grammar import Api, CallPlace, Conversation, ErrorShape, Protocol, ResultPlace

_BODY: dict[str, object] = {"error": {"code": 0, "message": "{message}", "status": "{kind}"}}

API = Api(
    name="gemini",
    marks=(b"x-goog-api-client", b"x-goog-api-key", b"x-goog-user-project"),
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
    ),
)

CONVERSATION = Conversation(
    items="contents",
    signs=(b'"functionCall"', b'"functionResponse"', b'"function_call"', b'"function_response"'),
    calls=(
        CallPlace(parts="parts", holder="functionCall", name="name", arguments="args"),
        CallPlace(parts="parts", holder="function_call", name="name", arguments="args"),
    ),
    results=(
        ResultPlace(parts="parts", holder="functionResponse", id="id", text="response", leaves=True, name="name"),
        ResultPlace(parts="parts", holder="function_response", id="id", text="response", leaves=True, name="name"),
    ),
)

GENERATE = Protocol(name="gemini_generate", api=API, conversation=CONVERSATION)

OTHER = Protocol(name="gemini_other", api=API)
