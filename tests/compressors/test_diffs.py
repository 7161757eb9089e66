import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.diffs import PREFIXES, compress, looks_like
from tests.compressors.inverse_search import diff

PATHS = st.sampled_from(["src/a.py", "b.txt", "c d.md", "-x", "--x", "a/a b/a"])
BODY = st.sampled_from([" same", "-old", "+new", "-", "+", " ", "\\ No newline at end of file", "+diff x", "- @@"])
OTHERS = st.sampled_from(
    [
        "",
        "commit 1234",
        "    diff x",
        "-- ",
        "2.40.0",
        "diff",
        "diff -u a b",
        "Binary files differ",
        "@@",
        "@@ -1 +1 @@",
    ]
)


@st.composite
def files(draw: st.DrawFn, old: str, new: str) -> list[str]:
    """Return the lines of one file's diff: changed, added, deleted, renamed, or with a header gone wrong."""
    path, kind = draw(PATHS), draw(st.sampled_from(["changed", "added", "deleted", "renamed", "mode", "broken"]))
    to = draw(PATHS) if kind == "renamed" else path
    lines = [f"diff --git {old}{path} {new}{to}"]
    lines += {
        "added": ["new file mode 100644"],
        "deleted": ["deleted file mode 100755"],
        "renamed": ["similarity index 90%", f"rename from {path}", f"rename to {to}"],
        "mode": ["old mode 100644", "new mode 100755"],
    }.get(kind, [])
    if draw(st.booleans()):
        lines.append("index 12ab..34cd 100644")
    if draw(st.booleans()):
        lines.append("--- /dev/null" if kind == "added" else f"--- {old}{path}")
        lines.append("+++ /dev/null" if kind == "deleted" else f"+++ {new}{to}{'x' * (kind == 'broken')}")
    for body in draw(st.lists(st.lists(BODY, max_size=6), max_size=3)):
        lengths = [
            sum(line[0] in signs for line in body) + draw(st.sampled_from([0] * 9 + [1])) for signs in (" -", " +")
        ]
        written = [draw(st.sampled_from([""])) if n == 1 else f",{n}" for n in lengths]
        lines += [f"@@ -{draw(st.integers(0, 99))}{written[0]} +7{written[1]} @@ def f():", *body]
    return lines


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_the_inverse_gives_the_diff_back(data: st.DataObject) -> None:
    old, new = data.draw(st.sampled_from(PREFIXES))
    lines: list[str] = []
    for _ in range(data.draw(st.integers(1, 4))):
        lines += data.draw(files(old, new))
        if data.draw(st.integers(0, 9)) == 0:
            lines.append(data.draw(OTHERS))
    text = "\n".join(lines * 6) + data.draw(st.sampled_from(["", "\n"]))
    shorter = compress(text)
    if shorter is not None:
        assert diff(shorter) == text
        assert compress(shorter) in (None, shorter)


def test_changed_lines_stay_and_each_path_is_written_once() -> None:
    text = (
        "diff --git a/packages/server/src/cli/main.py b/packages/server/src/cli/main.py\n"
        "index 12ab34c..56de78f 100644\n--- a/packages/server/src/cli/main.py\n"
        "+++ b/packages/server/src/cli/main.py\n@@ -7,3 +7,2 @@ import sys\n one\n-two\n-three\n+2\n"
        "diff --git a/notes on releases.txt b/notes on releases.txt\nold mode 100644\nnew mode 100755\n"
    )
    assert compress(text) == (
        '[diff; "diff PATH" stands for: diff --git a/PATH b/PATH, the index lines below, --- a/PATH, +++ b/PATH; '
        "hunk lengths left out]\n"
        "diff packages/server/src/cli/main.py\nindex 12ab34c..56de78f 100644\n@@ -7 +7 @@ import sys\n one\n"
        "-two\n-three\n+2\n"
        "diff notes on releases.txt\nold mode 100644\nnew mode 100755\n"
    )


def test_a_hunk_that_was_cut_off_keeps_its_lengths() -> None:
    head = "--- old/main.c\n+++ new/main.c\n@@ -1,40 +1,41 @@\n"
    hunks = "".join(f"@@ -{n},2 +{n},2 @@\n one\n-two\n+2\n" for n in range(100, 900, 50))
    shorter = compress(f"--- old/main.c\n+++ new/main.c\n{hunks}@@ -900,40 +900,41 @@\n one\n")
    assert shorter is not None
    assert shorter.endswith("@@ -850 +850 @@\n one\n-two\n+2\n@@ -900,40 +900,41 @@\n one\n")
    assert compress(head + " one\n") is None


@pytest.mark.parametrize("text", ["", "diff\n", "- a\n+ b\n", "--- \n+++ \n", "see diff --git in the manual"])
def test_what_is_no_diff_is_left_alone(text: str) -> None:
    assert not looks_like(text)
    assert compress(text) is None
