"""Base URLs as people write them: whatever the client's and the target's look like, the upstream sees one path."""

from typing import Any

import pytest
from msgspec import structs

from proxy_pkg.config.load import load
from proxy_pkg.errors import RefusedError
from proxy_pkg.model import Upstream
from proxy_pkg.protocols import openai
from proxy_pkg.web.places import Places

HOST = "https://host.example"
AZURE = "https://x.openai.azure.com"
Pairs = list[tuple[bytes, bytes]]


def places(target: str, named: str = "") -> Places:
    settings = load({}).settings
    names = ("anthropic", "openai", "gemini", "vertex", "bedrock", "chatgpt", "code_assist")
    upstreams = (Upstream("n", named, "openai"),) if named else ()
    return Places(
        structs.replace(settings, upstreams=upstreams, **{f"{name}_target_api_url": target for name in names})
    )


def scope(path: str, headers: Pairs, method: str = "POST") -> dict[str, Any]:
    path, _, query = path.partition("?")
    return {
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": headers,
    }


def sent(target: str, path: str, headers: Pairs | None = None, named: str = "") -> tuple[str, str]:
    """The URL that is asked, and the protocol."""
    found, asked = places(target, named), scope(path, headers or [])
    matched = found.match(asked)
    assert matched is not None, path
    return found.url(found.origin(matched), matched, asked), matched.protocol.name


TARGETS = [HOST, HOST + "/v1", HOST + "/gateway", HOST + "/gateway/v1", HOST + "/a/b/v1"]
BASES = ["", "/", "//", "/v1", "/v1/"]
CALLS = [
    ("anthropic", "/v1/messages", "anthropic_messages"),
    ("anthropic", "/messages", "anthropic_messages"),
    ("anthropic", "/v1/messages/count_tokens", "anthropic_messages"),
    ("anthropic", "/v1/messages/batches", "anthropic_other"),
    ("openai", "/chat/completions", "openai_chat"),
    ("openai", "/v1/chat/completions", "openai_chat"),
    ("openai", "/responses", "openai_responses"),
    ("openai", "/v1/responses", "openai_responses"),
    ("openai", "/embeddings", "openai_other"),
    ("openai", "/models", "openai_other"),
    ("openai", "/realtime", "openai_realtime"),
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("prefixed", [False, True])
@pytest.mark.parametrize(("api", "call", "protocol"), CALLS)
def test_every_spelling_of_a_base_url_gives_one_path(
    api: str, call: str, protocol: str, prefixed: bool, base: str, target: str
) -> None:
    path = (f"/{api}" if prefixed else "") + base + call
    if base == "" and prefixed is False:
        assert path == call
    url = target.removesuffix("/v1") + "/v1/" + call.removeprefix("/v1").lstrip("/")
    assert sent(target, path) == (url, protocol)
    assert sent(target, path + "?a=b%2Fc") == (url + "?a=b%2Fc", protocol)


GEMINI_CALLS = ["/models/m:generateContent", "/models/m:embedContent"]


@pytest.mark.parametrize("target", [HOST, HOST + "/v1beta", HOST + "/v1", HOST + "/gw", HOST + "/gw/v1beta"])
@pytest.mark.parametrize("base", ["", "/", "/v1beta", "/v1beta/", "/gemini", "/gemini/"])
@pytest.mark.parametrize("version", ["/v1", "/v1beta", "/v1alpha", ""])
@pytest.mark.parametrize("call", GEMINI_CALLS)
def test_the_version_that_a_client_of_gemini_asks_for_counts(call: str, version: str, base: str, target: str) -> None:
    bare = target.removesuffix("/v1beta").removesuffix("/v1")
    theirs = target[len(bare) :] or "/v1beta"
    expected = version or ("/v1beta" if base.startswith("/v1beta") or not target[len(bare) :] else theirs)
    if not version and target.endswith("/v1"):
        expected = "/v1beta"
    assert sent(target, base + version + call, [(b"x-goog-api-key", b"x")])[0] == bare + expected + call


CHAT, RESPONSES = "/chat/completions", "/responses"


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("https://api.z.ai/api/paas/v4", "https://api.z.ai/api/paas/v4/chat/completions"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1/chat/completions"),
        (HOST + "/v1beta/openai", HOST + "/v1beta/openai/chat/completions"),
        (HOST + "/compatible-mode/v1", HOST + "/compatible-mode/v1/chat/completions"),
        (HOST + "/openai/v1", HOST + "/openai/v1/chat/completions"),
    ],
)
def test_a_target_of_another_version_keeps_it(target: str, url: str) -> None:
    for path in (CHAT, "/v1" + CHAT, "//v1" + CHAT, "/openai/v1" + CHAT):
        assert sent(target, path) == (url, "openai_chat")
    assert sent(HOST, "/u/n/v1" + CHAT, named=target) == (url, "openai_chat")


