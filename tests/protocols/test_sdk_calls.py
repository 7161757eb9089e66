"""Every request that the official SDKs can make goes to the API that they were made for."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy_pkg.protocols import table

RECORDED = json.loads(Path(__file__).with_name("sdk_calls.json").read_text())
Row = tuple[str, str, str, bytes, list[tuple[bytes, bytes]]]


def rows() -> Iterator[Row]:
    heads = [[(name.encode(), value.encode()) for name, value in head] for head in RECORDED["heads"]]
    for api, method, target, head in RECORDED["calls"]:
        path, _, query = target.partition("?")
        yield api, method, path, query.encode(), heads[head]


def api_of(method: str, path: str, query: bytes, head: list[tuple[bytes, bytes]]) -> str:
    if any(name.startswith(b"sec-websocket") for name, _ in head):
        method = "POST"
    found = table.match(method, path, head, query=query)
    return "" if found is None else found.protocol.api.name


def test_every_call_of_the_sdks_is_recorded() -> None:
    counts = {api: sum(1 for row in rows() if row[0] == api) for api in ("anthropic", "openai", "gemini", "vertex")}
    assert all(counts[api] >= least for api, least in {"anthropic": 270, "openai": 375, "gemini": 70}.items()), counts
    assert sum(counts.values()) >= 760


def test_every_call_of_an_sdk_reaches_its_api() -> None:
    wrong = [
        (api, method, path, found)
        for api, method, path, query, head in rows()
        if (found := api_of(method, path, query, head)) != api
    ]
    assert not wrong


def without(head: list[tuple[bytes, bytes]], *starts: bytes) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in head if not name.startswith(starts)]


@pytest.mark.parametrize("left_out", [b"user-agent", b"authorization", b"x-goog-api-client"])
def test_one_header_less_changes_nothing(left_out: bytes) -> None:
    wrong = [
        (api, method, path, found)
        for api, method, path, query, head in rows()
        if (found := api_of(method, path, query, without(head, left_out))) != api
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("api", "head"),
    [
        ("anthropic", [(b"authorization", b"Bearer sk-ant-api03-x")]),
        ("anthropic", [(b"x-api-key", b"opaque")]),
        ("anthropic", [(b"user-agent", b"claude-cli/2.1.330 (external, cli)"), (b"authorization", b"Bearer opaque")]),
        ("openai", [(b"authorization", b"Bearer sk-proj-x")]),
        ("openai", [(b"user-agent", b"AsyncOpenAI/Python 3.54.0"), (b"authorization", b"Bearer opaque")]),
        ("openai", [(b"openai-organization", b"org-x")]),
        ("openai", []),
        ("gemini", [(b"x-goog-api-key", b"opaque")]),
        ("gemini", [(b"authorization", b"Bearer ya29.x")]),
    ],
)
@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/files/f", "/v1/skills", "/v1/agents/a", "/v1/batches", "/v1/environments", "/v1/new"]
)
def test_one_sign_of_the_sender_is_enough_on_a_shared_path(
    path: str, api: str, head: list[tuple[bytes, bytes]]
) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert api_of(method, path, b"", head) == api


def test_a_key_in_the_query_says_it_too() -> None:
    assert api_of("GET", "/v1/models", b"pageSize=5&key=AIzaSyx", []) == "gemini"
    assert api_of("GET", "/v1/files", b"limit=5", []) == "openai"


SOCKETS = [
    ("/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent", "gemini"),
    ("/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent", "vertex"),
]


@pytest.mark.parametrize(("path", "api"), SOCKETS)
def test_live_sockets_go_to_the_service_that_the_path_names(path: str, api: str) -> None:
    for head in ([(b"x-goog-api-key", b"AIzaSyx")], [(b"authorization", b"Bearer ya29.x")]):
        assert api_of("GET", path, b"", head) == api
        assert api_of("GET", "/" + path, b"", head) == api
