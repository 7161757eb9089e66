"""A text that was shortened here is told from one that was not, so that no other server shortens it once more."""

from pathlib import Path

import msgspec
import pytest

from proxy_pkg.compressors import notation
from proxy_pkg.compressors.notation import is_ours

CASES = Path(__file__).parents[1] / "cases" / "compressors"
FOLDERS = {str(path.relative_to(CASES)): path for path in sorted(CASES.glob("*/*")) if path.is_dir()}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_text_as_it_came_bears_no_mark_and_a_form_of_it_does(name: str) -> None:
    before, after = ((FOLDERS[name] / file).read_bytes().decode() for file in ("in.txt", "out.txt"))
    assert not is_ours(before)
    is_bare = before == after or name.partition("/")[0] in BARE
    assert is_ours(after) or is_bare
    if not is_bare:
        wrapped = msgspec.json.encode({"output": "$ run\n" + after, "metadata": {"exit_code": 0}}).decode()
        assert is_ours(wrapped)
        assert is_ours("Chunk ID: 1\nExit code: 0\nOutput:\n" + after)


BARE = {"terminal", "markup"}
"""Kinds with forms that lose blanks or escape sequences alone."""


@pytest.mark.parametrize(
    "text",
    [
        "[lines 12-80: as lines 10-78 of result …4kQzRt (Read src/app.py)]",
        "a\n[lines 95-99: as there]\nb",
        "[lines 95-99: as lines 93-97 there]",
        "[lines 1-9: as in result call_1 (ls)]",
        "x\n [the 4 lines above 20 more times]",
        "x\n [the line above 20 more times]\n",
        '{"output":"x\\n [block 1, 12 lines]\\ny"}',
    ],
)
def test_references_and_repeats_are_marks_wherever_they_stand(text: str) -> None:
    assert is_ours(text)
    assert is_ours("line\n" * 5000 + text)


@pytest.mark.parametrize(
    "text",
    [
        "[lines 12-80]",
        "see [lines 1-9: as it was]",
        "# In tables: a",
        "the header [diff; is ours",
        "[12 errors: see above]",
        "[3 files changed]",
        "text [the line above 2 more times]",
        "[INFO] 12 rows: a,b",
        "{12: 3}",
        "line\n" * 5000 + "[diff; below what anyone puts around an output",
        "",
    ],
)
def test_what_only_resembles_a_mark_is_none(text: str) -> None:
    assert not is_ours(text)


def test_a_long_text_without_marks_is_looked_through_in_its_length() -> None:
    text = "[lines 1-" * 30_000 + " [the " * 30_000 + '"' * 30_000 + "\n" * 30_000
    assert not is_ours(text)
    assert notation.is_ours(text + "\n [block 7 again]")
