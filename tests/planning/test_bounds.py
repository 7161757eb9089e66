"""Work and memory are bounded by the body, whatever its shape: counted, not timed."""

import json
from time import process_time
from typing import Any

import pytest

from proxy_pkg.model import Producer
from proxy_pkg.planning import arguments
from proxy_pkg.planning.draft import CANDIDATES_MAX, TEXTS_MAX, Memos, remember
from proxy_pkg.planning.plan import Plan, compose, leave_alone, settle
from proxy_pkg.planning.policy import LINES_MAX, Rules, decide
from proxy_pkg.planning.reading import draw
from proxy_pkg.planning.terms import LEFT_ALONE
from proxy_pkg.protocols.openai_chat import CHAT
from proxy_pkg.store.decision_table import DecisionTable
from proxy_pkg.tokens.count import load
from tests.fakes.tokens import FourCharacters

RULES = Rules(5, 1 << 20)
NO_DEADLINE = 1 << 62
LINES = [f"the line {number} of a file that is read again and again" for number in range(12)]


def body(texts: list[str], argument: str = "{}") -> bytes:
    call = {"id": "call_1", "type": "function", "function": {"name": "write", "arguments": argument}}
    messages: list[dict[str, Any]] = [{"role": "assistant", "tool_calls": [call]}]
    messages += [{"role": "tool", "tool_call_id": "call_1", "content": text} for text in texts]
    return json.dumps({"messages": messages}).encode()


def planned(data: bytes, memos: Memos, marks: DecisionTable | None = None, deadline_ns: int = NO_DEADLINE) -> Plan:
    assert CHAT.conversation is not None
    draft = draw(data, CHAT.conversation, memos)
    settle(draft, RULES, FourCharacters(), memos, deadline_ns, marks)
    remember(draft, memos)
    return compose(draft)


def equal(count: int) -> list[str]:
    return ["\n".join(LINES)] * count


def nearly_equal(count: int) -> list[str]:
    return ["\n".join([*LINES, f"and line {number}"]) for number in range(count)]


def one_letter_lines(count: int) -> list[str]:
    return ["x\n" * 200] * count


def periodic(count: int) -> list[str]:
    return ["a first line\nb second line\nc third line\n" * (5 + number % 3) for number in range(count)]


@pytest.mark.parametrize("shape", [equal, nearly_equal, one_letter_lines, periodic])
def test_four_times_the_results_are_about_four_times_the_work(shape: Any) -> None:
    def spent(count: int) -> float:
        data, best = body(shape(count)), float("inf")
        for _ in range(2):
            began = process_time()
            planned(data, Memos(64 << 20), DecisionTable())
            best = min(best, process_time() - began)
        return best

    assert spent(1600) < 8 * spent(400)


class Counted(dict[str, Any]):
    """Arguments that count how often they are written out."""

    written = 0

    def __repr__(self) -> str:
        Counted.written += 1
        return super().__repr__()


def test_a_call_is_written_out_once_however_many_results_it_has() -> None:
    producer = Producer("write", {"command": Counted(a="b")})
    assert len({producer.digest for _ in range(50)}) == 1
    assert Counted.written == 1


def test_of_huge_arguments_a_bounded_part_is_kept_and_what_is_read_stays_whole() -> None:
    huge = {"content": "x" * 7_000_000, "more": [1] * 100_000, "deep": {"a": {"b": {"c": {"d": {"e": "f"}}}}}}
    kept = arguments.kept({**huge, "n": 10**400, "file_path": "src/a.py", "command": "cat a"})
    assert (kept["file_path"], kept["command"]) == ("src/a.py", "cat a")
    assert len(repr(kept)) < arguments.READ_CHARS_MAX + 2 * arguments.REST_CHARS_MAX
    assert arguments.kept({"command": "x" * 7_000_000})["command"] == "x" * arguments.READ_CHARS_MAX
    usual = {"pattern": "x", "path": ".", "n": 3, "flags": ["-n", None, True]}
    assert dict(arguments.kept(usual)) == usual
    assert list(arguments.kept(usual)) == list(usual)


def test_what_is_remembered_is_charged_in_full() -> None:
    memos = Memos(1 << 30)
    planned(body(nearly_equal(40), json.dumps({"content": "x" * 30_000, "command": "y" * 9000})), memos)
    assert memos.items.size_bytes > 9000 + 40 * len("\n".join(LINES))
    [prefix] = memos.prefixes._entries
    assert prefix.size_bytes > len(prefix.data) + memos.items.size_bytes // 2
    assert all(isinstance(key, bytes) and len(key) <= 32 for key in (*memos.items._entries, *memos.verdicts._entries))


