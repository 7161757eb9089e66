"""Whatever stands around the texts, a plan touches nothing but them, and a text that is misspelled is left alone."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.errors import ScanError
from proxy_pkg.planning.draft import Memos
from proxy_pkg.planning.plan import compose, settle
from proxy_pkg.planning.policy import Rules
from proxy_pkg.planning.reading import draw
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.wire.splice import splice
from tests.fakes.bodies import ANTHROPIC, NUMBERED, literal
from tests.planning.characters import Characters

assert MESSAGES.conversation is not None
CONVERSATION = MESSAGES.conversation
FOREVER_NS = 1 << 62
RULES = Rules(margin_percent=5, block_bytes_max=1 << 20)


def sent(body: bytes, memos: Memos | None = None) -> bytes:
    """What goes upstream in place of `body`."""
    memos = memos or Memos(1 << 20)
    try:
        draft = draw(body, CONVERSATION, memos)
    except ScanError:
        return body
    settle(draft, RULES, Characters(), memos, FOREVER_NS)
    return splice(body, compose(draft).replacements)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=120, deadline=None)
@given(st.dictionaries(st.text(max_size=8), json_values, max_size=4), st.booleans(), st.sampled_from([None, 1]))
def test_only_the_text_changes_whatever_stands_around_it(extra: dict[str, Any], escaped: bool, indent: int) -> None:
    block = extra | {"type": "tool_result", "tool_use_id": "t", "content": "\0"}
    blocks = [extra, block, {"type": "thinking", "signature": NUMBERED, **extra}]
    whole = json.dumps(
        {**extra, "messages": [{**extra, "role": "user", "content": blocks}]}, ensure_ascii=escaped, indent=indent
    ).encode("utf-8", "surrogatepass")
    if whole.count(rb'"\u0000"') != 1:
        return
    before, after = whole.split(rb'"\u0000"')
    got = sent(before + literal(NUMBERED) + after)
    assert got.startswith(before)
    assert got.endswith(after)


def test_the_plain_case_does_shrink() -> None:
    body = ANTHROPIC.body(literal(NUMBERED))
    assert len(sent(body)) < len(body)


@pytest.mark.parametrize("raw", [b"\n", b"\t", b"\x00", b"\x1f"])
def test_a_text_with_a_raw_control_character_is_left_to_the_provider_to_refuse(raw: bytes) -> None:
    body = ANTHROPIC.body(literal(NUMBERED).replace(rb"\n", raw, 1))
    assert sent(body) == body


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.binary(min_size=0, max_size=3), st.integers(0, 4))
def test_a_damaged_body_is_never_mended(at: int, put: bytes, cut: int) -> None:
    body = ANTHROPIC.body(literal(NUMBERED))
    at %= len(body)
    damaged = body[:at] + put + body[at + cut :]
    got = sent(damaged)
    before, after = strictly_read(damaged), strictly_read(got)
    assert (before is None) == (after is None), "what a provider refuses, it refuses still"
    if got != damaged and before is not None:
        for value in (before, after):
            del value["messages"][1]["content"][0]["content"]
        assert repr(before) == repr(after)


def strictly_read(body: bytes) -> Any:
    """The value as a provider reads it; None where it is no JSON."""
    try:
        return json.loads(body.decode())
    except ValueError:
        return None


def exchange(number: int, text: str) -> str:
    """A tool call and its result, as two messages."""
    used = {"type": "tool_use", "id": f"t{number}", "name": "Bash", "input": {"command": "make"}}
    given = {"type": "tool_result", "tool_use_id": f"t{number}", "content": text}
    both = [{"role": "assistant", "content": [used]}, {"role": "user", "content": [given]}]
    return json.dumps(both)[1:-1]


def conversation_of(*texts: str) -> bytes:
    return b'{"messages":[%b]}' % ", ".join(exchange(n, text) for n, text in enumerate(texts)).encode()


def test_what_a_server_of_ours_planned_is_left_alone_and_nothing_else_is() -> None:
    other = "\n".join(f"{n:6}→    found_{n % 7} = look_at({n}) + found_{n % 5}" for n in range(1, 90))
    memos = Memos(1 << 20)
    once = sent(conversation_of(NUMBERED))
    assert len(once) < len(conversation_of(NUMBERED))
    assert sent(once, memos) == once
    short = json.loads(once)["messages"][1]["content"][0]["content"]
    assert sent(conversation_of(short, short), memos) == conversation_of(short, short)
    before = sent(conversation_of(other, short))
    assert before.startswith(sent(conversation_of(other))[:-2])
    assert len(before) < len(conversation_of(other, short))


def test_the_reason_says_that_another_server_planned_it() -> None:
    memos = Memos(1 << 20)
    short = json.loads(sent(conversation_of(NUMBERED)))["messages"][1]["content"][0]["content"]
    draft = draw(conversation_of(short, short), CONVERSATION, memos)
    settle(draft, RULES, Characters(), memos, 0)
    assert [verdict.reason for verdict in compose(draft).verdicts] == ["planned_before"] * 2
