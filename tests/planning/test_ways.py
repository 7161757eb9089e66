"""Deadlines and workers: what one worker sent first, all workers send."""

import json

import pytest

from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.plan import Plan
from proxy_pkg.planning.policy import Rules
from proxy_pkg.protocols.openai_chat import CHAT
from proxy_pkg.store.marks import Marks
from tests.fakes.tokens import FourCharacters

IN_TIME_MS, LATE_MS = 60_000, -1
READ = "\n".join(f"{line:6}→    value_{line} = compute_{line}(mode='fast')" for line in range(1, 60))


def worker(marks: Marks, deadline_ms: int) -> Planner:
    return Planner(Rules(5, 1 << 20), FourCharacters(), 1 << 20, deadline_ms, marks)


def body(*texts: str) -> bytes:
    results = [{"role": "tool", "tool_call_id": f"c{number}", "content": text} for number, text in enumerate(texts)]
    return json.dumps({"messages": results}).encode()


async def planned(planner: Planner, *texts: str) -> Plan:
    assert CHAT.conversation is not None
    try:
        return await planner.plan(body(*texts), CHAT.conversation)
    finally:
        planner.close()


def shortened(plan: Plan) -> list[bool]:
    return [verdict.text is not None for verdict in plan.verdicts]


@pytest.mark.parametrize("size", [1, 40])  # decided on the loop, and on the thread
async def test_a_text_left_alone_for_lack_of_time_stays_so_on_every_worker(size: int) -> None:
    marks, text = Marks(), READ * size
    assert shortened(await planned(worker(marks, LATE_MS), text)) == [False]
    later = await planned(worker(marks, IN_TIME_MS), text, READ + "\nnew")
    assert shortened(later) == [False, True]
    assert later.verdicts[0].reason == "deadline"


async def test_a_text_sent_shorter_is_sent_shorter_however_late_it_is() -> None:
    marks = Marks()
    first = await planned(worker(marks, IN_TIME_MS), READ)
    late = await planned(worker(marks, LATE_MS), READ, READ + "\nnew")
    assert shortened(late) == [True, False]
    assert late.replacements[0].data == first.replacements[0].data


async def test_the_same_text_of_another_tool_has_a_way_of_its_own() -> None:
    marks = Marks()
    await planned(worker(marks, LATE_MS), READ)
    named = {"messages": [{"role": "tool", "tool_call_id": "c", "name": "Read", "content": READ}]}
    assert CHAT.conversation is not None
    planner = worker(marks, IN_TIME_MS)
    plan = await planner.plan(json.dumps(named).encode(), CHAT.conversation)
    planner.close()
    assert shortened(plan) == [True]
