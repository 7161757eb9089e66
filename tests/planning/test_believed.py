"""What a reference may point at: whose words, by which numbers, and after which change."""

import json
from typing import Any

import pytest

from proxy_pkg.compressors.producers import NO_MORE, tools
from proxy_pkg.model import Producer
from proxy_pkg.planning.draft import Memos
from proxy_pkg.planning.labels import Form, Labelled
from proxy_pkg.planning.origin import ANY_FILE, HOME, origin
from proxy_pkg.planning.plan import Plan
from tests.planning.test_references import numbered, plan, source, unreadable

Call = tuple[str, dict[str, Any], Any]


def talk(calls: list[Call], **fields: Any) -> bytes:
    """A conversation of (tool, arguments, content of the result)."""
    messages: list[dict[str, Any]] = []
    for number, (tool, arguments, content) in enumerate(calls):
        call = {"type": "tool_use", "id": f"toolu_{number}", "name": tool, "input": arguments}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": content}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return json.dumps({"model": "m", "messages": messages, **fields}).encode()


def planned(calls: list[Call], **fields: Any) -> Plan:
    return plan(talk(calls, **fields), Memos(1 << 22))


LINES = source(1, 60)
FILE = "\n".join(LINES)
READ: Call = ("Read", {"file_path": "a.py"}, numbered(LINES))
CAT: Call = ("Bash", {"command": "cat a.py"}, FILE)
PAGE = "\n".join(["Welcome", *(f"line {n}:" for n in range(21, 24)), *LINES])


@pytest.mark.parametrize("honest", [READ, CAT, ("Grep", {"pattern": "x", "path": "a.py"}, FILE)])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("WebFetch", {"url": "https://example.org"}),
        ("mcp__files__read_file", {"path": "a.py"}),
        ("files__read_file", {"path": "a.py"}),
        ("strange", {}),
        ("Bash", {"command": "curl -s https://example.org"}),
        ("Bash", {"command": "wget -qO- example.org/a.py"}),
        ("ReadMcpResourceTool", {"uri": "x://a.py"}),
    ],
)
@pytest.mark.parametrize("text", [PAGE, FILE, numbered(LINES)])
def test_local_tools_point_at_local_tools_alone(honest: Call, tool: str, arguments: dict[str, Any], text: str) -> None:
    made = planned([(tool, arguments, text), honest])
    assert "reference" not in made.verdicts[1].compressor


def test_a_read_behind_a_hostile_page_points_at_the_earlier_read() -> None:
    """The page holds the same lines, and stands first."""
    made = planned([("WebFetch", {"url": "https://example.org"}, FILE), READ, CAT])
    assert made.verdicts[2].text == "[lines 1-60: as in result toolu_1 (Read a.py)]"


def test_what_is_not_local_points_at_local_results_and_at_its_own() -> None:
    calls: list[Call] = [("strange", {"n": 1}, FILE), ("strange", {"n": 2}, FILE), ("other", {}, FILE)]
    first, second, third = planned(calls).verdicts
    assert (first.compressor, third.compressor) == ("", "")
    assert second.text == "[lines 1-60: as in result toolu_0 (strange)]"
    assert planned([CAT, ("strange", {}, FILE)]).verdicts[1].compressor == "reference"


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("Read", {"file_path": "a"}, HOME),
        ("functions.exec_command", {"cmd": "ls"}, HOME),
        ("mcp__git__log", {}, "mcp__git__\0"),
        ("strange", {}, "strange\0"),
        ("", {}, None),
    ],
)
def test_where_words_come_from(name: str, arguments: dict[str, Any], words: str | None) -> None:
    assert origin(Producer(name, arguments), NO_MORE).words == words


def test_pages_are_told_apart_and_named_tools_are_local() -> None:
    one, other = (Producer("WebFetch", {"url": f"https://example.org/{n}"}) for n in (1, 2))
    assert origin(one, NO_MORE).words != origin(other, NO_MORE).words
    assert origin(Producer("mcp__fs__peek"), tools("mcp__fs__*", "")).words == HOME


@pytest.mark.parametrize(
    "before",
    [
        "line 21:",
        "  Line 7 |",
        "# lines 30: see below",
        "L. 9.",
        "[line 12]",
    ],
)
def test_a_line_that_says_another_number_takes_all_of_them(before: str) -> None:
    assert not Labelled(["x", before, "y"], Form.COUNTED).is_clear
    assert Labelled(["x", "line 2:", "y"], Form.COUNTED).is_clear


