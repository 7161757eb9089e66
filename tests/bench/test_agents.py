"""The measurement of agents: what it asks, and that it reads what was sent and not what was meant."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bench.agents import Ran, read
from bench.agents_dialects import CLIENTS, KINDS
from bench.agents_page import render
from bench.agents_scratch import write
from bench.agents_script import Api, chat, gemini, messages, responses
from proxy_pkg.config.load import examine
from proxy_pkg.planning.explain import explain_body
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.tokens.count import load
from proxy_pkg.web.verdict_rules import rules_of
from tests.fakes.exchange import Request

CALLS = [("Read", {"file_path": "a.py"}), ("Bash", {"command": "git status"})]
READ = "\n".join(f"{n}\t    total_{n % 7} = read_part({n})" for n in range(1, 60))
TOOLS: dict[Api, list[dict[str, Any]]] = {
    messages: [{"name": "Read"}],
    responses: [{"name": "Read", "type": "function"}],
    chat: [{"type": "function", "function": {"name": "Read"}}],
    gemini: [{"functionDeclarations": [{"name": "Read"}]}],
}


def request(body: dict[str, Any]) -> Request:
    head = b"POST /v1/messages?alt=sse HTTP/1.1\r\n\r\n"
    return Request(1, 1, head, 0.0, body=json.dumps(body).encode())


def conversation(results: list[str]) -> dict[str, Any]:
    turns: list[dict[str, Any]] = [{"role": "user", "content": "Go"}]
    for number, text in enumerate(results):
        name, arguments = CALLS[number]
        id_ = f"call_bench_{number:03}"
        turns.append(
            {"role": "assistant", "content": [{"type": "tool_use", "id": id_, "name": name, "input": arguments}]}
        )
        turns.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id_, "content": text}]})
    return {"model": "m", "stream": True, "tools": TOOLS[messages], "messages": turns}


def sent(body: dict[str, Any]) -> Request:
    asked = request(body)
    rules = rules_of(examine({}).settings, reduces=False)
    return Request(1, 1, asked.head, 0.0, body=explain_body(asked.body, MESSAGES, rules, load()).sent)


@pytest.mark.parametrize("api", TOOLS, ids=lambda api: api.__name__)
def test_an_agent_is_asked_for_each_call_once_and_then_for_none(api: Api) -> None:
    marks = {
        messages: '"call_bench_{:03}"',
        responses: '"call_bench_{:03}"',
        chat: '"call_bench_{:03}"',
        gemini: '{{"functionResponse": {{}}}}',
    }
    for made in range(3):
        known = [marks[api].format(n) for n in range(made)]
        parts = json.loads(f"[{','.join(known)}]")
        body = {"stream": True, "tools": TOOLS[api], "contents": [{"parts": parts}], "input": [{"known": parts}]}
        answer = b"".join(step[1] for step in api(request(body), CALLS).steps)
        names = [name.encode() in answer for name in ("file_path", "git status")]
        assert names == [made == 0, made == 1]
    without_tools = api(request({"stream": True, "input": [{}]}), CALLS)
    assert b"file_path" not in b"".join(step[1] for step in without_tools.steps), "a request for a title"


def test_each_result_is_read_once_beside_what_arrived() -> None:
    bodies = [conversation([READ, "small"][:count]) for count in range(3)]
    asked = [("a read", CALLS[0]), ("a status", CALLS[1])]
    readings = list(read(MESSAGES, asked, [request(body) for body in bodies], [sent(body) for body in bodies]))
    assert [(each.kind, each.call, each.same) for each in readings] == [
        ("a read", "Read", True),
        ("a status", "Bash", True),
    ]
    assert readings[0].received == READ
    assert readings[0].tokens_sent < readings[0].tokens_received
    page = render([Ran("claude-code", "1.2.3", tuple(readings)), Ran("pi", "", trouble="it is away")], date(2026, 1, 2))
    assert "| a read | `Read` |" in page
    assert "| `numbered` | invertible |" in page
    assert "| exact: `small` |" in page
    assert "pi: it is away." in page


def test_what_arrived_otherwise_than_explained_is_noticed() -> None:
    body = conversation([READ])
    [reading] = read(MESSAGES, [("a read", CALLS[0])], [request(body)], [request(body)])
    assert not reading.same
    assert reading.tokens_sent == reading.tokens_received


def test_the_folder_of_the_agents_is_the_same_each_time(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        write(tmp_path / name, tmp_path / f"{name}-programs")
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file() and ".git" not in path.parts)
        texts.append([(path.relative_to(tmp_path / name), path.read_bytes()) for path in files])
    assert texts[0] == texts[1]


def test_every_agent_is_asked_for_every_kind_that_it_has_a_tool_for() -> None:
    for client in CLIENTS.values():
        asked = [kind.ask(client, Path("/work"), "http://127.0.0.1:1") for kind in KINDS]
        assert sum(call is None for call in asked) == (client.search is None) + (client.names is None)
