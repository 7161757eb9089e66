"""What is left out is marked in its place, and nothing else is new."""

from hypothesis import given
from hypothesis import strategies as st

from proxy_pkg.compressors import gaps

LINES = st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=60), max_size=40)


@given(LINES, st.data())
def test_marks_and_kept_lines_make_up_the_whole_text(lines: list[str], data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.booleans(), min_size=len(lines), max_size=len(lines)))
    if any(gaps.read(line) for line in lines):
        return
    text = gaps.with_gaps(lines, kept)
    if text is None:
        return
    at = 0
    for line in text.split("\n"):
        gap = gaps.read(line)
        if gap is None:
            assert line == lines[at]
            at += 1
        else:
            assert gap[0] == at + 1
            assert not any(kept[at : gap[1]]), "a line that was to be kept went"
            at = gap[1]
    assert at == len(lines)


def test_a_gap_that_would_save_nothing_is_none() -> None:
    assert gaps.with_gaps(["a", "b", "c"], [1, 0, 1]) is None
    assert gaps.with_gaps(["a", "b" * 99, "c"], [1, 0, 1]) == "a\n[1 lines left out: 2]\nc"
    assert gaps.with_gaps(["a"] * 99, [1] * 99) is None


def test_a_mark_says_how_many_and_which() -> None:
    assert gaps.mark(13, 224, "rows") == "[212 rows left out: 13-224]"
    assert gaps.read("[212 rows left out: 13-224]") == (13, 224)
    assert gaps.read("[1 lines left out: 7]") == (7, 7)
    assert gaps.read("it says [1 lines left out: 7]") is None
    assert gaps.read(f"[1 lines left out: {'9' * 5000}]") is None


def test_a_text_that_has_marks_is_known() -> None:
    assert gaps.has_marks("a\n[3 lines left out: 2-4]\nb")
    assert gaps.has_marks('[\n  {"a": 1},\n  "[3 records left out: 2-4]"\n]')
    assert not gaps.has_marks("nothing was left out: all of it is here")
