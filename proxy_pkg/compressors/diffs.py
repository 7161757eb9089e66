"""Diffs with each path written once and hunk lengths left out; every line inside a hunk stays as it is.

    [diff; "diff PATH" stands for: diff --git a/PATH b/PATH, the index lines below, --- a/PATH, +++ b/PATH; hunk
    lengths left out]
    diff jc/cli.py
    index 4a0c4f2..b9ac1c3 100644
    @@ -1 +1 @@ import sys

The header is one line. A file header is shortened only where it is exactly so. Below `diff PATH` stand git's
extended header lines (modes, index, similarity). If a line `@@` follows them, `--- a/PATH` and `+++ b/PATH`
belong before it; the first is `--- /dev/null` if one of them is `new file mode`, the second `+++ /dev/null` if one is
`deleted file mode`. A bare `diff` takes its two paths from the lines `rename from` and `rename to`, or `copy
from` and `copy to`. The header shows the two prefixes in use, `a/` and `b/` or what git was told instead. A line
that begins with `diff --` stays as it is, and so does what is below it.

`@@ -12 +14 @@` had the lengths of the hunk below it: `-12,7` if seven lines begin with a blank or `-`, `+14` where
one line begins with a blank or `+`, for diff leaves out `,1`. A hunk ends before the first line that begins with
none of blank, `-`, `+` and `\\`. Where a length is written, both are as they were. A line `[3]`, in a diff without
its context (see diff_context), counts as three that begin with a blank, and it may stand in a file header.
"""

import re

from proxy_pkg.compressors import gaps, repeats
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.model import Grade

HEADER = "[diff; "
EXTENDED_LINES_MAX = 8
PREFIXES = (("a/", "b/"), ("", ""), ("i/", "w/"), ("c/", "i/"), ("c/", "w/"), ("o/", "w/"))
"""What git writes before old and new paths: by default, with diff.noprefix, with diff.mnemonicPrefix."""
LENGTHS = "hunk lengths left out"

_GIT = "diff --git "
_FORGED = re.compile(r"^diff(?: (?!--)|$)", re.MULTILINE)
_UNIFIED = re.compile(r"^--- .*\n\+\+\+ .*\n@@ -", re.MULTILINE)
_EXTENDED = re.compile(
    r"(?:old|new|deleted file|new file) mode |(?:dis)?similarity index |(?:rename|copy) (?:from|to) |index "
    rf"|{gaps.SHORT_MARK.pattern}$"
)
_HUNK = re.compile(r"@@ -([0-9]+)(,[0-9]+)? \+([0-9]+)(,[0-9]+)? @@")


def looks_like(sample: str) -> str:
    """Return why `sample` is a diff, empty if it is not."""
    if sample.startswith(_GIT) or f"\n{_GIT}" in sample:
        return "has the file headers of a git diff"
    is_unified = "\n+++ " in sample and _UNIFIED.search(sample)
    return "has the headers of a unified diff" if is_unified else ""


def compress(text: str) -> str | None:
    """Return the diff `text` with file and hunk headers shortened; None where there are none to shorten."""
    if text.startswith(HEADER) or not looks_like(text) or repeats.has_marks(text):
        return None
    lines = text.split("\n")
    said = []
    if not _FORGED.search(text):
        lines, shorter = _short_files(lines)
        said += [shorter] * bool(shorter)
    if _short_hunks(lines):
        said.append(LENGTHS)
    result = "\n".join((f"{HEADER}{'; '.join(said)}]", *lines))
    return result if said and len(result) < len(text) else None


def _short_files(lines: list[str]) -> tuple[list[str], str]:
    """Return `lines` with file headers shortened, and what the header has to say of it, empty if none was."""
    starts = [index for index, line in enumerate(lines) if line.startswith(_GIT)]
    prefixes = next((each for each in PREFIXES if starts and _path(lines[starts[0]], each)), PREFIXES[0])
    out: list[str] = []
    done = 0
    for start in starts:
        end = start + 1
        while end < len(lines) and end - start <= EXTENDED_LINES_MAX and _EXTENDED.match(lines[end]):
            end += 1
        short = _short(lines[start:end], lines[end : end + 3], prefixes)
        if short:
            head, replaced = short
            out += lines[done:start]
            out.append(head)
            out += lines[start + 1 : end]
            done = end + replaced
    old, new = prefixes
    parts = f"diff --git {old}PATH {new}PATH, the index lines below, --- {old}PATH, +++ {new}PATH"
    return (out + lines[done:], f'"diff PATH" stands for: {parts}') if done else (lines, "")


def _path(line: str, prefixes: tuple[str, str]) -> str:
    """Return the path that a line `diff --git` names twice, empty if it does not."""
    old, new = prefixes
    start = len(_GIT) + len(old)
    path = line[start : start + (len(line) - start - len(new) - 1) // 2]
    return path if line == f"{_GIT}{old}{path} {new}{path}" and not path.startswith("--") else ""


def _short(header: list[str], following: list[str], prefixes: tuple[str, str]) -> tuple[str, int] | None:
    """Return what stands for the first line of `header`, and how many of the `following` lines it stands for."""
    old, new = prefixes
    before = after = _path(header[0], prefixes)
    head = f"diff {before}"
    if not before:
        moves = [line.split(" ", 2)[2] for line in header if line.startswith(("rename ", "copy "))]
        if len(moves) != 2 or header[0] != f"{_GIT}{old}{moves[0]} {new}{moves[1]}":
            return None
        before, after = moves
        head = "diff"
    minus = "--- /dev/null" if any(line.startswith("new file mode ") for line in header) else f"--- {old}{before}"
    plus = "+++ /dev/null" if any(line.startswith("deleted file mode ") for line in header) else f"+++ {new}{after}"
    if following[:2] == [minus, plus] and following[2:] and following[2].startswith("@@"):
        return head, 2
    return None if following and following[0].startswith("@@") else (head, 0)


def _short_hunks(lines: list[str]) -> bool:
    """Take the lengths out of hunk headers, in place; tell whether any was."""
    short: list[tuple[int, str]] = []
    starts = [index for index, line in enumerate(lines) if line.startswith("@@ -")]
    for start in starts:
        match = _HUNK.match(lines[start])
        if match is None:
            continue
        old, old_length, new, new_length = match.groups("")
        if _lengths(lines, start) == (old_length, new_length):
            short.append((start, f"@@ -{old} +{new} @@{lines[start][match.end() :]}"))
        elif not old_length and not new_length:
            return False  # it would be taken for one of ours
    for start, line in short:
        lines[start] = line
    return bool(short)


def _lengths(lines: list[str], start: int) -> tuple[str, str]:
    """Return the lengths of the hunk below `start` in the old and the new file, as diff writes them."""
    old = new = 0
    for index in range(start + 1, len(lines)):
        first = lines[index][:1]
        if first == "-":
            old += 1
        elif first == "+":
            new += 1
        elif first == " ":
            old += 1
            new += 1
        elif mark := gaps.SHORT_MARK.fullmatch(lines[index]):
            old += int(mark[1])
            new += int(mark[1])
        elif first != "\\":
            break
    return "" if old == 1 else f",{old}", "" if new == 1 else f",{new}"


DIFF = Compressor("diff", Grade.INVERTIBLE, compress)
