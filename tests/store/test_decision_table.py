"""DecisionTable: the first one of a key holds, in every process, whatever dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from proxy_pkg.store import decision_table
from proxy_pkg.store.decision_table import DecisionTable, key_of

WRITER = """
import sys
from proxy_pkg.store.decision_table import DecisionTable, key_of
decisions = DecisionTable(sys.argv[1])
for number in range(int(sys.argv[2]), 10**9):
    decisions.first(key_of(b"%d" % number), number % 2)
    if number % 100 == 0:
        print(number, flush=True)
"""


@given(st.lists(st.tuples(st.binary(max_size=3), st.integers(0, 1)), max_size=40))
def test_the_first_mark_of_a_key_holds(steps: list[tuple[bytes, int]]) -> None:
    shared = DecisionTable()
    held: dict[bytes, int] = {}
    for text, decision in steps:
        assert shared.get(key_of(text)) == held.get(text)
        held.setdefault(text, decision)
        assert shared.first(key_of(text), decision) == held[text]


def test_workers_see_each_others_marks(tmp_path: Path) -> None:
    one, other = DecisionTable(str(tmp_path)), DecisionTable(str(tmp_path))
    assert one.problem == other.problem == ""
    assert one.first(key_of(b"a"), 1) == 1
    assert other.get(key_of(b"a")) == 1
    assert other.first(key_of(b"a"), 0) == 1
    assert DecisionTable(str(tmp_path)).get(key_of(b"a")) == 1


def test_a_worker_killed_while_it_marks_leaves_nothing_odd(tmp_path: Path) -> None:
    start = 0
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(start)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= start + 3000:
                break
        os.kill(writer.pid, signal.SIGKILL)
        writer.stdout.close()
        writer.wait()
        seen = DecisionTable(str(tmp_path))
        assert [seen.get(key_of(b"%d" % number)) for number in range(start, start + 3000)] == [0, 1] * 1500
        start += 3000


def key_in_set(group: int, number: int) -> int:
    """One of many keys of a group that all have the same set."""
    return group << 44 | (number * decision_table.SPAN_SETS) << 10 | 1 << 9


def test_a_full_set_forgets_and_goes_on() -> None:
    shared = DecisionTable()
    crowded = [key_in_set(7, number) for number in range(1, 60)]
    for key in crowded:
        assert shared.first(key, 1) == 1
    assert sum(shared.get(key) == 1 for key in crowded) == decision_table.PROBES_MAX


def test_conversations_with_many_marks_take_hardly_any_from_those_with_few() -> None:
    shared = DecisionTable()
    few = {(number, text): key_of(b"few %d" % number, b"%d" % text) for number in range(200) for text in range(5)}
    for (_, text), key in few.items():
        shared.first(key, text % 2)
    for number in range(150):
        for text in range(4096):
            shared.first(key_of(b"many %d" % number, b"%d" % text), 0)
    kept = sum(shared.get(key) == text % 2 for (_, text), key in few.items())
    assert kept >= 0.99 * len(few)  # two that share a set may count as many as anybody's


def test_a_caller_with_very_many_conversations_takes_hardly_any_marks_of_others() -> None:
    shared = DecisionTable()
    few = {key_of(b"few %d" % number, b"%d" % text, caller=7): text % 2 for number in range(200) for text in range(5)}
    for key, decision in few.items():
        shared.first(key, decision)
    for number in range(400_000):
        shared.first(key_of(b"one of many %d" % number, b"text", caller=9), 0)
    assert sum(shared.get(key) == decision for key, decision in few.items()) >= 0.999 * len(few)


def test_a_mark_is_found_under_another_credential_of_its_caller() -> None:
    shared = DecisionTable()
    assert shared.first(key_of(b"one", b"text", caller=7), 1) == 1
    assert shared.get(key_of(b"one", b"text", caller=8)) == 1
    assert shared.first(key_of(b"one", b"text"), 0) == 1
    shared.overrule(key_of(b"one", b"text", caller=200), 0)
    assert shared.get(key_of(b"one", b"text", caller=7)) == 0


def test_the_marks_of_one_conversation_have_room() -> None:
    shared = DecisionTable()
    keys = [key_of(b"one", b"%d" % text) for text in range(4096)]
    for key in keys:
        shared.first(key, 1)
    assert sum(shared.get(key) == 1 for key in keys) >= 0.998 * len(keys)


def test_marks_of_no_conversation_are_spread_over_the_whole_table() -> None:
    """Far more than the sets of one conversation hold; in those alone they would push each other out."""
    decisions = DecisionTable()
    keys = [decision_table.key_of(b"", b"%d" % number) for number in range(5000)]
    for key in keys:
        decisions.first(key, 1)
    assert sum(decisions.get(key) == 1 for key in keys) > 4990


def test_where_the_file_cannot_be_had_the_worker_keeps_its_own(tmp_path: Path) -> None:
    alone = DecisionTable(str(tmp_path / "missing"))
    assert "this worker alone" in alone.problem
    assert alone.first(key_of(b"a"), 1) == 1
    assert alone.get(key_of(b"a")) == 1


def test_parts_of_a_key_do_not_run_together() -> None:
    assert key_of(b"ab", b"c") != key_of(b"a", b"bc")
