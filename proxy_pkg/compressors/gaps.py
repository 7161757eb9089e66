"""Gaps: lines or records that are left out, each run of them marked in its place."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

_NUMBER = "[1-9][0-9]{0,8}"
MARK = re.compile(
    rf"\[{_NUMBER} (?:lines|rows|records|items|elements|characters) left out: ({_NUMBER})(?:-({_NUMBER}))?\]"
)
"""A whole line that stands for others: how many of which went, and their numbers in the text, from 1 on."""

SHORT_MARK = re.compile(rf"\[({_NUMBER})\]")
"""Where gaps are many and small: a whole line that says only how many units went, below a legend."""

SHORT_MARKS = '"[3]" stands for 3 of them'
_LEGEND = re.compile(rf"\[[1-9][0-9]* [a-z ,]+ left out: (?:{re.escape(SHORT_MARKS)}|[a-z ,]+)\]")
_MARKED = re.compile(rf"^(?:[ \t]*\"?{MARK.pattern}|{_LEGEND.pattern}$)", re.MULTILINE)
_MARK_CHARS = 40


def mark(first: int, last: int, noun: str) -> str:
    """The mark for units `first` to `last`, numbered from 1 on; `noun` is one of those in MARK."""
    numbers = f"{first}-{last}" if last > first else f"{first}"
    return f"[{last - first + 1} {noun} left out: {numbers}]"


def read(line: str) -> tuple[int, int] | None:
    """The numbers of the first and the last unit that a mark stands for; None if `line` is no mark."""
    found = MARK.fullmatch(line)
    return (int(found[1]), int(found[2] or found[1])) if found else None


def legend(count: int, noun: str, said: str = SHORT_MARKS) -> str:
    """The first line of a text with short marks, or of one that something all over it was taken from.

    How many of what, and what went of them; `noun` and `said` are small letters, blanks and commas.
    """
    return f"[{count} {noun} left out: {said}]"


def short_mark(count: int) -> str:
    """The mark for `count` units, in a text that begins with a legend."""
    return f"[{count}]"


def has_marks(text: str) -> bool:
    """Whether a line of `text` is, or starts like, a mark or a legend: such a text is never reduced again."""
    return " left out: " in text and _MARKED.search(text) is not None


def with_gaps(lines: Sequence[str], kept: Sequence[int], noun: str = "lines") -> str | None:
    """The lines that `kept` has a true value for, each run of others replaced by a mark.

    A run that is hardly longer than its mark stays. None if nothing would go.
    """
    out: list[str] = []
    gaps = 0
    for keeps, start, end in runs(kept):
        run = lines[start:end]
        if keeps or sum(map(len, run)) + len(run) <= _MARK_CHARS:
            out += run
        else:
            out.append(mark(start + 1, end, noun))
            gaps += 1
    return "\n".join(out) if gaps else None


def taken_out(text: str) -> tuple[str, dict[int, str]]:
    """`text` without the lines that are marks, and each mark by the number, from 0 on, of the line that follows it.

    Marks in a row come as one, a line for each. Where the last line is a mark, no line follows it.
    """
    if not has_marks(text):
        return text, {}
    rest: list[str] = []
    marks: dict[int, str] = {}
    for line in text.split("\n"):
        if read(line) is None:
            rest.append(line)
        else:
            marks[len(rest)] = f"{marks[len(rest)]}\n{line}" if len(rest) in marks else line
    return "\n".join(rest), marks


def put_back(lines: Sequence[str], marks: Mapping[int, str], between: str) -> list[str]:
    """`lines` with each mark above the one that has its number; lines that start with `between` have none."""
    left, out, number = dict(marks), [], 0
    for line in lines:
        mark = left.pop(number, "")
        out.append(f"{mark}\n{line}" if mark else line)
        number += not line.startswith(between)
    return out + list(left.values())


def left_out(marks: Iterable[str]) -> int:
    """How many units all of `marks` stand for."""
    found = [read(line) for mark in marks for line in mark.split("\n")]
    return sum(gap[1] - gap[0] + 1 for gap in found if gap)


def runs(kept: Sequence[int]) -> Iterator[tuple[bool, int, int]]:
    """Runs of units that are kept, or not: (kept, start, end)."""
    start = 0
    for keeps, run in groupby(map(bool, kept)):
        end = start + sum(1 for _ in run)
        yield keeps, start, end
        start = end
