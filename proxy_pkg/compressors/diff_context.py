"""Diffs without the lines that did not change: every changed line, file name and hunk header stays.

    [812 context and index lines left out: "[3]" stands for 3 of them]
    diff --git a/jc/cli.py b/jc/cli.py
    [1]
    --- a/jc/cli.py
    +++ b/jc/cli.py
    @@ -104,6 +104,7 @@ class info():
    [3]
    +        'apt-get-sqq',
    [3]

`@@` numbers stay as they were: with the marks, they still count every line of the hunk. Context is what stands in a
hunk after a blank, as far as the hunk's lengths reach; what is outside hunks stays. Of file headers, only git's line
`index` goes. Context that was asked for stays, and so does a run of it that is no longer than its mark is worth.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from proxy_pkg.compressors import asked, gaps
from proxy_pkg.compressors.contract import Reducer
from proxy_pkg.compressors.diffs import EXTENDED_LINES_MAX, HEADER, looks_like

RUN_CHARS_MIN = 12
"""Shorter runs of context stay."""
NOUN = "context and index lines"

_HUNK = re.compile(r"@@ -[0-9]+(?:,([0-9]+))? \+[0-9]+(?:,([0-9]+))? @@")
_INDEX = re.compile(r"index [0-9a-f]{4,64}\.\.[0-9a-f]{4,64}(?: [0-7]{6})?\r?")
_SHORT_MARK = re.compile(rf"^{gaps.SHORT_MARK.pattern}\r?$", re.MULTILINE)


def reduce(text: str, wanted: Sequence[str]) -> str | None:
    """Return the diff `text` without context, None where it has none, is in our form, or has what looks like a mark."""
    if text.startswith(HEADER) or gaps.has_marks(text) or _SHORT_MARK.search(text) or not looks_like(text):
        return None
    lines = text.split("\n")
    may_go = _unchanged(lines)
    for index in _lines_at(lines, asked.places(text, wanted)):
        may_go[index] = 0
    out: list[str] = []
    count = 0
    for goes, start, end in gaps.runs(may_go):
        run = lines[start:end]
        if goes and sum(map(len, run)) + len(run) > RUN_CHARS_MIN:
            out.append(gaps.short_mark(len(run)))
            count += len(run)
        else:
            out += run
    result = "\n".join((gaps.legend(count, NOUN), *out))
    return result if count and len(result) < len(text) else None


def _unchanged(lines: list[str]) -> bytearray:
    """Return for each line whether it is context in a hunk, or git's line `index` of a file header."""
    found = bytearray(len(lines))
    for start in [index for index, line in enumerate(lines) if line.startswith(("@@ -", "index "))]:
        if lines[start].startswith("@@"):
            _mark_context(lines, start, found)
        elif _INDEX.fullmatch(lines[start]) and _is_in_header(lines, start):
            found[start] = 1
    return found


def _mark_context(lines: list[str], start: int, found: bytearray) -> None:
    """Mark the context of the hunk below line `start`, as far as its lengths reach."""
    match = _HUNK.match(lines[start])
    if match is None:
        return
    old, new = (int(length[:9]) if length else 1 for length in match.groups(default=""))
    at = start + 1
    while at < len(lines) and (old > 0 or new > 0):
        first = lines[at][:1]
        if first == " ":
            old -= 1
            new -= 1
            found[at] = 1
        elif first == "-":
            old -= 1
        elif first == "+":
            new -= 1
        elif first != "\\":
            break
        at += 1


def _is_in_header(lines: list[str], index: int) -> bool:
    return any(line.startswith("diff --git ") for line in lines[max(0, index - EXTENDED_LINES_MAX) : index])


def _lines_at(lines: list[str], places: Iterable[int]) -> list[int]:
    """Return the numbers, from 0 on, of the lines that hold the characters at `places`."""
    ends = list(accumulate(len(line) + 1 for line in lines)) if places else []
    return [bisect_right(ends, place) for place in places]


DIFF_CONTEXT = Reducer("diff-context", reduce)
