"""The table of named upstreams: read from TOML or JSON, every fault told at once, and no value repeated."""

from pathlib import Path

import pytest

from proxy_pkg.config.load import load
from proxy_pkg.errors import SettingsError
from proxy_pkg.model import Upstream

TOML = """
port = 9000
[upstreams.azure]
url = "HTTPS://Example.openai.azure.com/"
api = "openai"
[upstreams.local]
url = "http://127.0.0.1:8000/base"
api = "anthropic"
models = ["claude-*", "x?"]
"""
READ = (
    Upstream("azure", "https://Example.openai.azure.com", "openai"),
    Upstream("local", "http://127.0.0.1:8000/base", "anthropic", ("claude-*", "x?")),
)


def problems_of(text: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load({"HEADROOM_UPSTREAMS": text})
    return caught.value.problems


def test_a_table_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(TOML)
    loaded = load({"HEADROOM_CONFIG": str(path)})
    assert loaded.settings.upstreams == READ
    assert loaded.settings.port == 9000
    assert loaded.sources["upstreams"] == f"file {path}"


def test_the_same_in_json() -> None:
    text = '{"azure": {"url": "https://Example.openai.azure.com", "api": "openai"}}'
    assert load({"HEADROOM_UPSTREAMS": text}).settings.upstreams == READ[:1]
    assert load({"HEADROOM_UPSTREAMS": "{}"}).settings.upstreams == ()


def test_every_fault_is_told_at_once_and_no_value() -> None:
    (problem,) = problems_of(
        '{"Bad Name": {}, "a": 1, "b": {}, "c": {"url": "http://me:canary@h", "api": "canary", "key": "canary"},'
        ' "d": {"url": "ftp://h", "api": "openai", "models": "canary"},'
        ' "e": {"url": "http://h", "api": "openai", "models": [1]}}'
    )
    for part in (
        "HEADROOM_UPSTREAMS",
        "a name has other characters",
        "a is not a table",
        "b has no url",
        "the api of b is not one of anthropic, openai, gemini",
        "the url of c: carries a user name or password",
        "c has 1 keys that do not exist",
        "the url of d: does not start with http",
        "the models of d are not a list",
        "a pattern in the models of e",
    ):
        assert part in problem
    assert "canary" not in problem


@pytest.mark.parametrize("text", ["[]", "1", "null", "{", '"x"', "[" * 5000, "\ud800"])
def test_what_is_no_table_is_one_problem(text: str) -> None:
    (problem,) = problems_of(text)
    assert problem.startswith("HEADROOM_UPSTREAMS: this table is ")


def test_an_upstream_that_is_this_proxy_is_a_problem() -> None:
    (problem,) = problems_of('{"loop": {"url": "http://localhost:8787", "api": "openai"}}')
    assert "loop" in problem
    assert "circles" in problem
