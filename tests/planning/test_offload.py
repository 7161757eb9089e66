"""Planning has a deadline, can be cancelled, and what it left alone stays left alone."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from proxy_pkg.errors import ScanError
from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.policy import Rules
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.wire.splice import splice
from tests.planning.characters import Characters

assert MESSAGES.conversation is not None
CONVERSATION = MESSAGES.conversation
RULES = Rules(margin_percent=5, block_bytes_max=1 << 20)
MEMORY_BYTES = 16 << 20


def numbered(start: int, lines: int = 60) -> str:
    return "\n".join(f"{n:6}→    total = read_part({n}) + {start}" for n in range(start, start + lines))


def body(*texts: str) -> bytes:
    messages = [
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": f"t{n}", "content": text}]}
        for n, text in enumerate(texts)
    ]
    return msgspec.json.encode({"messages": messages})


class Count(Characters):
    """Counts characters; while closed, it waits to be let go on."""

    def __init__(self) -> None:
        self.calls = 0
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def count(self, text: str) -> int:
        self.calls += 1
        self.entered.set()
        assert self.gate.wait(10)
        return len(text)


class Slow(Characters):
    """Takes so long for one count that a deadline passes meanwhile."""

    COUNT_MS = 60

    def count(self, text: str) -> int:
        time.sleep(self.COUNT_MS / 1000)
        return len(text)


Make = Callable[..., Planner]


@pytest.fixture
async def planner() -> AsyncIterator[Make]:
    made: list[Planner] = []

    def make(tokens: Characters | None = None, deadline_ms: int = 60_000) -> Planner:
        made.append(Planner(RULES, tokens or Characters(), MEMORY_BYTES, deadline_ms))
        return made[-1]

    yield make
    for each in made:
        each.close()


async def test_a_plan_shortens_what_it_can(planner: Make) -> None:
    data = body(numbered(1), "short", numbered(500))
    plan = await planner().plan(data, CONVERSATION)
    assert [verdict.reason for verdict in plan.verdicts] == ["smaller", "small", "smaller"]
    assert len(splice(data, plan.replacements)) < len(data)
    assert plan.tokens_after < plan.tokens_before


async def test_a_body_without_tool_results_is_not_looked_into(planner: Make) -> None:
    plan = await planner().plan(b'{"messages": broken', CONVERSATION)
    assert (plan.replacements, plan.verdicts) == ((), ())
    with pytest.raises(ScanError):
        await planner().plan(b'{"messages": broken "tool_result"', CONVERSATION)


async def test_what_a_deadline_cut_off_is_left_alone_on_every_later_turn(planner: Make) -> None:
    texts = [numbered(start, 900) for start in (1, 2000, 4000, 6000)]
    slow = planner(Slow(), deadline_ms=Slow.COUNT_MS - 10)
    first = await slow.plan(body(*texts), CONVERSATION)
    reasons = [verdict.reason for verdict in first.verdicts]
    assert reasons[1:] == ["deadline"] * 3
    sent = splice(body(*texts), first.replacements)
    later = await slow.plan(body(*texts, "newest"), CONVERSATION)
    assert [verdict.reason for verdict in later.verdicts][:4] == reasons
    assert splice(body(*texts, "newest"), later.replacements).startswith(sent.removesuffix(b"]}"))


async def test_planning_that_nobody_waits_for_ends_early(planner: Make) -> None:
    texts = [numbered(start, 900) for start in range(1, 40_000, 2000)]
    count = Count()
    count.gate.clear()
    slow = planner(count)
    planning = asyncio.ensure_future(slow.plan(body(*texts), CONVERSATION))
    await asyncio.to_thread(count.entered.wait, 10)
    planning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await planning
    count.gate.set()
    # The thread is free as soon as the text at hand is decided: the next plan gets its turn.
    again = await slow.plan(body(numbered(90_000, 900)), CONVERSATION)
    assert [verdict.reason for verdict in again.verdicts] == ["smaller"]
    alone = Count()
    await planner(alone).plan(body(texts[0]), CONVERSATION)
    assert count.calls <= 2 * alone.calls


async def test_the_loop_turns_while_a_large_body_is_planned(planner: Make) -> None:
    count = Count()
    count.gate.clear()
    planning = asyncio.ensure_future(planner(count).plan(body(numbered(1, 2000)), CONVERSATION))
    await asyncio.to_thread(count.entered.wait, 10)
    assert not planning.done()
    count.gate.set()
    assert (await planning).replacements


async def test_what_was_decided_is_not_decided_again(planner: Make) -> None:
    count = Count()
    remembering = planner(count)
    first = await remembering.plan(body(numbered(1)), CONVERSATION)
    calls = count.calls
    second = await remembering.plan(body(numbered(1), "new"), CONVERSATION)
    assert count.calls == calls + 1  # for the new one
    await remembering.plan(body(numbered(1), "new"), CONVERSATION)
    assert count.calls == calls + 1
    assert second.replacements == first.replacements


async def test_every_planner_comes_to_the_same_bytes(planner: Make) -> None:
    data = body(*(numbered(start) for start in range(1, 3000, 300)))
    plans = [await planner().plan(data, CONVERSATION) for _ in range(2)]
    assert plans[0].replacements == plans[1].replacements
