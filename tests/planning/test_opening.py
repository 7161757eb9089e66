"""A conversation keeps its opening on every turn, whatever clients change around it, and shares it with no other."""

import json
from typing import Any

import pytest

from proxy_pkg.planning.draft import Memos
from proxy_pkg.planning.reading import draw
from proxy_pkg.protocols import anthropic, gemini, openai_chat
from proxy_pkg.protocols.grammar import Protocol

LONG = "x = 1\n" * 2000


def opening(body: dict[str, Any], memos: Memos | None = None, protocol: Protocol = anthropic.MESSAGES) -> bytes:
    assert protocol.conversation is not None
    return draw(json.dumps(body).encode(), protocol.conversation, memos or Memos(1 << 24)).opening


def talk(
    turns: int, call: str = "toolu_01A09q90qw90lq917835lq9", said: Any = "Read it.", **rest: Any
) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": said}]
    for number in range(turns):
        name = call if number == 0 else f"{call}{number}"
        use = {"type": "tool_use", "id": name, "name": "Read", "input": {"path": "a"}}
        result = {"type": "tool_result", "tool_use_id": name, "content": LONG}
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    return {"messages": messages} | rest


def test_before_the_first_tool_call_there_is_none() -> None:
    assert opening(talk(0)) == b""


@pytest.mark.parametrize("call", ["toolu_01A09q90qw90lq917835lq9", "call_0", "functions.read_file:0"])
def test_it_stays_over_turns_workers_and_what_clients_change(call: str) -> None:
    memos = Memos(1 << 24)
    marked = [{"type": "text", "text": "Read it.", "cache_control": {"type": "ephemeral"}}]
    first = opening(talk(1, call), memos)
    assert len(first) == 16
    for turns in range(1, 9):
        assert opening(talk(turns, call, system=f"cch={turns}"), memos) == first
        assert opening(talk(turns, call, marked)) == first


def test_forty_conversations_with_equal_prompts_have_forty() -> None:
    names = [f"toolu_01A09q90qw90lq91783{number:04}" for number in range(40)]
    memos = Memos(1 << 24)
    assert len({opening(talk(3, name), memos) for name in names}) == 40


def test_names_that_come_again_are_told_apart_by_what_was_said() -> None:
    assert opening(talk(1, "call_0", "Read it.")) != opening(talk(1, "call_0", "Read them all."))


def test_apis_without_names_have_one_too() -> None:
    call = {"functionCall": {"name": "read", "args": {"path": "a"}}}
    body = {"contents": [{"role": "user", "parts": [{"text": "Go."}]}, {"role": "model", "parts": [call]}]}
    other = json.loads(json.dumps(body).replace('"a"', '"b"'))
    assert len({opening(body, None, gemini.GENERATE), opening(other, None, gemini.GENERATE), b""}) == 3


def test_a_system_prompt_among_the_items_takes_no_part() -> None:
    def chat(system: str) -> dict[str, Any]:
        called = {"id": "call_0", "type": "function", "function": {"name": "read", "arguments": "{}"}}
        return {
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": "Go."},
                {"role": "assistant", "tool_calls": [called]},
                {"role": "tool", "tool_call_id": "call_0", "content": LONG},
            ]
        }

    assert opening(chat("one"), None, openai_chat.CHAT) == opening(chat("two"), None, openai_chat.CHAT) != b""
