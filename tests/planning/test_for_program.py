"""Results that a program parses stay exact; no model reads them, so no reference points at them either."""

from typing import Any

import msgspec
import pytest

from proxy_pkg.planning.draft import Memos
from proxy_pkg.planning.plan import Plan, compose, settle
from proxy_pkg.planning.policy import FOR_PROGRAM, Rules
from proxy_pkg.planning.reading import draw
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.protocols.grammar import Conversation
from proxy_pkg.protocols.openai_responses import RESPONSES
from tests.planning.characters import Characters

READ = "\n".join(f"{n:6}→    total_{n % 7} = read_part({n}) + total_{n % 5}" for n in range(1, 90))
PROGRAM = {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}
RULES = Rules(margin_percent=5, block_bytes_max=1 << 20)


def planned(body: dict[str, Any], conversation: Conversation | None) -> Plan:
    assert conversation is not None
    memos = Memos(1 << 20)
    draft = draw(msgspec.json.encode(body), conversation, memos)
    settle(draft, RULES, Characters(), memos, 1 << 62)
    return compose(draft)


def call(number: int, **members: Any) -> dict[str, Any]:
    block = {"type": "tool_use", "id": f"t{number}", "name": "Read", "input": {"file_path": "/a.py"}, **members}
    return {"role": "assistant", "content": [block]}


def result(number: int, text: str = READ, **members: Any) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": f"t{number}", "content": text, **members}
    return {"role": "user", "content": [block]}


@pytest.mark.parametrize(
    ("made", "reason"),
    [({}, "smaller"), ({"caller": {"type": "direct"}}, "smaller"), ({"caller": PROGRAM}, FOR_PROGRAM)],
)
def test_the_call_says_who_reads_its_result(made: dict[str, Any], reason: str) -> None:
    plan = planned({"messages": [call(1, **made), result(1)]}, MESSAGES.conversation)
    assert [verdict.reason for verdict in plan.verdicts] == [reason]
    assert bool(plan.replacements) is (reason == "smaller")


def test_a_result_may_say_it_itself() -> None:
    items = [{"type": "function_call_output", "call_id": "c", "output": READ, "caller": {"type": "program"}}]
    assert planned({"input": items}, RESPONSES.conversation).verdicts[0].reason == FOR_PROGRAM
    del items[0]["caller"]
    assert planned({"input": items}, RESPONSES.conversation).verdicts[0].reason == "smaller"


def test_the_same_text_is_decided_for_each_reader() -> None:
    turns = [call(1, caller=PROGRAM), result(1), call(2), result(2), call(3, caller=PROGRAM), result(3)]
    reasons = [verdict.reason for verdict in planned({"messages": turns}, MESSAGES.conversation).verdicts]
    assert reasons == [FOR_PROGRAM, "smaller", FOR_PROGRAM]


def test_no_reference_points_at_what_no_model_has_read() -> None:
    text = "".join(f"    total_{n} = read_part({n * 31})\n" for n in range(300))
    cat = {"name": "Bash", "input": {"command": "cat a.py"}}
    turns = [call(1, caller=PROGRAM, **cat), result(1, text), call(2, **cat), result(2, text)]
    assert [verdict.text for verdict in planned({"messages": turns}, MESSAGES.conversation).verdicts] == [None, None]
    read_before = [call(1, **cat), result(1, text), call(2, **cat), result(2, text)]
    sent = planned({"messages": read_before}, MESSAGES.conversation).verdicts[1].text
    assert sent is not None
    assert len(sent) < len(text) / 10
