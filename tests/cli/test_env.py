import subprocess
import tomllib

import pytest

TOKEN = "canary-0123456789-secret"


def exported(script: str, **names: str) -> dict[str, str]:
    """What a shell has in its environment after it has evaluated the lines."""
    result = subprocess.run(
        ["sh", "-euc", f"{script}\nenv -0"], env={"PATH": "/usr/bin:/bin", **names}, capture_output=True, timeout=10
    )
    assert result.returncode == 0, result.stderr
    return dict(line.split("=", 1) for line in result.stdout.decode().split("\0") if line)


def test_claude(proxyctl) -> None:
    names = exported(proxyctl("env", "claude", "--port", "9").stdout)
    assert names["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:9"
    assert names["ENABLE_TOOL_SEARCH"] == "true"
    assert "ANTHROPIC_CUSTOM_HEADERS" not in names


def test_tool_search_is_left_to_people_whose_upstream_is_another(proxyctl) -> None:
    result = proxyctl("env", "claude", "--anthropic-target-api-url", "https://gateway.example")
    assert "ENABLE_TOOL_SEARCH" not in exported(result.stdout) and "# export ENABLE_TOOL_SEARCH=true" in result.stdout


def test_codex(proxyctl) -> None:
    document = tomllib.loads(proxyctl("env", "codex", "--port", "9").stdout)
    provider = document["model_providers"][document["model_provider"]]
    assert provider["base_url"] == "http://127.0.0.1:9/v1"
    assert provider["wire_api"] == "responses" and provider["requires_openai_auth"] is True
    assert document["model_provider"] not in ("openai", "ollama", "lmstudio"), "names that Codex keeps for itself"


def test_gemini(proxyctl) -> None:
    assert exported(proxyctl("env", "gemini", "--port", "9").stdout)["GOOGLE_GEMINI_BASE_URL"] == "http://127.0.0.1:9"


def test_openai(proxyctl) -> None:
    assert exported(proxyctl("env", "openai", "--port", "9").stdout)["OPENAI_BASE_URL"] == "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(("client", "variable"), [("claude", "ANTHROPIC"), ("gemini", "GEMINI_CLI")])
def test_a_token_goes_by_its_variable(proxyctl, monkeypatch, client: str, variable: str) -> None:
    monkeypatch.setenv("HEADROOM_PROXY_TOKEN", TOKEN)
    script = proxyctl("env", client).stdout
    assert TOKEN not in script
    names = exported(script, HEADROOM_PROXY_TOKEN=TOKEN)
    assert names[f"{variable}_CUSTOM_HEADERS"] == f"x-headroom-token: {TOKEN}"


def test_codex_takes_the_token_from_its_variable(proxyctl, monkeypatch) -> None:
    monkeypatch.setenv("HEADROOM_PROXY_TOKEN", TOKEN)
    provider = tomllib.loads(proxyctl("env", "codex").stdout)["model_providers"]["proxy"]
    assert provider["env_http_headers"] == {"x-headroom-token": "HEADROOM_PROXY_TOKEN"}


@pytest.mark.parametrize("client", ["claude", "codex", "gemini", "openai"])
def test_named_tokens_are_asked_for_too(proxyctl, monkeypatch, client: str) -> None:
    monkeypatch.setenv("HEADROOM_PROXY_KEYS", f"alice:{TOKEN}")
    script = proxyctl("env", client).stdout
    assert "x-headroom-token" in script and TOKEN not in script


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("0.0.0.0", "http://127.0.0.1:9"),
        ("::", "http://127.0.0.1:9"),
        ("::1", "http://[::1]:9"),
        ("proxy.internal", "http://proxy.internal:9"),
    ],
)
def test_addresses_that_a_client_can_use(proxyctl, host: str, origin: str) -> None:
    result = proxyctl("env", "claude", "--host", host, "--port", "9", "--allow-unauthenticated-bind", "true")
    assert exported(result.stdout)["ANTHROPIC_BASE_URL"] == origin


def test_an_unknown_client_is_answered_with_the_known_ones(proxyctl) -> None:
    result = proxyctl("env", "emacs")
    assert result.exit_code == 2 and "claude" in result.stderr and "codex" in result.stderr


def test_a_faulty_configuration_prints_no_lines(proxyctl) -> None:
    result = proxyctl("env", "claude", "--port", "x")
    assert result.exit_code == 1 and result.stdout == "" and "--port" in result.stderr
