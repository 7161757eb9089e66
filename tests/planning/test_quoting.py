"""What an agent can quote: every few lines of a result stand in one piece in one result that was sent."""

import json
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.compression_quotes import shown, views
from proxy_pkg.compressors.detect import Kind
from proxy_pkg.compressors.producers import NO_MORE
from proxy_pkg.model import Producer
from proxy_pkg.planning import quoting
from proxy_pkg.planning.draft import Memos
from proxy_pkg.planning.quoting import RUN_LINES_MIN, WINDOW_LINES, is_quoted, quotable
from proxy_pkg.planning.references import Lines, Run, Seen
from tests.planning.test_references import body, numbered, plan, source, unreadable

FORMS: dict[str, Callable[[int, str], str]] = {
    "Claude Code, as it was": lambda number, line: f"{number:6}→{line}",
    "Claude Code": lambda number, line: f"{number}\t{line}",
    "opencode, padded": lambda number, line: f"{number:05}| {line}",
    "opencode": lambda number, line: f"{number}: {line}",
    "Cursor": lambda number, line: f"{number:6}|{line}",
    "Cline": lambda number, line: f"{number} | {line}",
    "cat -n": lambda number, line: f"{number:6}\t{line}",
    "plain": lambda _, line: line,
}


def printed(lines: list[str], first: int, form: Callable[[int, str], str]) -> str:
    return "\n".join(form(number, line) for number, line in enumerate(lines, first))


def torn(reads: list[list[str]], sent: list[str], window: int) -> list[str]:
    """Windows of lines of a read that stand in no text that was sent up to it."""
    found = []
    sent = ["\n".join(map(str.strip, text.split("\n"))) for text in sent]  # a blank may belong to the number
    for at, lines in enumerate(reads):
        for start in range(max(1, len(lines) - window + 1)):
            quote = "\n".join(map(str.strip, lines[start : start + window]))
            if not any(quote in text for text in sent[: at + 1]):
                found.append(f"read {at}, line {start}: {quote[:60]}")
    return found


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1), st.integers(0, 90), st.integers(3, 140), st.lists(st.integers(0, 139), max_size=2)
        ),
        min_size=2,
        max_size=7,
    ),
    st.sampled_from(list(FORMS)),
)
@settings(max_examples=120, deadline=None)
def test_every_few_lines_stand_in_one_piece(reads: list[tuple[int, int, int, list[int]]], form: str) -> None:
    texts, shown_lines = [], []
    for number, (file, start, length, edits) in enumerate(reads):
        lines = source(file, 180)
        for edit in edits:
            lines[start + edit : start + edit + 1] = [f"    edited_{number % 2} = {edit}"] * (1 + edit % 2)
        shown_lines.append(lines[start : start + length])
        texts.append(printed(shown_lines[-1], start + 1, FORMS[form]))
    window = 12
    before, quoting.WINDOW_LINES = quoting.WINDOW_LINES, window
    try:
        made = plan(body([(f"{reads[at][0]}.py", text) for at, text in enumerate(texts)]), Memos(1 << 22))
    finally:
        quoting.WINDOW_LINES = before
    sent = [
        views(text if verdict.text is None else shown(verdict.text, verdict.compressor))
        for text, verdict in zip(texts, made.verdicts, strict=True)
    ]
    assert torn(shown_lines, sent, window) == []
    assert unreadable(texts, made) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_file_read_again_is_one_reference_in_every_form(form: str) -> None:
    text = printed(source(2, 90), 1, FORMS[form])
    made = plan(body([("a.py", text)] * 3), Memos(1 << 20))
    assert [verdict.text for verdict in made.verdicts[1:]] == ["[lines 1-90: as in result toolu_0 (Read a.py)]"] * 2


def test_lines_next_to_a_change_are_sent_with_it() -> None:
    lines = source(3, 600)
    edited = [*lines[:300], "    changed = True", *lines[301:]]
    made = plan(body([("a.py", numbered(lines)), ("a.py", numbered(edited))]), Memos(1 << 22))
    sent = made.verdicts[1].text
    assert sent is not None
    assert f"[lines 1-{301 - WINDOW_LINES}: as in result toolu_0 (Read a.py)]" in sent
    assert "[lines 421-600: as there]" in sent


def test_two_results_that_show_a_border_on_both_sides_need_no_kept_lines() -> None:
    lines = source(4, 600)
    seen = Seen()
    seen.add(Lines("\n".join(lines[:400])))
    seen.add(Lines("\n".join(lines[200:])))
    whole = "\n".join(lines)
    found = quotable(whole, Lines(whole), seen.find(Lines(whole)), seen)
    assert [(run.start, run.length, run.source) for run in found] == [(0, 400, 0), (400, 200, 1)]


