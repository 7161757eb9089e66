"""Which protocol and API a request is for: by its path first."""

from collections.abc import Mapping

import pytest

from proxy_pkg.protocols import table
from proxy_pkg.protocols.table import Match


def match(method: str, path: str, names: tuple[bytes, ...], named: Mapping[str, str] | None = None) -> Match | None:
    """With the names of headers alone."""
    return table.match(method, path, [(name, b"x") for name in names], named or {})


CONVERSATIONS = [
    ("/v1/messages", "anthropic_messages"),
    ("/v1/messages/count_tokens", "anthropic_messages"),
    ("/v1/chat/completions", "openai_chat"),
    ("/chat/completions", "openai_chat"),
    ("/v1/responses", "openai_responses"),
    ("/v1/responses/compact", "openai_responses"),
    ("/responses/compact", "openai_responses"),
    ("/openai/v1/responses/compact", "openai_responses"),
    ("/v1beta/interactions", "gemini_interactions"),
    ("/v1/interactions", "gemini_interactions"),
    ("/v1beta/models/gemini-2.5-pro:generateContent", "gemini_generate"),
    ("/v1beta/models/gemini-2.5-pro:streamGenerateContent", "gemini_generate"),
    ("/v1/models/gemini-2.5-pro:streamGenerateContent", "gemini_generate"),
    ("/v1beta/models/gemini-2.5-pro:countTokens", "gemini_generate"),
    ("/v1beta/tunedModels/mine:generateContent", "gemini_generate"),
    ("/anthropic/v1/messages", "anthropic_messages"),
    ("/openai/v1/responses", "openai_responses"),
    ("/gemini/v1beta/models/m:generateContent", "gemini_generate"),
]


@pytest.mark.parametrize(("path", "protocol"), CONVERSATIONS)
def test_conversations_are_known_by_their_path_alone(path: str, protocol: str) -> None:
    found = match("POST", path, ())
    assert found is not None
    assert found.protocol.name == protocol
    assert found.protocol.conversation is not None


@pytest.mark.parametrize(("path", "protocol"), CONVERSATIONS)
def test_another_method_on_the_same_path_is_relayed_as_it_is(path: str, protocol: str) -> None:
    found = match("GET", path, ())
    assert found is not None
    assert found.protocol.conversation is None
    assert found.protocol.api.name == protocol.split("_")[0]


PASSTHROUGH = [
    ("/v1/messages/batches", "anthropic"),
    ("/v1/messages/batches/msgbatch_1/results", "anthropic"),
    ("/api/hello", "anthropic"),
    ("/v1/embeddings", "openai"),
    ("/v1/images/generations", "openai"),
    ("/v1/audio/speech", "openai"),
    ("/v1/batches", "openai"),
    ("/v1/responses/resp_1/cancel", "openai"),
    ("/v1/vector_stores/x", "openai"),
    ("/v1/models", "openai"),
    ("/v1beta/models", "gemini"),
    ("/v1beta/models/m:embedContent", "gemini"),
    ("/v1beta/models/m:batchGenerateContent", "gemini"),
    ("/upload/v1beta/files", "gemini"),
    ("/v1/models/m:embedContent", "gemini"),
    ("/v1alpha/cachedContents", "gemini"),
]


@pytest.mark.parametrize(("path", "api"), PASSTHROUGH)
def test_every_other_path_of_the_apis_is_relayed_as_it_is(path: str, api: str) -> None:
    for method in ("GET", "POST", "DELETE", "PATCH"):
        found = match(method, path, ())
        assert found is not None
        assert (found.protocol.api.name, found.protocol.conversation) == (api, None)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/x", "/v1/files", "/v1/files/file_1/content", "/v1/new"])
def test_a_path_that_several_apis_have_is_told_by_a_header_only_one_of_them_has(path: str) -> None:
    names = {
        name: match("GET", path, headers).protocol.api.name  # type: ignore[union-attr]
        for name, headers in {
            "anthropic": (b"authorization", b"anthropic-version"),
            "gemini": (b"x-goog-api-client",),
            "openai": (b"authorization",),
        }.items()
    }
    assert names == {"anthropic": "anthropic", "gemini": "gemini", "openai": "openai"}


def test_credentials_do_not_choose_the_api_of_a_known_path() -> None:
    for headers in ((b"x-api-key",), (b"authorization",), (b"x-goog-api-key",), (b"anthropic-version",)):
        found = match("POST", "/v1/chat/completions", headers)
        assert found is not None
        assert found.protocol.name == "openai_chat"


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "*", "", "/anthropic", "/anthropicx/v1/messages", "/v2/x"])
def test_a_path_of_no_api_is_nowhere(path: str) -> None:
    assert match("GET", path, ()) is None