AZURE_PATHS = [
    "/openai/deployments/d/chat/completions?api-version=1",
    "/openai/responses?api-version=1",
    "/openai/v1/responses",
    "/openai/v1/chat/completions?api-version=preview",
    "/openai/models?api-version=1",
]


@pytest.mark.parametrize("path", AZURE_PATHS)
@pytest.mark.parametrize("target", [HOST, HOST + "/openai", HOST + "/openai/v1", AZURE, AZURE + "/openai/v1"])
def test_paths_of_azure_are_sent_on_whole(path: str, target: str) -> None:
    bare = target.removesuffix("/v1").removesuffix("/openai")
    keys: list[Pairs] = [[(b"api-key", b"x")]]
    if "api-version" in path or "azure" in target:
        keys.append([(b"authorization", b"Bearer eyJ0")])
    for key in keys:
        url, protocol = sent(target, path, key)
        assert url == bare + path
        assert protocol == (
            "openai_chat" if CHAT in path else "openai_responses" if RESPONSES in path else "openai_other"
        )
    assert sent(HOST, "/u/n" + path, [(b"api-key", b"x")], named=target)[0] == bare + path


def test_what_is_written_well_is_not_touched() -> None:
    for path in (
        "/v1/files//double//slash",
        "/v1/files/v1/v1",
        "/model/arn:aws:bedrock:x//y/converse",
        "/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict",
        "/backend-api/codex/responses",
        "/v1internal:generateContent",
        "/upload/v1beta/files",
    ):
        assert sent(HOST, path)[0] == HOST + path


def test_vertex_without_its_version_gets_it() -> None:
    path = "/projects/p/locations/l/publishers/anthropic/models/m:rawPredict"
    assert sent(HOST, path) == (f"{HOST}/v1{path}", "anthropic_messages")


def test_a_refusal_says_which_names_are_known() -> None:
    found = places(HOST, HOST)
    with pytest.raises(RefusedError, match=r"no upstream is named 'm' .* known are n;") as refused:
        raise found.nowhere(scope("/u/m/v1/messages", []))
    assert (refused.value.status, refused.value.code) == (404, "unknown_path")
    with pytest.raises(RefusedError, match=r"/u/NAME/api/chat .known are n."):
        raise found.nowhere(scope("/api/chat", []))
    with pytest.raises(RefusedError, match="the settings name none"):
        raise places(HOST).nowhere(scope("/u/m/v1/messages", []))


NOBODYS = [
    "/api/chat",
    "/api/generate",
    "/api/tags",
    "/api/v1/chat/completions",
    "/api/v0/chat/completions",
    "/api/codex/tasks",
    "/api/v1/messages",
    "/api/paas/v4/chat/completions",
    "/v1/agents/completions",
    "/inference/v1/chat/completions",
    "/compatible-mode/v1/chat/completions",
    "/v2/chat",
    "/api",
]


@pytest.mark.parametrize("path", NOBODYS)
def test_what_belongs_to_no_provider_goes_to_none(path: str) -> None:
    for method in ("POST", "GET"):
        for key in ([], [(b"authorization", b"Bearer sk-or-v1-x")], [(b"authorization", b"Bearer opaque")]):
            assert places(HOST).match(scope(path, key, method)) is None


