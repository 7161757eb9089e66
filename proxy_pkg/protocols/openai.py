"""OpenAI: what its two request formats share."""

from proxy_pkg.protocols.grammar import Api, ErrorShape, LimitHeaders, Protocol, UsageMap

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    429: "rate_limit_exceeded",
}

_LIMITS = LimitHeaders(
    limit=b"x-ratelimit-limit-{kind}",
    remaining=b"x-ratelimit-remaining-{kind}",
    reset=b"x-ratelimit-reset-{kind}",
    reset_form="duration",
)
_CREDENTIALS = (b"authorization", b"api-key")

API = Api(
    name="openai",
    marks=(b"openai-beta", b"openai-organization", b"openai-project"),
    credentials=_CREDENTIALS,
    errors=ErrorShape(
        body={"error": {"message": "{message}", "type": "{kind}", "param": None, "code": "{code}"}},
        kinds=_KINDS,
        kind_otherwise="server_error",
        event={"error": {"message": "{message}", "type": "{kind}", "param": None, "code": "{code}"}},
        limits=_LIMITS,
    ),
)

RESPONSES_API = Api(
    name="openai",
    credentials=_CREDENTIALS,
    errors=ErrorShape(
        body=API.errors.body,
        kinds=_KINDS,
        kind_otherwise="server_error",
        event={"type": "error", "code": "{code}", "message": "{message}", "param": None},
        event_name="error",
        limits=_LIMITS,
    ),
)

OTHER = Protocol(name="openai_other", api=API)

NAMING = Protocol(name="openai_other", api=API, names_model=True)
"""Paths without a conversation whose JSON bodies name a model."""

COUNTED = Protocol(
    name="openai_other",
    api=API,
    names_model=True,
    # In the words of Completions and Embeddings, or of Responses.
    usage=UsageMap(
        key="usage",
        input=(("prompt_tokens",), ("input_tokens",)),
        cache_read=(("prompt_tokens_details", "cached_tokens"), ("input_tokens_details", "cached_tokens")),
        cache_write=(("input_tokens_details", "cache_write_tokens"),),
        output=(("completion_tokens",), ("output_tokens",)),
        input_has_cached=True,
        wrapped=True,
    ),
    endings=((r"\[DONE\]",),),
)
"""Those of them whose answers tell usage."""
