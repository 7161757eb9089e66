"""Reading on from a known conversation gives what reading from the start gives."""

import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.errors import ScanError
from proxy_pkg.planning.draft import Memos, remember
from proxy_pkg.planning.plan import Plan, compose, settle
from proxy_pkg.planning.policy import Rules
from proxy_pkg.planning.prefix import Prefix, Prefixes
from proxy_pkg.planning.reading import draw
from proxy_pkg.protocols.gemini import GENERATE
from proxy_pkg.protocols.openai_chat import CHAT
from tests.fakes.tokens import FourCharacters

RULES = Rules(5, 1 << 20)
NO_DEADLINE = 1 << 62


def plan(body: bytes, memos: Memos, protocol: Any = CHAT) -> Plan | None:
    try:
        draft = draw(body, protocol.conversation, memos)
    except ScanError:
        return None
    settle(draft, RULES, FourCharacters(), memos, NO_DEADLINE)
    remember(draft, memos)
    return compose(draft)


def numbered(seed: int) -> str:
    return "\n".join(f"{line:6}→    value_{seed} = step_{line}({seed})" for line in range(1, 30 + seed % 7))


def messages(choices: list[int]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for index, choice in enumerate(choices):
        call = {"id": f"c{choice % 3}", "function": {"name": ["Read", "Bash"][choice % 2], "arguments": "{}"}}
        if choice % 3 == 0:
            made.append({"role": "user", "content": f"turn {index}"})
        elif choice % 3 == 1:
            made.append({"role": "assistant", "tool_calls": [call]})
        else:
            made.append({"role": "tool", "tool_call_id": f"c{choice % 3}", "content": numbered(choice)})
    return made


@given(st.lists(st.lists(st.integers(0, 9), max_size=12), max_size=6), st.sampled_from([None, 1]))
@settings(max_examples=120, deadline=None)
def test_what_was_read_before_changes_no_plan(conversations: list[list[int]], indent: int | None) -> None:
    memos = Memos(1 << 20)
    for choices in conversations:
        for length in range(1, len(choices) + 1):
            body = json.dumps({"model": "m", "messages": messages(choices[:length]), "n": length}, indent=indent)
            assert plan(body.encode(), memos) == plan(body.encode(), Memos(1 << 20))


def test_a_branch_of_a_conversation_does_not_see_the_calls_of_the_other() -> None:
    def ask(path: str) -> dict[str, Any]:
        return {"parts": [{"functionCall": {"name": "shell", "args": {"command": path}}}]}

    def answer(text: str) -> dict[str, Any]:
        return {"parts": [{"functionResponse": {"name": "shell", "response": {"output": text}}}]}

    start = [{"parts": [{"text": f"{number}"}]} for number in range(4)] + [ask("cat -n a.py"), answer("short")]
    memos = Memos(1 << 20)
    first = {"contents": [*start, ask("ls"), answer("x"), ask("ls"), answer("y")]}
    second = {"contents": [*start, answer(numbered(3)), {"parts": []}, {"parts": []}]}
    plan(json.dumps(first).encode(), memos, GENERATE)
    body = json.dumps(second).encode()
    assert plan(body, memos, GENERATE) == plan(body, Memos(1 << 20), GENERATE)


def test_rubbish_after_a_known_beginning_is_still_refused() -> None:
    memos = Memos(1 << 20)
    whole = json.dumps({"messages": messages([2, 1, 2, 0, 2, 1, 2])}).encode()
    assert plan(whole, memos) is not None
    assert len(memos.prefixes) == 1
    end = whole.rindex(b"]")
    for rest in (b"", b"]", b"] }", b",]}", b', {"a":1}', b'],"messages":[]}', b'], "x":1,}', b' "x"]}'):
        body = whole[:end] + rest
        assert plan(body, memos) == plan(body, Memos(1 << 20)), rest


def prefix(data: bytes) -> Prefix[int]:
    return Prefix("messages", data, False, True, (), (), (), b"", None, 0, 0, [])


def test_the_bytes_kept_are_bounded() -> None:
    prefixes: Prefixes[int] = Prefixes(bytes_max=4000, entries_max=8)
    random.seed(1)
    for _ in range(200):
        size = random.randrange(1, 1500)
        prefixes.remember(prefix(random.randbytes(size)))
        held = sum(len(entry.data) for entry in prefixes._entries)
        assert held <= 4000
        assert len(prefixes) <= 8


def test_the_longest_beginning_is_taken_and_extended_ones_are_replaced() -> None:
    prefixes: Prefixes[int] = Prefixes(bytes_max=1 << 20)
    for data in (b"abc", b"abcdef", b"abx"):
        prefixes.remember(prefix(data))
    assert len(prefixes) == 2
    found = prefixes.longest(b"abcdefgh", "messages")
    assert found is not None
    assert found.data == b"abcdef"
    assert prefixes.longest(b"abcdefgh", "input") is None
    assert prefixes.longest(b"abc", "messages") is None