class Noted(DecisionTable):
    """Marks that keep the ways taken."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: dict[int, int] = {}

    def first(self, key: int, way: int) -> int:
        self.taken[key] = way
        return super().first(key, way)


def test_texts_too_small_to_change_leave_no_decision_behind() -> None:
    marks = Noted()
    planned(body([f"tiny {number}" for number in range(300)]), Memos(1 << 20), marks, deadline_ns=0)
    assert marks.taken == {}
    assert CHAT.conversation is not None
    draft = draw(body(["tiny"] * 300), CHAT.conversation, Memos(1 << 20))
    leave_alone(draft, Memos(1 << 20), FourCharacters(), marks)
    assert (marks.taken, draft.pending) == ({}, [])


@pytest.mark.parametrize("left_at_once", [True, False])
def test_texts_that_there_is_no_time_for_are_estimated_all_the_same(left_at_once: bool) -> None:
    """By one sample of all of them: a sample of each would take more time."""
    assert CHAT.conversation is not None
    texts = [
        "".join(f"2026-01-{day:02} {hour}:14:0{hour % 9} worker-{hour} {hour * day * 7919 % 10007:x} done\n" * 5)
        for day in range(1, 31)
        for hour in range(1, 20)
    ]
    draft = draw(body(texts), CHAT.conversation, Memos(1 << 24))
    if left_at_once:
        leave_alone(draft, Memos(1 << 24), load(), DecisionTable())
    settle(draft, RULES, load(), Memos(1 << 24), 0, DecisionTable())
    plan = compose(draft)
    assert {verdict.reason for verdict in plan.verdicts} == {"busy" if left_at_once else "deadline"}
    assert plan.tokens_before == pytest.approx(sum(map(load().count, texts)), rel=0.05)


def test_a_body_leaves_a_bounded_number_of_decisions_behind() -> None:
    marks, texts = Noted(), [f"{number} {'long enough ' * 14}" for number in range(CANDIDATES_MAX + 500)]
    late = planned(body(texts), Memos(1 << 20), marks, deadline_ns=0)
    assert len(marks.taken) == CANDIDATES_MAX
    assert set(marks.taken.values()) == {LEFT_ALONE}
    assert [verdict.reason for verdict in late.verdicts[-500:]] == ["too_many"] * 500
    later = planned(body([*texts, "x"]), Memos(1 << 20), marks)
    assert [verdict.text for verdict in later.verdicts] == [None] * (len(texts) + 1)


def test_texts_beyond_the_most_that_are_looked_at_stay_as_they_are() -> None:
    plan = planned(body(["tiny"] * (TEXTS_MAX + 9)), Memos(1 << 20))
    assert (len(plan.verdicts), plan.doubts) == (TEXTS_MAX, ("too_many",))


def test_the_same_text_is_decided_once_however_many_calls_printed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal texts share their way, so all of them have to be made shorter however late it is."""
    decided = []

    def counted(text: str, *rest: Any) -> Any:
        decided.append(text)
        return decide(text, *rest)

    monkeypatch.setattr("proxy_pkg.planning.plan.decide", counted)
    log = "\n".join(f"2026-11-30T10:00:{number:02} INFO worker took part {number}" for number in range(40))
    commands = [*(f"./run --part {number}" for number in range(50)), "cat notes.txt", "cat src/more.txt"]
    messages: list[dict[str, Any]] = []
    for number, command in enumerate(commands):
        function = {"name": "shell", "arguments": json.dumps({"command": command})}
        messages.append({"role": "assistant", "tool_calls": [{"id": str(number), "function": function}]})
        messages.append({"role": "tool", "tool_call_id": str(number), "content": log})
    together = planned(json.dumps({"messages": messages}).encode(), Memos(64 << 20), DecisionTable())
    assert len(decided) == 2
    apart = [
        planned(json.dumps({"messages": messages[at : at + 2]}).encode(), Memos(64 << 20), DecisionTable())
        for at in range(0, len(messages), 2)
    ]
    alone = [verdict for plan in apart for verdict in plan.verdicts]
    assert [verdict.kind for verdict in together.verdicts] == [verdict.kind for verdict in alone]


def test_a_text_of_very_many_lines_is_left_alone() -> None:
    assert decide("1\n" * (LINES_MAX + 1), Producer("Bash"), RULES, FourCharacters()).reason == "too_large"
    assert decide("1\n" * LINES_MAX, Producer("Bash"), RULES, FourCharacters()).reason != "too_large"