@pytest.mark.parametrize(
    "path",
    [
        "/api/hello",
        "/api/oauth/claude_cli/roles",
        "/api/claude_code/metrics",
        "/api/event_logging/batch",
        "/api/claude_cli_feedback",
        "/api/organization/claude_code_first_token_date",
    ],
)
def test_what_claude_code_asks_beside_conversations_goes_to_anthropic(path: str) -> None:
    for method in ("POST", "GET", "HEAD"):
        matched = places(HOST).match(scope(path, [], method))
        assert matched is not None
        assert matched.protocol.name == "anthropic_other"


ENDS = [
    ("/api/v1/chat/completions", "openai_chat"),
    ("/api/paas/v4/chat/completions", "openai_chat"),
    ("/compatible-mode/v1/chat/completions", "openai_chat"),
    ("/inference/v1/chat/completions", "openai_chat"),
    ("/v1beta/openai/chat/completions", "openai_chat"),
    ("/models/chat/completions?api-version=1", "openai_chat"),
    ("/openai/deployments/d/chat/completions", "openai_chat"),
    ("/api/v0/chat/completions", "openai_chat"),
    ("/v1/agents/completions", "openai_chat"),
    ("/Team/V1/Chat/Completions", "openai_chat"),
    ("/v1/chat/completions/", "openai_chat"),
    ("//v1//chat//completions", "openai_chat"),
    ("/chat/completions", "openai_chat"),
    ("/anthropic/v1/messages", "anthropic_messages"),
    ("/api/anthropic/messages", "anthropic_messages"),
    ("/x/v1/messages/count_tokens", "anthropic_messages"),
    ("/openai/responses?api-version=1", "openai_responses"),
    ("/deep/er/responses", "openai_responses"),
    ("/gw/v1beta/models/g:streamGenerateContent", "gemini_generate"),
    ("/gw/publishers/google/models/g:generateContent", "gemini_generate"),
    ("/v2/chat", "cohere_chat"),
    ("/cohere/v2/chat", "cohere_chat"),
    ("/gw/model/anthropic.x/invoke", "bedrock_invoke"),
    ("/gw/model/anthropic.x/count-tokens", "bedrock_converse"),
    ("/gw/v1/responses/compact", "openai_responses"),
    ("/codex/responses/compact", "openai_responses"),
    ("/gw/v1beta/models/g:countTokens", "gemini_generate"),
    ("/gw/v1beta/interactions", "gemini_interactions"),
    ("/gw/publishers/anthropic/models/count-tokens:rawPredict", "anthropic_messages"),
    ("/gw/model/amazon.nova/converse-stream", "bedrock_converse"),
]


@pytest.mark.parametrize(("path", "protocol"), ENDS)
def test_behind_a_name_the_end_of_the_path_says_what_the_body_is(path: str, protocol: str) -> None:
    found = places(HOST, HOST)
    matched = found.match(scope("/u/n" + path, []))
    assert matched is not None
    assert (matched.protocol.name, matched.prefix) == (protocol, "/u/n")
    assert matched.protocol.conversation is not None
    assert matched.protocol.usage is not None
    got = found.match(scope("/u/n" + path, [], "GET"))
    assert got is not None
    assert got.protocol.conversation is None


@pytest.mark.parametrize(
    "path", ["/api/chat", "/api/generate", "/v1/threads/t/messages", "/x", "/v1/responses/r/cancel"]
)
def test_what_has_no_known_end_is_relayed_unread(path: str) -> None:
    matched = places(HOST, HOST).match(scope("/u/n" + path, []))
    assert matched is not None
    assert matched.protocol.conversation is None


def test_googles_paths_for_clients_of_openais_go_to_google_and_are_read() -> None:
    assert sent(HOST, "/v1beta/openai/chat/completions") == (HOST + "/v1beta/openai/chat/completions", "openai_chat")
    matched = places(HOST).match(scope("/v1beta/openai/chat/completions", []))
    assert matched is not None
    assert matched.protocol.api.name == "gemini"
    assert matched.protocol.api.errors is openai.API.errors
