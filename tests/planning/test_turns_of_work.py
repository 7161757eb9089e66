"""Nobody's request waits for another's work: what has no time is left alone, what was shorter is made so elsewhere."""

import asyncio
import threading

from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.policy import Rules
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.store.decision_table import DecisionTable
from tests.planning.characters import Characters
from tests.planning.test_offload import body, numbered

RULES = Rules(margin_percent=5, block_bytes_max=1 << 20)
assert MESSAGES.conversation is not None
CONVERSATION = MESSAGES.conversation


class Held(Characters):
    """Waits with long texts until it is let go on, then counts as ever."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)

    def count(self, text: str) -> int:
        if "slow" in text:
            self.entered.release()
            self.gate.wait(10)
        return len(text)


def slow(number: int) -> bytes:
    return body(numbered(number * 5000, 900).replace("total", "slow"))


async def test_work_of_others_that_stands_still_holds_up_neither_new_texts_nor_forms() -> None:
    marks, tokens = DecisionTable(), Held()
    quick, known = body(numbered(90_000, 900)), body(numbered(80_000, 900))
    before = Planner(RULES, Characters(), 16 << 20, 60_000, marks)
    first = await before.plan(known, CONVERSATION)
    before.close()
    planner = Planner(RULES, tokens, 16 << 20, 1000, marks)
    stuck = [asyncio.ensure_future(planner.plan(slow(number), CONVERSATION)) for number in range(3)]
    for _ in stuck:
        assert await asyncio.to_thread(tokens.entered.acquire, timeout=10)
    planner._deadline_ns = 50_000_000
    new, again = await asyncio.gather(planner.plan(quick, CONVERSATION), planner.plan(known, CONVERSATION))
    assert not any(each.done() for each in stuck)
    assert [verdict.reason for verdict in new.verdicts] == ["deadline"]
    assert again.replacements == first.replacements
    tokens.gate.set()
    await asyncio.gather(*stuck)
    later = await planner.plan(quick, CONVERSATION)
    assert [verdict.text for verdict in later.verdicts] == [None]
    planner.close()
