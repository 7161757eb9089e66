"""No conversation passes a budget because of how its path begins, and what cannot be counted is known as such."""

import json
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bench.processes import Server
from tests.fakes.client import Headers, ask
from tests.fakes.exchange import Request
from tests.fakes.scripts import JSON, Script, reply
from tests.fakes.upstream import Upstream
from tests.system.conftest import Start, starting
from tests.system.patience import eventually, stats

TYPE: Headers = ((b"content-type", b"application/json"),)
CHAT = {"model": "gpt-5", "usage": {"prompt_tokens": 1000, "completion_tokens": 1000}}
ANTHROPIC = {"model": "claude-sonnet-4-5", "usage": {"input_tokens": 1000, "output_tokens": 1000}}
RESPONSES = {"model": "gpt-5", "usage": {"input_tokens": 1000, "output_tokens": 1000}}
GEMINI = {"modelVersion": "gemini-2.5-pro", "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 1000}}
COHERE = {"usage": {"tokens": {"input_tokens": 1000, "output_tokens": 1000}}}
ANSWERS = {
    "/u/n/api/v1/chat/completions": CHAT,
    "/u/n/api/paas/v4/chat/completions": CHAT,
    "/u/n/compatible-mode/v1/chat/completions": CHAT,
    "/u/n/inference/v1/chat/completions": CHAT,
    "/u/n/v1beta/openai/chat/completions": CHAT,
    "/u/n/models/chat/completions?api-version=1": CHAT,
    "/u/n/openai/deployments/gpt-5/chat/completions": CHAT,
    "/u/n/api/v0/chat/completions": CHAT,
    "/v1beta/openai/chat/completions": CHAT,
    "/models/chat/completions": CHAT,
    "//v1//chat/completions": CHAT,
    "/v1/v1/messages": ANTHROPIC,
    "/messages": ANTHROPIC,
    "/u/n/api/anthropic/v1/messages": ANTHROPIC,
    "/u/n/gw/responses": RESPONSES,
    "/openai/responses?api-version=1": RESPONSES,
    "/u/n/gw/v1beta/models/gemini-2.5-pro:generateContent": GEMINI,
    "/u/n/v2/chat": COHERE,
}
SPENT = b'{"model":"gpt-5","messages":[]}'
UNREAD = ["/u/n/api/chat", "/u/n/api/generate", "/v1/threads/t/messages", "/u/n/x/y", "/v1/new"]


def answered(request: Request) -> Script:
    body = next((answer for path, answer in BY_END.items() if path in request.target), {})
    return reply(json.dumps(body).encode(), headers=JSON)


BY_END = {"/chat/completions": CHAT, "/messages": ANTHROPIC, "/responses": RESPONSES, "gemini": GEMINI, "/chat": COHERE}


@pytest.fixture(scope="module")
def limited(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    named = {"n": {"url": upstream_of_module.url, "api": "openai"}}
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("limited")) as start:
        yield lambda **more: start(HEADROOM_UPSTREAMS=json.dumps(named), **more)


@pytest.fixture(scope="module")
def counting(limited: Start) -> Server:
    return limited(HEADROOM_BUDGET_DAY_USD="100", HEADROOM_RPM="100000")


@pytest.mark.parametrize("path", ANSWERS)
def test_a_conversation_is_counted_wherever_its_path_begins(path: str, counting: Server, upstream: Upstream) -> None:
    before = stats(counting)["usage"]["tokens"].get("output", 0)
    upstream.answer = answered
    answer = ask(counting.port, "POST", path, TYPE, SPENT)
    assert answer.status == 200
    assert answer.header("x-headroom-decision") == "passthrough; reason=nothing_to_change"
    eventually(lambda: stats(counting)["usage"]["tokens"].get("output", 0) == before + 1000)


def test_36_requests_do_not_pass_a_budget_of_a_fifth_of_a_cent(limited: Start, upstream: Upstream) -> None:
    running = limited(HEADROOM_BUDGET_DAY_USD="0.002", HEADROOM_UNCOUNTED="refuse")
    upstream.answer = answered
    paths = [path for path, answer in ANSWERS.items() if answer is CHAT][:9] + UNREAD[:3]
    statuses = []
    for path in paths * 3:
        statuses.append(ask(running.port, "POST", path, TYPE, SPENT).status)
        eventually(lambda: not stats(running)["requests"]["in_flight"])
        if statuses[-1] == 200:
            eventually(lambda: stats(running)["limits"][0]["used"] > 0)
    assert statuses[0] == 200
    assert 200 not in statuses[1:]
    assert len(upstream.requests) == 1


def test_what_cannot_be_counted_is_refused_where_the_settings_say_so(limited: Start, upstream: Upstream) -> None:
    running = limited(HEADROOM_TPM="1000000", HEADROOM_UNCOUNTED="refuse")
    for path in UNREAD:
        for method in ("POST", "PUT", "PATCH"):
            answer = ask(running.port, method, path, TYPE, b"{}")
            assert (answer.status, answer.header("x-headroom-error")) == (403, "uncounted")
            assert b"HEADROOM_UNCOUNTED" in answer.body
        assert ask(running.port, "GET", path).status == 200
    for path in ("/v1/files", "/v1/models", "/api/event_logging/batch", "/v1/messages/count_tokens"):
        assert ask(running.port, "POST", path, TYPE, b"{}").status == 200
    assert stats(running)["requests"]["refused"]["uncounted"] == 3 * len(UNREAD)


async def test_a_socket_that_cannot_be_counted_is_refused_too(limited: Start, upstream: Upstream) -> None:
    running = limited(HEADROOM_BUDGET_DAY_USD="1", HEADROOM_UNCOUNTED="refuse")
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://127.0.0.1:{running.port}/u/n/socket", proxy=None):
            """Never open."""
    assert refused.value.response.status_code == 403
    assert not upstream.requests


def test_without_limits_of_cost_nothing_is_refused(limited: Start, upstream: Upstream) -> None:
    for more in ({"HEADROOM_RPM": "1000"}, {}):
        running = limited(HEADROOM_UNCOUNTED="refuse", **more)
        assert ask(running.port, "POST", UNREAD[0], TYPE, b"{}").status == 200


@pytest.mark.parametrize("path", UNREAD)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_not_read_is_counted_and_the_client_is_told(
    path: str, chunked: bool, counting: Server, upstream: Upstream
) -> None:
    def unknown() -> int:
        return int(stats(counting)["bodies"]["reasons"].get("passthrough", {}).get("unknown_path", 0))

    before = unknown()
    answer = ask(counting.port, "POST", path, TYPE, b"{ }", chunked)
    assert answer.header("x-headroom-decision") == "passthrough; reason=unknown_path"
    assert unknown() == before + 1
    assert upstream.requests[-1].body == b"{ }"
    assert not ask(counting.port, "GET", path).header("x-headroom-decision")
    assert unknown() == before + 1


def test_a_body_that_is_not_read_is_held_to_limits_of_requests(limited: Start, upstream: Upstream) -> None:
    running = limited(HEADROOM_RPM="2")
    statuses = [ask(running.port, "POST", UNREAD[0], TYPE, b"{}").status for _ in range(4)]
    assert statuses == [200, 200, 429, 429]


@pytest.mark.parametrize("path", ["/v1beta/interactions", "/v1/interactions", "/u/n/gw/v1beta/interactions"])
def test_an_interaction_is_counted(path: str, counting: Server, upstream: Upstream) -> None:
    usage = {"total_input_tokens": 10, "total_output_tokens": 1000}
    upstream.answer = lambda _: reply(json.dumps({"model": "gemini-2.5-pro", "usage": usage}).encode(), headers=JSON)
    before = stats(counting)["usage"]["tokens"].get("output", 0)
    key = (b"x-goog-api-key", b"k")
    answer = ask(counting.port, "POST", path, (*TYPE, key), b'{"model":"gemini-2.5-pro","input":"x"}')
    assert answer.status == 200
    eventually(lambda: stats(counting)["usage"]["tokens"].get("output", 0) == before + 1000)


def test_answers_that_are_not_read_are_counted_as_missing_usage(limited: Start, upstream: Upstream) -> None:
    """Those that may have cost something: good answers on other paths than those of lists, files and the like."""
    running = limited()
    upstream.answer = lambda request: reply(b"{}", status=404 if b"no" in request.body else 200, headers=JSON)
    for path in (*UNREAD, "/v1/images/generations", "/v1/audio/speech"):
        assert ask(running.port, "POST", path, TYPE, b"{}").status == 200
        assert ask(running.port, "POST", path, TYPE, b'"no"').status == 404
        assert ask(running.port, "GET", path).status == 200
    assert ask(running.port, "POST", "/v1/files", TYPE, b"{}").status == 200
    missing = {"openai_other": {"uncounted": len(UNREAD) + 2}}
    eventually(lambda: stats(running)["usage"]["missing"] == missing)