@pytest.mark.parametrize("form", ["{}: {}", "{:>6} {}", "{}\t{}", "[{}] {}", "{}. {}", "L{}: {}", "({}) {}", "{}|{}"])
def test_numbers_that_disagree_with_the_count_are_noticed(form: str) -> None:
    assert not Labelled([form.format(n, "x") for n in range(21, 40)], Form.COUNTED).is_clear
    some = [*source(2, 60), *(form.format(n, "x") for n in range(21, 26))]
    assert not Labelled(some, Form.COUNTED).is_clear
    assert Labelled([form.format(n, "x") for n in range(1, 40)], Form.COUNTED).is_clear


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-{n:02} 10:00:00 INFO the job took {n} parts from queue {n}",
        "10:00:{n:02} INFO the job took {n} parts from the queue {n}",
        "2026-11-30T10:00:{n:02}Z worker {n} took part in the round {n}",
        "-rw-r--r-- 1 root root {n}00 Nov 30 10:00 file-{n}-of-the-folder.txt",
    ],
)
def test_dates_and_times_are_no_line_numbers(line: str) -> None:
    lines = [line.format(n=n) for n in range(1, 29)]
    assert Labelled(lines, Form.COUNTED).is_clear
    made = planned([("Bash", {"command": "./run"}, "\n".join(lines))] * 3)
    for verdict in made.verdicts[1:]:
        assert verdict.compressor == "reference"
        assert len(verdict.text or "") < 80
    assert unreadable(["\n".join(lines)] * 3, made) == []


@pytest.mark.parametrize(
    "mark",
    [
        "[lines 2-30: as in result toolu_0 (Read a.py)]",
        "[lines 2-30: read anew, as lines 4-32 of result toolu_0]",
        "[same output as result toolu_0]",
        "[every 10th line numbered]",
    ],
)
def test_a_text_that_imitates_marks_is_left_alone_and_not_pointed_at(mark: str) -> None:
    text = "\n".join([mark, *LINES])
    made = planned([("Bash", {"command": "cat b"}, text), ("Bash", {"command": "cat b"}, text), CAT])
    assert [verdict.reason for verdict in made.verdicts[:2]] == ["planned_before"] * 2
    assert made.verdicts[2].compressor == ""
    assert made.replacements == ()


@pytest.mark.parametrize(
    ("edit", "is_anew"),
    [
        (("Edit", {"file_path": "/w/a.py"}, "done"), True),
        (("Edit", {"file_path": "/w/b.py"}, "done"), False),
        (("mcp__fs__edit_file", {"path": "a.py"}, "done"), True),
        (("apply_patch", {"input": "*** Begin Patch\n*** Update File: w/a.py\n@@"}, "done"), True),
        (("apply_patch", {"input": "*** Begin Patch\n*** Update File: w/b.py\n@@"}, "done"), False),
        (("str_replace_editor", {"command": "view", "path": "a.py"}, "x"), False),
        (("Bash", {"command": "sed -i s/a/b/ a.py"}, ""), True),
        (("Bash", {"command": "git checkout ."}, ""), True),
        (("Bash", {"command": "ls 2>&1 >/dev/null"}, "a.py"), False),
    ],
)
@pytest.mark.parametrize("read", [READ, CAT])
def test_a_file_read_after_an_edit_is_said_to_be_read_anew(edit: Call, is_anew: bool, read: Call) -> None:
    made = planned([READ, edit, read])
    look = "read anew, " if is_anew else ""
    assert made.verdicts[2].text == f"[lines 1-60: {look}as in result toolu_0 (Read a.py)]"


def test_any_file_may_be_changed_by_a_patch_that_names_none() -> None:
    assert origin(Producer("apply_patch", {"input": "x"}), NO_MORE).changed == (ANY_FILE,)


@pytest.mark.parametrize(
    ("edits", "refers"),
    [
        ({"edits": [{"type": "clear_tool_uses_20250919"}]}, False),
        ({"edits": [{"type": "clear_thinking_20251015"}]}, True),
        ({"edits": [{"type": "clear_thinking_20251015"}, {"type": "summarise_20270101"}]}, False),
        ({"edits": [{"type": "clear_thinking_20991231"}]}, False),
        ({"edits": [{"type": "compact_20260112"}]}, False),
        ({"edits": [{}]}, False),
        ({"edits": ["x"]}, False),
        ({"edits": []}, True),
        ({"strategy": "x"}, False),
        ("auto", False),
        (None, True),
    ],
)
def test_edits_of_the_context_that_are_not_known_switch_references_off(edits: Any, refers: bool) -> None:
    for first in (True, False):
        data = json.loads(talk([CAT, CAT]))
        fields = {"context_management": edits, **data} if first else {**data, "context_management": edits}
        made = plan(json.dumps(fields, indent=1 if first else None).encode(), Memos(1 << 20))
        assert ("reference" in made.verdicts[1].compressor) == refers
