"""References: what they stand for can be put back, and they depend on the request before them alone."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.compression_references import Reader
from proxy_pkg.compressors.producers import tools
from proxy_pkg.model import Producer
from proxy_pkg.planning.draft import Memos, remember
from proxy_pkg.planning.plan import Plan, compose, settle
from proxy_pkg.planning.policy import Rules
from proxy_pkg.planning.reading import draw
from proxy_pkg.planning.references import Lines, Names, Seen, may_refer, with_references
from proxy_pkg.protocols.anthropic import MESSAGES
from tests.fakes.tokens import FourCharacters

RULES = Rules(5, 1 << 20)
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


def source(seed: int, lines: int) -> list[str]:
    chooser = random.Random(seed)
    return [f"    {chooser.choice(WORDS)} = {chooser.choice(WORDS)}({chooser.randrange(999)})" for _ in range(lines)]


def numbered(lines: list[str], first: int = 1) -> str:
    return "\n".join(f"{number:6}→{line}" for number, line in enumerate(lines, first))


def body(results: list[tuple[str, str]], tool: str = "Read", /, **fields: Any) -> bytes:
    """A conversation in which a file is read again and again by `tool`. `results` are (path, text)."""
    messages: list[dict[str, Any]] = []
    for number, (path, text) in enumerate(results):
        call = {"type": "tool_use", "id": f"toolu_{number}", "name": tool, "input": {"file_path": path}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": text}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return json.dumps({"model": "m", "messages": messages, **fields}).encode()


def plan(data: bytes, memos: Memos, rules: Rules = RULES) -> Plan:
    assert MESSAGES.conversation is not None
    draft = draw(data, MESSAGES.conversation, memos)
    settle(draft, rules, FourCharacters(), memos, 1 << 62)
    remember(draft, memos)
    return compose(draft)


def unreadable(texts: list[str], made: Plan) -> list[str]:
    """What a reader of the request cannot put back."""
    reader = Reader()
    pairs = enumerate(zip(texts, made.verdicts, strict=True))
    return [problem for at, (text, verdict) in pairs if (problem := reader.read(f"toolu_{at}", text, verdict))]


def grep(lines: list[str], hits: set[int], first: int = 1) -> str:
    return "\n".join(f"{number}{':' if number in hits else '-'}{line}" for number, line in enumerate(lines, first))


def test_a_file_read_again_after_an_edit_is_sent_as_references_around_the_edit() -> None:
    lines = source(1, 420)
    edited = [*lines[:200], "    changed = True", "    added = 1", *lines[201:]]
    texts = [numbered(lines), numbered(edited)]
    made = plan(body([("src/a.py", text) for text in texts]), Memos(1 << 20))
    first, second = made.verdicts
    assert first.compressor == "numbered"
    assert second.compressor == "reference+numbered"
    assert second.text is not None
    assert "[lines 1-81: as in result toolu_0 (Read src/a.py)]" in second.text
    assert "[lines 322-421: as lines 321-420 there]" in second.text
    assert "changed = True" in second.text
    assert unreadable(texts, made) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 60), st.integers(8, 80), st.integers(0, 5)), min_size=1, max_size=8
    )
)
@settings(max_examples=80, deadline=None)
def test_every_reference_can_be_put_back(reads: list[tuple[int, int, int, int]]) -> None:
    texts: list[str] = []
    for file, start, length, edit in reads:
        lines = source(file, 150)[start : start + length]
        if edit:
            lines[edit % len(lines)] = f"    edited_{edit} = {start}"
        texts.append(numbered(lines, start + 1))
    made = plan(body([(f"f{reads[at][0]}.py", text) for at, text in enumerate(texts)]), Memos(1 << 22))
    assert unreadable(texts, made) == []


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 40)), min_size=1, max_size=10))
@settings(max_examples=60, deadline=None)
def test_a_known_conversation_and_a_new_one_give_the_same(reads: list[tuple[int, int]]) -> None:
    results = [(f"f{file}.py", numbered(source(file, 90)[start : start + 50], start + 1)) for file, start in reads]
    memos = Memos(1 << 22)
    for length in range(1, len(results) + 1):
        data = body(results[:length])
        warm = plan(data, memos)
        assert warm == plan(data, Memos(1 << 22))
        assert warm == plan(data, memos)


def test_two_branches_of_a_conversation_do_not_see_each_other() -> None:
    memos = Memos(1 << 22)
    start = [("a.py", numbered(source(number, 40))) for number in range(4)]
    for branch in range(3):
        tail = [("b.py", numbered(source(50 + branch, 60))), ("b.py", numbered(source(50 + branch, 70)))]
        data = body([*start, *tail, *tail])
        assert plan(data, memos) == plan(data, Memos(1 << 22))


def test_nothing_refers_where_the_api_may_drop_old_results() -> None:
    text = numbered(source(3, 80))
    again = [("a.py", text), ("a.py", text)]
    assert "reference" in plan(body(again), Memos(1 << 20)).verdicts[1].compressor
    clearing = {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}
    memos = Memos(1 << 20)
    for _ in range(2):
        assert plan(body(again, "Read", **clearing), memos).verdicts[1].compressor == "numbered"
    # Without the field the same conversation is another one.
    assert "reference" in plan(body(again), memos).verdicts[1].compressor


def test_references_can_be_switched_off() -> None:
    text = numbered(source(3, 80))
    made = plan(body([("a.py", text), ("a.py", text)]), Memos(1 << 20), Rules(5, 1 << 20, references=False))
    assert [verdict.compressor for verdict in made.verdicts] == ["numbered", "numbered"]


@pytest.mark.parametrize(
    "rules", [Rules(5, 1 << 20, tools=tools("", "", "grep")), Rules(5, 1 << 20, tokens_min=1 << 20)]
)
def test_what_should_stay_exact_has_no_references_in_it(rules: Rules) -> None:
    text = numbered(source(3, 80))
    made = plan(body([("a.py", text), ("a.py", text)], "Grep"), Memos(1 << 20), rules)
    assert made.replacements == ()


def test_lines_that_grep_shows_refer_to_the_file_that_was_read_before() -> None:
    lines = source(5, 80)
    texts = [numbered(lines), grep(lines[19:60], {40}, first=20)]
    made = plan(body([("a.py", text) for text in texts], "Grep"), Memos(1 << 20))
    assert made.verdicts[1].text == (
        f"[lines 20-39: as in result toolu_0 (Grep a.py)]\n40:{lines[39]}\n[lines 41-60: as there]"
    )
    assert unreadable(texts, made) == []


def test_a_file_refers_to_lines_that_grep_showed_before() -> None:
    lines = source(6, 500)
    texts = ["x\n" * 3 + grep(lines[9:490], {30}, first=10), numbered(lines)]
    made = plan(body([("a.py", text) for text in texts], "Grep"), Memos(1 << 20))
    assert made.verdicts[0].compressor == "search"
    assert made.verdicts[1].text is not None
    assert "[lines 129-371: as in result toolu_0 (Grep a.py)]" in made.verdicts[1].text
    assert unreadable(texts, made) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ncfw"), st.integers(0, 2), st.integers(0, 60), st.integers(4, 60), st.integers(0, 5)
        ),
        min_size=2,
        max_size=7,
    )
)
@settings(max_examples=80, deadline=None)
def test_every_way_to_show_a_file_can_be_put_back(shown: list[tuple[str, int, int, int, int]]) -> None:
    texts: list[str] = []
    for way, file, start, length, edit in shown:
        lines = source(file, 150)[start : start + length]
        if edit:
            lines[edit % len(lines)] = f"    edited_{edit} = {start}"
        forms = {
            "n": numbered(lines, start + 1),
            "c": "\n".join(lines),
            "f": grep(lines, {start + 1 + edit, start + 9 * edit}, start + 1),
            "w": "<returncode>0</returncode>\n<output>\n" + grep(lines, {start + 7}, start + 1) + "\n</output>",
        }
        texts.append(forms[way])
    made = plan(body([("a.py", text) for text in texts], "Show"), Memos(1 << 22))
    assert unreadable(texts, made) == []


def test_results_in_one_message_are_all_pointed_at() -> None:
    lines, others = source(7, 40), source(8, 40)
    calls = [{"type": "tool_use", "id": f"toolu_{n}", "name": "Read", "input": {"path": f"{n}.py"}} for n in (0, 1, 2)]
    results = [
        {"type": "tool_result", "tool_use_id": f"toolu_{n}", "content": numbered(text)}
        for n, text in enumerate((lines, others, others))
    ]
    messages = [{"role": "assistant", "content": calls}, {"role": "user", "content": results}]
    made = plan(json.dumps({"messages": messages}).encode(), Memos(1 << 20))
    assert made.verdicts[2].text == "[lines 1-40: as in result toolu_1 (Read 1.py)]"


@pytest.mark.parametrize(
    "mark", ["2026-03-01 10:{:02}:07 INFO ", "10:{:02}:07 ", "2026-03-{:02}T10:00:00Z ", "2026-03-{:02},"]
)
def test_a_log_without_line_numbers_is_pointed_at(mark: str) -> None:
    """A date is no number of a line, so a reader counts the lines."""
    text = "\n".join(mark.format(n) + line.strip() for n, line in enumerate(source(21, 60)))
    made = plan(body([("app.log", text), ("app.log", text)]), Memos(1 << 20))
    assert made.verdicts[1].compressor == "reference"
    assert unreadable([text, text], made) == []


@pytest.mark.parametrize("mark", ["{}: ", "{}-", "10{}-1-2 ", "{}\t"])
def test_a_text_whose_lines_begin_like_numbered_ones_is_pointed_at_as_a_whole_only(mark: str) -> None:
    text = "\n".join(mark.format(n * 3 + 1) + line.strip() for n, line in enumerate(source(22, 60)))
    made = plan(body([("a.txt", text), ("a.txt", text)]), Memos(1 << 20))
    assert made.verdicts[1].text == "[same output as result toolu_0 (Read a.txt)]"


def test_a_text_whose_numbers_begin_again_is_pointed_at_as_a_whole_only() -> None:
    lines = source(10, 40)
    twice = [numbered(lines) + "\n" + numbered(source(11, 40)), numbered(lines)]
    made = plan(body([("a.py", text) for text in twice]), Memos(1 << 20))
    assert made.verdicts[1].compressor == "numbered"


def test_a_long_id_goes_by_its_end_while_no_other_ends_so() -> None:
    read = Producer("Read", {"file_path": "/home/someone/project/src/app/storage/engine.py"})
    assert named("toolu_01AbCdEfGh", read, ["toolu_01AbCdEfGh"]) == "…CdEfGh (Read …/project/src/app/storage/engine.py)"
    assert named("toolu_01AbCdEfGh", Producer(), ["toolu_01AbCdEfGh", "x_AbCdEfGh"]) == "toolu_01AbCdEfGh"
    assert named("read_file", Producer(), ["read_file"] * 3) == "read_file#3"
    assert named("short", Producer("Bash", {"command": "ls\n -l"}), ["short"]) == "short (Bash ls -l)"


def named(call: str, producer: Producer, calls: list[str]) -> str:
    """What the last result of `call` is called after results of `calls`."""
    names = Names()
    for each in calls:
        names.add(each, 0)
    return names.of(len(calls) - 1 - calls[::-1].index(call), call, producer)


def test_a_reference_never_points_at_a_reference() -> None:
    lines = source(4, 90)
    texts = [numbered(lines), numbered(lines), numbered(lines)]
    made = plan(body([("a.py", text) for text in texts]), Memos(1 << 20))
    for verdict in made.verdicts[1:]:
        assert verdict.text is not None
        assert verdict.text == "[lines 1-90: as in result toolu_0 (Read a.py)]"


def test_a_text_that_looks_like_a_reference_has_none() -> None:
    assert not may_refer("a\n[lines 1-2: as lines 3-4 of result x]\nb")
    assert may_refer("lines 1-2")


def test_forgetting_the_last_texts_restores_the_index() -> None:
    texts = [Lines("\n".join(source(seed % 3, 30))) for seed in range(6)]
    straight, bent = Seen(), Seen()
    for lines in texts[:3]:
        straight.add(lines)
    for lines in texts:
        bent.add(lines, bent.find(lines))
    bent.truncate(0)
    for lines in texts[:3]:
        bent.add(lines)
    for lines in texts:
        assert straight.find(lines) == bent.find(lines)
    runs = straight.find(texts[3])
    assert runs
    assert with_references(texts[3], runs, straight, {0: "x"}).startswith("[lines 1-30: as in result x]")


def test_the_index_of_a_conversation_is_bounded() -> None:
    seen = Seen()
    for seed in range(40):
        seen.add(Lines("\n".join(f"{seed} {line}" for line in range(1000))))
    assert len(seen) == 40
    assert seen.size_bytes < 10 << 20
    late = Lines("\n".join(f"39 {line}" for line in range(1000)))
    early = Lines("\n".join(f"3 {line}" for line in range(1000)))
    assert seen.find(late) == []
    assert [run.source for run in seen.find(early)] == [3]


def test_a_conversation_that_comes_again_unchanged_keeps_its_index() -> None:
    memos = Memos(1 << 22)
    data = body([("a.py", numbered(source(seed, 60))) for seed in range(8)])
    for _ in range(4):
        plan(data, memos)
        [entry] = memos.prefixes._entries
        assert len(entry.seen) == 1
