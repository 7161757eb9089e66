"""`POST /v1/compress`: the decisions of the server, and a conversation that gateways can send on."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bench.processes import pss_bytes
from proxy_pkg.planning import explain
from proxy_pkg.planning.draft import Draft
from proxy_pkg.planning.reading import draw
from proxy_pkg.protocols.gemini import GENERATE
from proxy_pkg.protocols.grammar import Conversation
from proxy_pkg.web.explaining import COPIES, EXPLAINED_BYTES_MAX
from tests.fakes.bodies import NUMBERED
from tests.fakes.client import ask
from tests.fakes.upstream import Upstream
from tests.system.conftest import starting

MIB = 1 << 20
CALL = {"type": "tool_use", "id": "t1", "name": "Read", "input": {"file_path": "a.py"}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": NUMBERED}
MESSAGES = [{"role": "assistant", "content": [CALL]}, {"role": "user", "content": [RESULT]}]
JSON = ((b"content-type", b"application/json"),)


@pytest.fixture(scope="module")
def port(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("server")) as start:
        yield start().port


def explained(port: int, body: bytes, query: str = "", status: int = 200) -> dict[str, Any]:
    answer = ask(port, "POST", "/v1/compress" + query, JSON, body)
    assert answer.status == status, answer.body
    said: dict[str, Any] = json.loads(answer.body)
    return said


def test_each_decision_is_told_and_the_messages_are_as_they_would_be_sent(port: int, upstream: Upstream) -> None:
    body = json.dumps({"model": "m", "messages": MESSAGES}).encode()
    told = explained(port, body)
    [span] = told["spans"]
    assert {"start", "end", "kind", "compressor", "grade", "reason", "tokens_before", "tokens_after"} <= set(span)
    assert (span["kind"], span["grade"], span["reason"]) == ("numbered", "invertible", "smaller")
    assert told["tokens_saved"] == span["tokens_before"] - span["tokens_after"] > 0
    assert told["compression_ratio"] == round(told["tokens_after"] / told["tokens_before"], 4)
    assert told["transforms_applied"] == ["numbered"]
    assert told["messages"][1]["content"][0]["content"] == span["sent"] != NUMBERED
    assert told["messages"][0] == MESSAGES[0]
    assert not upstream.requests, "nothing leaves the server"


def test_what_is_told_is_what_is_sent(port: int, upstream: Upstream) -> None:
    body = json.dumps({"model": "m", "messages": MESSAGES}).encode()
    ask(port, "POST", "/v1/messages", JSON, body)
    assert json.loads(upstream.requests[-1].body)["messages"] == explained(port, body)["messages"]


def test_other_formats_keep_their_keys(port: int) -> None:
    items = [
        {"type": "function_call", "call_id": "c", "name": "read_file", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": NUMBERED},
    ]
    told = explained(port, json.dumps({"input": items}).encode())
    assert (told["protocol"], told["input"][0]) == ("openai_responses", items[0])
    assert told["input"][1]["output"] != NUMBERED


def test_a_tool_output_comes_back_as_text(port: int) -> None:
    told = explained(port, NUMBERED.encode(), "?tool=Read")
    assert told["text"] == told["spans"][0]["sent"]
    assert told["protocol"] == ""


@pytest.mark.parametrize(
    ("query", "code"),
    [("?level=balanced", "level_held_back"), ("?protocol=none", "bad_query"), ("?leve=lossless", "bad_query")],
)
def test_what_cannot_be_done_is_said(port: int, query: str, code: str) -> None:
    assert explained(port, b"{}", query, 400)["code"] == code


def test_a_body_that_is_no_text_is_refused(port: int) -> None:
    assert explained(port, b"\xff\xfe\x00", "", 400)["code"] == "body_not_read"


def test_get_is_not_how_to_ask(port: int) -> None:
    assert ask(port, "GET", "/v1/compress").status == 405


def test_a_body_that_is_too_long_here_is_refused_before_it_is_read(port: int) -> None:
    refused = explained(port, b"{" + b" " * EXPLAINED_BYTES_MAX, "", 413)
    assert refused["code"] == "body_too_large"
    assert "proxyctl compress" in refused["error"]


def test_a_body_that_is_no_json_says_what_it_is(port: int) -> None:
    assert explained(port, b'{"messages":[{}', "?protocol=anthropic_messages", 400)["code"] == "broken_json"


def test_bodies_that_are_explained_count_for_the_workers_limit(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = "\n".join(f"{number:6}→    total_{number} = read({number})" for number in range(200_000))
    messages = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": lines}]}]
    body = json.dumps({"messages": messages}).encode()
    assert 6 * MIB < len(body) < 12 * MIB
    with starting(upstream.url, tmp_path_factory.mktemp("server")) as start:
        limit = 64 * MIB
        place = start(
            HEADROOM_WORKERS="1",
            HEADROOM_BODY_BYTES_MAX=str(16 * MIB),
            HEADROOM_BODY_BYTES_IN_FLIGHT_MAX=str(limit),
        )
        [pid] = place.worker_pids
        before = pss_bytes(pid)
        with ThreadPoolExecutor(4) as askers:
            answers = list(askers.map(lambda _: ask(place.port, "POST", "/v1/compress", JSON, body), range(4)))
        assert {answer.status for answer in answers} <= {200, 503}
        assert 200 in {answer.status for answer in answers}
        assert pss_bytes(pid) - before < 3 * limit
        # What was held is given back, also of those that were refused.
        assert explained(place.port, body)["bytes_sent"] > 0
        assert explained(place.port, b"x" * (limit // COPIES + MIB), "?tool=Read", 503)["code"] == "overloaded"
        assert explained(place.port, body)["bytes_sent"] > 0


def test_a_body_is_read_for_the_formats_whose_items_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[str, ...]] = []

    def counted(body: bytes, conversation: Conversation, *others: Any) -> Draft:
        read.append(conversation.path)
        return draw(body, conversation, *others)

    monkeypatch.setattr(explain, "draw", counted)
    assert explain.protocol_of(b'{"model":"m","contents":[]}') is GENERATE
    assert read == [], "one format alone has contents"
    assert explain.protocol_of(json.dumps({"messages": MESSAGES}).encode()) is explain.PROTOCOLS["anthropic_messages"]
    assert read == [("messages",), ("messages",)]
