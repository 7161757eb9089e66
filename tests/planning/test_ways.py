"""Deadlines and workers: what one worker sent first, all workers send."""

import json
from hashlib import blake2b

import pytest

from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.plan import Plan
from proxy_pkg.planning.policy import Rules
from proxy_pkg.planning.terms import LEFT_ALONE
from proxy_pkg.protocols.openai_chat import CHAT
from proxy_pkg.store.decision_table import DecisionTable
from tests.fakes.tokens import FourCharacters

IN_TIME_MS, LATE_MS = 60_000, -1
READ = "\n".join(f"{line:6}→    value_{line} = compute_{line}(mode='fast')" for line in range(1, 60))


def worker(marks: DecisionTable, deadline_ms: int) -> Planner:
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
    marks, text = DecisionTable(), READ * size
    assert shortened(await planned(worker(marks, LATE_MS), text)) == [False]
    later = await planned(worker(marks, IN_TIME_MS), text, READ + "\nnew")
    assert shortened(later) == [False, True]
    assert later.verdicts[0].reason == "deadline"


async def test_a_text_sent_shorter_is_sent_shorter_however_late_it_is() -> None:
    marks = DecisionTable()
    first = await planned(worker(marks, IN_TIME_MS), READ)
    late = await planned(worker(marks, LATE_MS), READ, READ + "\nnew")
    assert shortened(late) == [True, False]
    assert late.replacements[0].data == first.replacements[0].data


async def test_the_same_text_of_another_tool_has_a_way_of_its_own() -> None:
    marks = DecisionTable()
    await planned(worker(marks, LATE_MS), READ)
    named = {"messages": [{"role": "tool", "tool_call_id": "c", "name": "Read", "content": READ}]}
    assert CHAT.conversation is not None
    planner = worker(marks, IN_TIME_MS)
    plan = await planner.plan(json.dumps(named).encode(), CHAT.conversation)
    planner.close()
    assert shortened(plan) == [True]


def conversation(name: str, text: str) -> bytes:
    call = {"id": f"call_{name}_8f3k2m19x7", "type": "function", "function": {"name": "cat", "arguments": "{}"}}
    asked = {"role": "assistant", "tool_calls": [call]}
    answer = {"role": "tool", "tool_call_id": call["id"], "content": text}
    return json.dumps({"messages": [asked, answer]}).encode()


async def test_a_text_that_one_conversation_had_no_time_for_is_shortened_in_another() -> None:
    marks = DecisionTable()
    late, usual = worker(marks, LATE_MS), worker(marks, IN_TIME_MS)
    assert CHAT.conversation is not None
    one, other = conversation("one", READ), conversation("two", READ)
    assert shortened(await late.plan(one, CHAT.conversation)) == [False]
    for _ in range(2):
        assert shortened(await usual.plan(other, CHAT.conversation)) == [True]
        assert shortened(await usual.plan(one, CHAT.conversation)) == [False]
        assert shortened(await late.plan(other, CHAT.conversation)) == [True]
    late.close()
    usual.close()


async def test_what_no_worker_survived_is_left_alone_in_every_conversation() -> None:
    marks = DecisionTable()
    marks.first(marks.key(b"", blake2b(READ.encode(), digest_size=16).digest(), b"cat"), LEFT_ALONE)
    planner = worker(marks, IN_TIME_MS)
    assert CHAT.conversation is not None
    for name in ("one", "two"):
        plan = await planner.plan(conversation(name, READ), CHAT.conversation)
        assert shortened(plan) == [False]
    planner.close()


async def test_the_item_of_another_conversation_is_decided_anew() -> None:
    """Clients that give every call the same name have equal items in different conversations."""
    marks = DecisionTable()
    late, usual = worker(marks, LATE_MS), worker(marks, IN_TIME_MS)
    assert CHAT.conversation is not None

    def asked(question: str) -> bytes:
        call = {"id": "call_0", "type": "function", "function": {"name": "cat", "arguments": "{}"}}
        answer = {"role": "tool", "tool_call_id": "call_0", "content": READ}
        user = {"role": "user", "content": question}
        return json.dumps({"messages": [user, {"role": "assistant", "tool_calls": [call]}, answer]}).encode()

    assert shortened(await late.plan(asked("first"), CHAT.conversation)) == [False]
    assert shortened(await usual.plan(asked("first"), CHAT.conversation)) == [False]
    assert shortened(await usual.plan(asked("second"), CHAT.conversation)) == [True]
    assert shortened(await usual.plan(asked("first"), CHAT.conversation)) == [False]
    late.close()
    usual.close()
