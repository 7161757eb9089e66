"""A conversation inside another object is planned as one at the top of the body, from the start and read on."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.planning.draft import Memos, remember
from proxy_pkg.planning.plan import Plan, compose, settle
from proxy_pkg.planning.policy import Rules
from proxy_pkg.planning.reading import draw
from proxy_pkg.protocols.clouds import CODE_ASSIST_GENERATE
from proxy_pkg.protocols.gemini import GENERATE
from proxy_pkg.protocols.grammar import Protocol
from tests.compressors import inverse_tables
from tests.fakes.tokens import FourCharacters

RULES = Rules(5, 1 << 20)
NO_DEADLINE = 1 << 62


def plan(body: bytes, protocol: Protocol, memos: Memos) -> Plan:
    assert protocol.conversation is not None
    draft = draw(body, protocol.conversation, memos)
    settle(draft, RULES, FourCharacters(), memos, NO_DEADLINE)
    remember(draft, memos)
    return compose(draft)


def contents(choices: list[int]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for choice in choices:
        text = "\n".join(f"{line:6}→    value_{choice} = step_{line}({choice})" for line in range(1, 30 + choice))
        call = {"functionCall": {"name": "Read", "args": {}}}
        answer = {"functionResponse": {"name": "Read", "response": {"output": text}}}
        made += [{"role": "model", "parts": [call]}, {"role": "user", "parts": [answer]}]
    return made


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.sampled_from([None, 1]))
@settings(max_examples=40, deadline=None)
def test_each_turn_gets_the_plan_it_has_at_the_top(choices: list[int], indent: int | None) -> None:
    memos, fresh = Memos(1 << 20), Memos(1 << 20)
    for length in range(1, len(choices) + 1):
        request = {"systemInstruction": {"parts": []}, "contents": contents(choices[:length]), "tools": [{"a": length}]}
        inner = json.dumps(request, indent=indent)
        head = '{"model": "m", "contents": [1], "request": '
        outer = f'{head}{inner}, "project": "p", "n": {length}}}'.encode()
        nested, plain = plan(outer, CODE_ASSIST_GENERATE, memos), plan(inner.encode(), GENERATE, fresh)
        assert nested.verdicts == plain.verdicts
        shifted = [(at.start - len(head), at.end - len(head), at.data) for at in nested.replacements]
        assert shifted == [(at.start, at.end, at.data) for at in plain.replacements]
    assert len(choices) < 3 or nested.replacements


def test_records_in_a_response_become_a_string_and_all_else_stays() -> None:
    rows = [{"id": n, "name": f"name {n}", "region": "north"} for n in range(60)]
    answer = {"functionResponse": {"name": "query", "response": {"rows": rows, "total": 60}}}
    call = {"functionCall": {"name": "query", "args": {}}}
    request = {"contents": [{"role": "model", "parts": [call]}, {"role": "user", "parts": [answer]}], "x": 1.0}
    body = json.dumps(request).encode()
    (change,) = plan(body, GENERATE, Memos(1 << 20)).replacements
    sent = json.loads(body[: change.start] + change.data + body[change.end :])
    response = sent["contents"][1]["parts"][0]["functionResponse"]["response"]
    assert inverse_tables.json_table(response["rows"]) == inverse_tables.json_values(json.dumps(rows))
    response["rows"] = rows
    assert sent == request
