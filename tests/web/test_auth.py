"""Where a token is configured, every door but liveness asks for it, and it never goes upstream."""

from collections.abc import Iterator

import pytest

from bench.processes import Server
from tests.fakes.client import Headers, ask
from tests.fakes.upstream import Upstream
from tests.system.conftest import starting

TOKEN = b"a-token-of-some-length-0123456789"
GIVEN = ((b"X-Headroom-Token", TOKEN),)


@pytest.fixture(scope="module")
def guarded(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("server")) as start:
        # Readiness asks for the token too, so the server counts as started when it is alive.
        yield start(ready_path="/livez", HEADROOM_WORKERS="1", HEADROOM_PROXY_TOKEN=TOKEN.decode())


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"x-headroom-token", b"wrong"),),
        ((b"x-headroom-token", b""),),
        ((b"x-headroom-token", TOKEN + b"x"),),
        ((b"x-headroom-token", b"\xff\xfe"),),
        (*GIVEN, *GIVEN),
        ((b"authorization", b"Bearer " + TOKEN), (b"x-api-key", TOKEN)),
    ],
)
def test_without_the_token_nothing_gets_in(headers: Headers, guarded: Server, upstream: Upstream) -> None:
    for target, word in (("/v1/messages", "permission_error"), ("/v1beta/models/m:countTokens", "PERMISSION_DENIED")):
        answer = ask(guarded.port, "POST", target, headers, b"{}")
        assert (answer.status, answer.header("x-headroom-error")) == (403, "token_required")
        assert word in answer.json()["error"].values()
    answer = ask(guarded.port, "POST", "/v1/responses", headers, b"{}")
    assert answer.json()["error"]["code"] == "headroom_token_required"
    for path in (
        "/stats",
        "/metrics",
        "/health",
        "/nowhere",
        "/livez/../v1/models",
        "/livez/",
        "/readyz/",
        "/readyz/x",
    ):
        assert ask(guarded.port, "GET", path, headers).status == 403, path
    assert not upstream.requests


def test_probes_are_open_since_clusters_and_balancers_send_no_token(guarded: Server) -> None:
    for path in ("/livez", "/readyz"):
        answer = ask(guarded.port, "GET", path)
        assert (answer.status, answer.body) == (200, b"ok")


def test_the_right_token_passes_and_stays_here(guarded: Server, upstream: Upstream) -> None:
    for target in ("/v1/messages", "/v1/files"):
        assert ask(guarded.port, "POST", target, GIVEN, b"{}").status == 200
        assert TOKEN not in upstream.requests[-1].head
        assert b"headroom" not in upstream.requests[-1].head.lower()
    assert ask(guarded.port, "GET", "/stats", GIVEN).status == 200


def test_a_refused_caller_is_counted_and_logged(guarded: Server) -> None:
    before = ask(guarded.port, "GET", "/stats", GIVEN).json()["requests"]["refused"].get("token_required", 0)
    answer = ask(guarded.port, "POST", "/v1/messages", (), b"{}")
    requests = ask(guarded.port, "GET", "/stats", GIVEN).json()["requests"]
    assert requests["refused"]["token_required"] == before + 1
    assert requests["in_flight"] == 0
    assert answer.header("x-headroom-request-id").startswith("hr_")


@pytest.mark.parametrize(
    ("agent", "target", "where", "shape"),
    [
        (b"claude-cli/2.1.330 (external, cli)", "/v1/messages?beta=true", "ANTHROPIC_CUSTOM_HEADERS=", "type"),
        (b"codex_cli_rs/0.169.0 (Linux)", "/v1/responses", "env_http_headers", "code"),
        (b"GeminiCLI/0.61.0/gemini-3 (linux; x64)", "/v1beta/models/m:generateContent", "GEMINI_CLI_CUSTOM_", "status"),
        (b"google-genai-sdk/3.4.0 gl-python/3.11.7", "/v1/models/m:generateContent", "http_options", "status"),
        (b"AsyncOpenAI/Python 3.54.0", "/v1/chat/completions", "default_headers", "code"),
        (b"Anthropic/JS 1.2", "/v1/messages", "defaultHeaders", "type"),
        (b"curl/8", "/nowhere", "that header in your client", "code"),
        (b"claude-cli/2.1.330", "/nowhere", "ANTHROPIC_CUSTOM_HEADERS=", "type"),
    ],
)
def test_the_refusal_says_where_this_client_has_the_token_set(
    agent: bytes, target: str, where: str, shape: str, guarded: Server
) -> None:
    answer = ask(guarded.port, "POST", target, ((b"user-agent", agent),), b"{}")
    error = answer.json()["error"]
    assert answer.status == 403
    assert where in error["message"]
    assert "none came" in error["message"]
    assert shape in error
    wrong = ask(guarded.port, "POST", target, ((b"user-agent", agent), (b"x-headroom-token", b"x")), b"{}")
    assert "is not right" in wrong.json()["error"]["message"]