def test_a_result_that_shows_more_is_pointed_at_alone() -> None:
    lines = source(5, 100)
    seen = Seen()
    seen.add(Lines("\n".join(lines[:20])))
    seen.add(Lines("\n".join(lines)))
    text = "\n".join(lines[5:90])
    found = quotable(text, Lines(text), seen.find(Lines(text)), seen)
    assert found == [Run(0, 85, 1, 5)]


def test_short_references_are_not_made() -> None:
    lines = source(6, RUN_LINES_MIN - 1)
    seen = Seen()
    seen.add(Lines("\n".join(lines)))
    text = "\n".join(lines)
    assert quotable(text, Lines(text), seen.find(Lines(text)), seen) == []


def test_what_a_command_tells_of_its_run_is_not_quoted() -> None:
    assert is_quoted(Kind.FILE, Producer("Read"), NO_MORE)
    assert is_quoted(Kind.OUTPUT, Producer("strange"), NO_MORE)
    assert not is_quoted(Kind.BUILD, Producer("bash", {"command": "./run"}), NO_MORE)
    assert not is_quoted(Kind.TEXT, Producer("WebFetch"), NO_MORE)


def test_quoting_is_the_same_for_a_known_conversation() -> None:
    chooser = random.Random(7)
    results = []
    for number in range(10):
        start = chooser.randrange(60)
        lines = source(number % 2, 300)
        if number > 4:
            lines[chooser.randrange(300)] = "    changed = True"
        results.append(("a.py", printed(lines[start:], start + 1, FORMS["Claude Code"])))
    memos = Memos(1 << 22)
    for length in range(1, len(results) + 1):
        data = body(results[:length])
        assert plan(data, memos) == plan(data, Memos(1 << 22))


def test_a_blank_that_may_belong_to_the_mark_is_not_lost() -> None:
    """All lines of the first read are indented, so that its mark could be `| `; the second has a blank less."""
    deep = [f"    {line}" for line in source(8, 60)]
    less = [line[1:] for line in deep[:30]] + ["end"]
    texts = [printed(deep, 1, FORMS["Cursor"]), printed(["top", *less], 1, FORMS["Cursor"])]
    made = plan(body([("a.py", text) for text in texts]), Memos(1 << 20))
    assert "reference" not in made.verdicts[1].compressor


def test_an_output_in_a_json_object_is_pointed_at_inside() -> None:
    text = json.dumps({"output": "\n".join(source(9, 60)), "metadata": {"exit_code": 0}})
    made = plan(body([("a.py", text)] * 2), Memos(1 << 20))
    sent = '{"output": "[lines 1-60: as in result toolu_0 (Read a.py)]", "metadata": {"exit_code": 0}}'
    assert [verdict.text for verdict in made.verdicts] == [None, sent]
    assert unreadable([text] * 2, made) == []


@pytest.mark.parametrize("count", [40, 150, 400])
@pytest.mark.parametrize(
    ("head", "tail"),
    [
        ("<untrusted_context>\nOutput: ", "\nProcess Group PGID: 7\n</untrusted_context>"),
        ("Command: cat a.py\nDirectory: (root)\nOutput: ", "\nError: (none)\nExit Code: 0\nProcess Group PGID: (none)"),
    ],
    ids=["Gemini CLI", "Qwen Code"],
)
def test_the_first_line_behind_other_words_is_the_line_that_was_printed(head: str, tail: str, count: int) -> None:
    lines = source(31, count)
    texts = ["\n".join(lines), head + "\n".join(lines) + tail]
    made = plan(body([("a.py", text) for text in texts], "Bash"), Memos(1 << 20))
    assert made.verdicts[1].compressor == "reference"
    sent = made.verdicts[1].text or ""
    assert sent == f"{head}[same output as result toolu_0 (Bash a.py)]{tail}"
    assert unreadable(texts, made) == []
    assert torn([lines, lines], [texts[0], sent], WINDOW_LINES) == []


def test_a_first_line_that_differs_behind_other_words_is_sent_with_those_below_it() -> None:
    lines = source(32, 300)
    other = ["    changed = True", *lines[1:]]
    texts = ["\n".join(lines), "<untrusted_context>\nOutput: " + "\n".join(other) + "\n</untrusted_context>"]
    made = plan(body([("a.py", text) for text in texts], "Bash"), Memos(1 << 20))
    sent = made.verdicts[1].text or ""
    assert torn([lines, other], [texts[0], sent.replace("Output: ", "")], WINDOW_LINES) == []
    assert "[lines 122-301: " in sent, "what any window from the changed line reaches is there"
