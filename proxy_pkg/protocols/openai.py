"""OpenAI: what its two request formats share."""

from proxy_pkg.protocols.grammar import Api, ErrorShape, Protocol

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    429: "rate_limit_exceeded",
}

API = Api(
    name="openai",
    errors=ErrorShape(
        body={"error": {"message": "{message}", "type": "{kind}", "param": None, "code": "{code}"}},
        kinds=_KINDS,
        kind_otherwise="server_error",
        event={"error": {"message": "{message}", "type": "{kind}", "param": None, "code": "{code}"}},
    ),
)

RESPONSES_API = Api(
    name="openai",
    errors=ErrorShape(
        body=API.errors.body,
        kinds=_KINDS,
        kind_otherwise="server_error",
        event={"type": "error", "code": "{code}", "message": "{message}", "param": None},
        event_name="error",
    ),
)

OTHER = Protocol(name="openai_other", api=API)