def test_a_prefix_is_taken_off_before_the_request_goes_on() -> None:
    found = match("GET", "/anthropic/v1/anything", ())
    assert found is not None
    assert (found.prefix, found.protocol.api.name) == ("/anthropic", "anthropic")
    other = match("POST", "/anthropic/v1/chat/completions", ())
    assert other is not None
    assert other.protocol.api.name == "anthropic"
    assert other.protocol.conversation is None


CLOUDS = [
    ("/openai/deployments/d/chat/completions", "openai", "openai_chat", "d"),
    (
        "/v1/projects/p/locations/l/publishers/anthropic/models/claude@1:rawPredict",
        "vertex",
        "anthropic_messages",
        "claude@1",
    ),
    ("/v1/projects/p/locations/l/publishers/anthropic/models/c:streamRawPredict", "vertex", "anthropic_messages", "c"),
    ("/v1/projects/p/locations/l/publishers/google/models/g:countTokens", "vertex", "gemini_generate", "g"),
    ("/v1beta1/publishers/google/models/g:streamGenerateContent", "vertex", "gemini_generate", "g"),
    ("/v1/projects/p/locations/l/endpoints/1234:generateContent", "vertex", "gemini_generate", "1234"),
    ("/v1beta1/projects/p/locations/l/endpoints/openapi/chat/completions", "vertex", "openai_chat", ""),
    (
        "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
        "vertex",
        "anthropic_messages",
        "",
    ),
    ("/v1beta1/projects/p/locations/l/interactions", "vertex", "gemini_interactions", ""),
    ("/model/anthropic.claude-v1:0/invoke", "bedrock", "bedrock_invoke", "anthropic.claude-v1:0"),
    (
        "/model/arn:aws:bedrock:r:1:p/x/invoke-with-response-stream",
        "bedrock",
        "bedrock_invoke",
        "arn:aws:bedrock:r:1:p/x",
    ),
    ("/model/openai.gpt-oss-120b-1:0/count-tokens", "bedrock", "bedrock_converse", "openai.gpt-oss-120b-1:0"),
    ("/model/amazon.nova-pro-v1:0/converse", "bedrock", "bedrock_converse", "amazon.nova-pro-v1:0"),
    ("/model/arn:aws:bedrock:r:1:p/x/converse-stream", "bedrock", "bedrock_converse", "arn:aws:bedrock:r:1:p/x"),
    ("/backend-api/codex/responses", "chatgpt", "openai_responses", ""),
    ("/backend-api/codex/responses/compact", "chatgpt", "openai_responses", ""),
    ("/v1internal:countTokens", "code_assist", "gemini_generate", ""),
    ("/v1internal:generateContent", "code_assist", "gemini_generate", ""),
    ("/v1beta/models/gemini-3:generateContent", "gemini", "gemini_generate", "gemini-3"),
]


@pytest.mark.parametrize(("path", "api", "protocol", "model"), CLOUDS)
def test_a_format_at_another_service_goes_to_that_service(path: str, api: str, protocol: str, model: str) -> None:
    found = match("POST", path, (b"anthropic-version", b"x-goog-api-key"))
    assert found is not None
    assert (found.protocol.api.name, found.protocol.name, found.model) == (api, protocol, model)
    assert found.protocol.conversation is not None
    assert found.prefix == ""


@pytest.mark.parametrize("path", [path for path, *_ in CLOUDS])
def test_other_methods_there_are_relayed_as_they_are_to_the_same_service(path: str) -> None:
    posted, got = match("POST", path, ()), match("GET", path, ())
    assert posted is not None
    assert got is not None
    assert (got.protocol.api.name, got.protocol.conversation) == (posted.protocol.api.name, None)


NAMED = {"/u/a": "anthropic", "/u/o": "openai"}


def test_a_named_upstream_takes_every_path_and_no_other_name_does() -> None:
    for path in ("/v1/messages", "/openai/v1/responses", "/v1beta/models/m:generateContent", "/x", "/"):
        found = match("POST", "/u/o" + path, (), NAMED)
        assert found is not None
        assert found.prefix == "/u/o"
        for other in ("/u/O", "/u/oo", "/u/", "/u//o", "/u/b"):
            assert match("POST", other + path, (), NAMED) is None
        assert match("POST", "/u/o" + path, ()) is None


def test_behind_a_name_the_path_gives_the_format_and_the_settings_the_rest() -> None:
    conversation = match("POST", "/u/o/v1/messages", (), NAMED)
    assert conversation is not None
    assert conversation.protocol.name == "anthropic_messages"
    other = match("GET", "/u/a/v1/models", (b"x-goog-api-client",), NAMED)
    assert other is not None
    assert other.protocol.api.name == "anthropic"
    assert match("GET", "/u/a", (), NAMED) is None
