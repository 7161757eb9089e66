"""Outputs that came before as a whole: named, whatever form they were sent in and whatever stands around them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.model import Grade
from proxy_pkg.planning.draft import Memos
from proxy_pkg.planning.equal import output_digest, parts, reminders_start
from proxy_pkg.planning.policy import Rules
from tests.planning.test_believed import Call, planned, talk
from tests.planning.test_references import numbered, plan, source, unreadable

LISTING = "\n".join(
    f"./src/{part}:\ntotal {n}\n-rw-r--r--  1 root  root  {n * 37:5} Nov 30 10:{n:02} module_{n}.py\n"
    for n, part in enumerate(["app", "web", "cli", "db", "api", "ops", "doc", "lib"] * 4, 10)
)
ROWS = json.dumps([{"id": n, "name": f"row {n}", "state": "open"} for n in range(40)], indent=1)
REMINDER = "\n\n<system-reminder>\nThe task list is empty. {}\n</system-reminder>\n"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("ls -laR", LISTING),
        ("curl -s localhost", ROWS),
        ("pytest -v", "\n".join(f"tests/test_{n}.py::test_it PASSED [ {n}%]" for n in range(10, 60))),
        ("make", "\n".join(f"2026-05-01 10:00:{n:02} INFO job {n} took a part of the queue" for n in range(50))),
        ("tail app.log", "\n".join(f"2026-05-01T10:00:{n:02}Z INFO job {n} took a part" for n in range(50))),
        ("cat -n a b", numbered(source(3, 30)) + "\n" + numbered(source(4, 30))),
        ("curl -s localhost", json.dumps(["x" * 900])),
    ],
)
def test_an_equal_output_costs_once(command: str, text: str) -> None:
    made = planned([("Bash", {"command": command}, text)] * 3)
    for verdict in made.verdicts[1:]:
        assert verdict.compressor == "reference"
        assert len(verdict.text or "") < 90
        assert "result toolu_0 (Bash" in (verdict.text or "")
    assert unreadable([text] * 3, made) == []


def test_outputs_equal_to_a_compressed_one_say_whose_they_are() -> None:
    commands = ["kubectl get x -o json", "kubectl get x -o json", "docker inspect x"]
    made = planned([("Bash", {"command": command}, ROWS) for command in commands])
    sent = "[same output as result toolu_0 (Bash kubectl get x -o json)]"
    assert [verdict.text for verdict in made.verdicts[1:]] == [sent] * 2
    assert made.verdicts[0].compressor not in ("", "reference")


def test_an_output_found_again_after_a_change_is_read_anew() -> None:
    twice = numbered(source(3, 30)) + "\n" + numbered(source(4, 30))
    calls: list[Call] = [("Read", {"file_path": "a"}, twice), ("Edit", {"file_path": "a"}, "ok")]
    made = planned([*calls, ("Read", {"file_path": "a"}, twice)])
    assert made.verdicts[2].text == "[read anew, same output as result toolu_0 (Read a)]"
    assert unreadable([twice, "ok", twice], made) == []


def test_what_an_edit_could_quote_is_not_left_to_another_form() -> None:
    """The same JSON from the web, where it may become a table, and from a tool that may have read a file."""
    rows = json.dumps([{"id": n, "state": "open", "size": n * 1.0} for n in range(60)], indent=2)
    calls: list[Call] = [("Bash", {"command": "gh api x"}, rows), ("strange", {}, rows)]
    assert "reference" not in planned(calls).verdicts[1].compressor
    made = planned([("Bash", {"command": "kubectl get x"}, rows), ("Bash", {"command": "cat x.json"}, rows)])
    table, printed = made.verdicts
    assert printed.compressor != "reference" or table.text is None


@pytest.mark.parametrize(
    "text", [LISTING, ROWS, "\n".join(source(5, 60)), numbered(source(6, 60)), '{"output": "", "n": [1]}' * 30]
)
def test_reminders_do_not_hide_that_outputs_are_equal(text: str) -> None:
    """They go out as they came, equal or not."""
    long = REMINDER.format("\n".join(source(9, 400)))
    ends = [REMINDER.format("x"), "", REMINDER.format("z") + long, REMINDER.format("x"), long.rstrip()]
    texts = [text + end for end in ends]
    made = planned([("Bash", {"command": "./run"}, each) for each in texts])
    for verdict, end in zip(made.verdicts[1:], ends[1:], strict=True):
        assert verdict.compressor.startswith("reference")
        assert (verdict.text or "").endswith(end)
        assert len(verdict.text or "") < len(end) + 120
    assert unreadable(texts, made) == []


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a\n", "\n", "<system-reminder>", "</system-reminder>", " "]), max_size=30))
def test_a_text_comes_back_from_its_parts(pieces: list[str]) -> None:
    text = "".join(pieces)
    whole = parts(text)
    assert whole.around(whole.body) == text
    assert 0 <= reminders_start(text) <= len(text)


def test_a_reminder_in_the_middle_is_text() -> None:
    text = "a" * 300 + REMINDER.format("x") + "b" * 300
    assert reminders_start(text) == len(text)
    assert output_digest(text) != output_digest("a" * 300)


def test_what_stands_around_an_output_in_json_stays() -> None:
    texts = [json.dumps({"output": LISTING, "metadata": {"seconds": n}}) for n in (1, 2)]
    made = planned([("shell", {"command": ["ls", "-laR"]}, text) for text in texts])
    sent = '{"output": "[lines 1-128: as in result toolu_0 (shell)]", "metadata": {"seconds": 2}}'
    assert made.verdicts[1].text == sent


def test_an_output_that_holds_references_is_not_pointed_at_as_a_whole() -> None:
    lines = source(1, 60)
    texts = ["\n".join(lines[:40]), "\n".join(lines), "\n".join(lines)]
    made = planned([("Bash", {"command": "kubectl logs x"}, text) for text in texts])
    assert [verdict.compressor for verdict in made.verdicts[1:]] == ["reference"] * 2
    assert "same output" not in (made.verdicts[2].text or "")
    assert unreadable(texts, made) == []


def test_what_has_lost_lines_is_pointed_at_where_the_same_lines_went() -> None:
    text = "\n".join(
        f"2026-05-01 10:{n // 60:02}:{n % 60:02} INFO job {n} took part {n * 7919 % 1000}" for n in range(900)
    )
    rules = Rules(5, 1 << 20, reduces=True)
    calls: list[Call] = [("Bash", {"command": f"kubectl logs {pod}"}, text) for pod in ("one", "one", "job 77")]
    first, same, other = plan(talk(calls), Memos(1 << 22), rules).verdicts
    assert (first.grade, first.compressor != "reference") == (Grade.LOSSY, True)
    assert (same.grade, same.compressor) == (Grade.LOSSY, "reference")
    assert (other.compressor == "reference") == (other.text == same.text)


def parts_of(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


@pytest.mark.parametrize("text", [numbered(source(7, 60)), "\n".join(source(8, 60)), LISTING])
def test_any_text_of_a_result_is_pointed_at_by_name(text: str) -> None:
    calls: list[Call] = [
        ("logs", {"n": 1}, parts_of("Result:", text)),
        ("logs", {"n": 2}, parts_of("Result:", text)),
        ("logs", {"n": 3}, text),
    ]
    made = planned(calls)
    for at in (3, 4):
        sent = made.verdicts[at].text
        assert sent is not None
        assert "result toolu_0 text 2 (logs)" in sent
        assert len(sent) < 80


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=9))
def test_equal_outputs_are_the_same_for_a_known_conversation(order: list[int]) -> None:
    texts = [LISTING, ROWS, LISTING + REMINDER.format("x"), numbered(source(1, 40)), "small"]
    calls: list[Call] = [("Bash", {"command": f"./run {n}"}, texts[n]) for n in order]
    memos = Memos(1 << 22)
    for length in range(1, len(calls) + 1):
        data: Any = talk(calls[:length])
        assert plan(data, memos) == plan(data, Memos(1 << 22))
