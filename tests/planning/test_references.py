"""References: what they stand for can be put back, and they depend on the request before them alone."""

import json
import random
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.planning.draft import Memos, draw, remember
from proxy_pkg.planning.plan import Plan, compose, settle
from proxy_pkg.planning.policy import Rules
from proxy_pkg.planning.references import Lines, Seen, may_refer, with_references
from proxy_pkg.protocols.anthropic import MESSAGES
from tests.compressors import inverses
from tests.fakes.tokens import FourCharacters

REFERENCE = re.compile(r"\[lines (\d+)-(\d+): as lines (\d+)-(\d+) of result (\S+)(?: \(.*\))?\]")
RULES = Rules(5, 1 << 20)
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


def source(seed: int, lines: int) -> list[str]:
    chooser = random.Random(seed)
    return [f"    {chooser.choice(WORDS)} = {chooser.choice(WORDS)}({chooser.randrange(999)})" for _ in range(lines)]


def numbered(lines: list[str], first: int = 1) -> str:
    return "\n".join(f"{number:6}→{line}" for number, line in enumerate(lines, first))


def body(results: list[tuple[str, str]], **fields: Any) -> bytes:
    """A conversation in which a file is read again and again. `results` are (path, text)."""
    messages: list[dict[str, Any]] = []
    for number, (path, text) in enumerate(results):
        call = {"type": "tool_use", "id": f"toolu_{number}", "name": "Read", "input": {"file_path": path}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": text}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return json.dumps({"model": "m", "messages": messages, **fields}).encode()


def plan(data: bytes, memos: Memos, rules: Rules = RULES) -> Plan:
    assert MESSAGES.conversation is not None
    draft = draw(data, MESSAGES.conversation, memos)
    settle(draft, rules, FourCharacters(), memos, 1 << 62)
    remember(draft, memos)
    return compose(draft)


def undone(sent: str, earlier: dict[str, str]) -> str:
    """The text that a text with references came from. `earlier` are the texts before it, by their call's id."""
    lines = sent.split("\n")
    if sent.startswith("[every"):
        lines = inverses.numbered(sent).split("\n")
    whole: list[str] = []
    for line in lines:
        found = REFERENCE.fullmatch(line)
        if found is None:
            whole.append(line)
            continue
        first, last, there = int(found[1]), int(found[2]), int(found[3])
        labelled = dict(labels(earlier[found[5]]))
        bodies = [labelled[there + step] for step in range(last - first + 1)]
        here_numbered = any("→" in other[:8] for other in lines if other is not line) or "→" in earlier[found[5]]
        whole += [f"{first + step:6}→{text}" if here_numbered else text for step, text in enumerate(bodies)]
    return "\n".join(whole)


def labels(text: str) -> list[tuple[int, str]]:
    lines = text.split("\n")
    if re.match(r" *\d+→", lines[0]):
        return [(int(line.split("→")[0]), line.split("→", 1)[1]) for line in lines if "→" in line]
    return list(enumerate(lines, 1))


def test_a_file_read_again_after_an_edit_is_sent_as_references_around_the_edit() -> None:
    lines = source(1, 120)
    edited = [*lines[:50], "    changed = True", "    added = 1", *lines[51:]]
    texts = [numbered(lines), numbered(edited)]
    made = plan(body([("src/a.py", text) for text in texts]), Memos(1 << 20))
    first, second = made.verdicts
    assert first.compressor == "numbered"
    assert second.compressor == "reference"
    assert second.text is not None
    assert "[lines 1-50: as lines 1-50 of result toolu_0 (Read src/a.py)]" in second.text
    assert "[lines 53-121: as lines 52-120 of result toolu_0 (Read src/a.py)]" in second.text
    assert "changed = True" in second.text
    assert undone(second.text, {"toolu_0": texts[0]}) == texts[1]


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
    earlier: dict[str, str] = {}
    for at, (text, verdict) in enumerate(zip(texts, made.verdicts, strict=True)):
        if verdict.text is not None and "reference" in verdict.compressor:
            assert undone(verdict.text, earlier) == text
        earlier[f"toolu_{at}"] = text


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
        assert plan(body(again, **clearing), memos).verdicts[1].compressor == "numbered"
    # Without the field the same conversation is another one.
    assert "reference" in plan(body(again), memos).verdicts[1].compressor


def test_references_can_be_switched_off() -> None:
    text = numbered(source(3, 80))
    made = plan(body([("a.py", text), ("a.py", text)]), Memos(1 << 20), Rules(5, 1 << 20, references=False))
    assert [verdict.compressor for verdict in made.verdicts] == ["numbered", "numbered"]


def test_a_reference_never_points_at_a_reference() -> None:
    lines = source(4, 90)
    texts = [numbered(lines), numbered(lines), numbered(lines)]
    made = plan(body([("a.py", text) for text in texts]), Memos(1 << 20))
    for verdict in made.verdicts[1:]:
        assert verdict.text is not None
        assert REFERENCE.search(verdict.text)[5] == "toolu_0"  # type: ignore[index]


def test_a_text_that_looks_like_a_reference_has_none() -> None:
    assert not may_refer("a\n[lines 1-2: as lines 3-4 of result x]\nb")
    assert may_refer("lines 1-2")


def test_forgetting_the_last_texts_restores_the_index() -> None:
    texts = [Lines("\n".join(source(seed % 3, 30)), numbered=False) for seed in range(6)]
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
    assert with_references(texts[3], runs, straight, {0: "x"}).startswith("[lines 1-30: as lines 1-30 of result x]")


def test_the_index_of_a_conversation_is_bounded() -> None:
    seen = Seen()
    for seed in range(40):
        seen.add(Lines("\n".join(f"{seed} {line}" for line in range(1000)), numbered=False))
    assert len(seen) == 40
    assert seen.size_bytes < 10 << 20
    late = Lines("\n".join(f"39 {line}" for line in range(1000)), numbered=False)
    early = Lines("\n".join(f"3 {line}" for line in range(1000)), numbered=False)
    assert seen.find(late) == []
    assert [run.source for run in seen.find(early)] == [3]


def test_a_conversation_that_comes_again_unchanged_keeps_its_index() -> None:
    memos = Memos(1 << 22)
    data = body([("a.py", numbered(source(seed, 60))) for seed in range(8)])
    for _ in range(4):
        plan(data, memos)
        [entry] = memos.prefixes._entries
        assert len(entry.seen) == 1
