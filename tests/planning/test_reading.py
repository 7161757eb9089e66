"""How much of a body is read, and what becomes of a conversation that could not be read in time."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from proxy_pkg.planning import offload, reading
from proxy_pkg.planning.draft import Memos, remember
from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.plan import Plan, settle
from proxy_pkg.planning.policy import Rules
from proxy_pkg.planning.reading import COST_MAX, Reading, draw
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.store.decision_table import DecisionTable
from proxy_pkg.wire.splice import splice
from tests.fakes.shapes import body
from tests.fakes.tokens import FourCharacters

RULES = Rules(5, 1 << 20)
CONVERSATION = MESSAGES.conversation
assert CONVERSATION is not None


def planner(marks: DecisionTable, deadline_ms: int = 60_000) -> Planner:
    return Planner(RULES, FourCharacters(), 1 << 20, deadline_ms, marks)


def planned(data: bytes, marks: DecisionTable, deadline_ms: int = 60_000) -> Plan:
    """The plan of a worker that remembers nothing but the marks."""

    async def plan() -> Plan:
        worker = planner(marks, deadline_ms)
        try:
            return await worker.plan(data, CONVERSATION)
        finally:
            worker.close()

    return asyncio.run(plan())


def turns(*sizes_bytes: int) -> list[bytes]:
    """Bodies that each begin as the one before: whole results of one conversation, up to so many bytes."""
    whole = json.loads(body("anthropic", "numbered file", max(sizes_bytes)))
    messages = whole["messages"]
    return [
        json.dumps({**whole, "messages": messages[: 2 * max(1, size // 100_000)]}, ensure_ascii=False).encode()
        for size in sizes_bytes
    ]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Say whether each slice of reading ends after one item, when the deadline has passed."""
    monkeypatch.setattr(offload, "_INLINE_READ_BYTES", 0)
    usual = Reading.go_on

    def switched(is_on: bool) -> None:
        monkeypatch.setattr(
            Reading, "go_on", (lambda self, _until_ns: usual(self, 0)) if is_on else (lambda self, _: usual(self))
        )

    return switched


def test_a_conversation_that_could_not_be_read_in_time_is_left_alone_on_every_later_turn(
    slow: Callable[[bool], None],
) -> None:
    marks = DecisionTable()
    first, second = turns(300_000, 500_000)
    slow(True)
    late = planned(first, marks, deadline_ms=0)
    assert (late.replacements, late.doubts, late.verdicts) == ((), ("deadline",), ())
    slow(False)
    assert planned(first, DecisionTable()).replacements
    for again in (first, second):
        plan = planned(again, marks)
        assert (plan.replacements, plan.doubts) == ((), ("deadline",))


def test_what_was_sent_shorter_is_sent_so_again_however_late_it_is_read(slow: Callable[[bool], None]) -> None:
    marks = DecisionTable()
    first, second = turns(300_000, 500_000)
    slow(False)
    sent = splice(first, planned(first, marks).replacements)
    slow(True)
    later = planned(second, marks, deadline_ms=0)
    assert len(sent) < len(first)
    assert splice(second, later.replacements).startswith(sent[: -len(b"]}")])


def test_a_draft_is_the_same_in_one_go_and_item_by_item() -> None:
    (data,) = turns(600_000)
    whole = draw(data, CONVERSATION, Memos(1 << 20))
    reader, steps = Reading(data, CONVERSATION, Memos(1 << 20)), 1
    while not reader.go_on(0):
        steps += 1
    assert steps > 10
    assert [place.text for place in reader.draft.places] == [place.text for place in whole.places]
    for name in ("opening", "newest", "cost", "may_refer", "doubts", "marks"):
        assert getattr(reader.draft, name) == getattr(whole, name)


@pytest.mark.parametrize("shape", ["tiny results", "small results", "all surrogates", "many keys"])
def test_of_a_large_body_a_part_is_read_and_the_same_part_on_every_turn(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "COST_MAX", COST_MAX // 40)
    small, large = (body("anthropic", shape, size) for size in (1_500_000, 3_000_000))
    drafts = [draw(data, CONVERSATION, Memos(1 << 30)) for data in (small, large)]
    places: list[Any] = [[(place.text, place.offset) for place in draft.places] for draft in drafts]
    assert places[0] == places[1]
    assert [draft.doubts[-1] for draft in drafts] == ["too_many", "too_many"]
    assert all(draft.cost <= COST_MAX // 40 and draft.newest == len(draft.places) for draft in drafts)


def test_what_is_known_of_a_conversation_counts_as_much_as_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = turns(500_000, 900_000)
    fresh = draw(second, CONVERSATION, Memos(1 << 30))
    memos = Memos(1 << 30)
    draft = draw(first, CONVERSATION, memos)
    settle(draft, RULES, FourCharacters(), memos, 1 << 62)
    remember(draft, memos)
    known = draw(second, CONVERSATION, memos)
    assert known.lender is not None
    assert known.cost == fresh.cost
