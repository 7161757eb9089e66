"""Lines that begin alike, and perhaps end alike, under a heading that says how.

A header line explains the form. A heading is `[A…Z]`, Z often empty: each line below it, up to the next
heading, stands for A + line + Z. Left whole are lines that are empty, begin with a blank or still begin
with A; `[…]` ends a group. The order of lines stays.

Headings stand where they save most: the shared beginnings of neighbouring lines form a tree of intervals
(as in the largest rectangle of a histogram), and each interval is one group or the groups inside it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator

from msgspec import Struct

from proxy_pkg.compressors.alerts import Flag
from proxy_pkg.compressors.estimate import tokens

HEADER = '[below "[A…'
"""How each header begins."""
HEADERS = (
    '[below "[A…]" each line had A before it, but for those empty, indented or beginning with A]',
    '[below "[A…Z]" each line had A before it and Z after it, but for those empty, indented or beginning with A]',
)
PREFIX_CHARS_MAX = 240
"""Lines are compared up to here."""
SUFFIX_CHARS_MAX = 80
SAVED_TOKENS_MIN = 6
"""A group that saves less is not worth reading a heading for."""
HEADING_TOKENS = 5
"""What a heading costs beside its text, the end of the group included."""

MARK = "…"

_HEADING = re.compile(r"^\[.*…", re.MULTILINE)
_CUT = re.compile(r".*[\s:/,;|\])>]", re.DOTALL)

Prefix = Callable[[int, int], str]
"""Returns the first so many characters of the line of a node."""


class Style(Struct, frozen=True):
    """How a kind of text is grouped: which lines stay whole, where lines can be cut, whether ends are shared too.

    `cut` matches what may stand in a heading, from the start of a line as far as the line and its neighbour
    are alike; the longest match counts.
    """

    flag: Flag
    cut: re.Pattern[str] = _CUT
    suffixes: bool = False



class Run(Struct, frozen=True):
    """Nodes `first` to `last` (inclusive) that begin with the same `depth` characters, and what a heading saves.

    `parts` are the runs inside that save more than one heading would; empty where this run is the group.
    """

    first: int
    last: int
    depth: int
    saved: int
    parts: tuple["Run", ...] = ()


class Group(Struct, frozen=True):
    """Lines `start` to `end` (exclusive) below one heading."""

    start: int
    end: int
    prefix: str
    suffix: str


def grouped(text: str, style: Style) -> str | None:
    """Return `text` with headings, None where they save nothing."""
    if text.startswith(HEADER) or _HEADING.search(text):
        return None
    lines = text.split("\n")
    fixed = style.flag(text, lines)
    groups = _groups(lines, fixed, style)
    if not groups:
        return None
    result = "\n".join((HEADERS[any(group.suffix for group in groups)], *_written(lines, fixed, groups)))
    return result if len(result) < len(text) else None


def _groups(lines: list[str], fixed: bytearray, style: Style) -> list[Group]:
    """Return the groups, first among lines that are not indented, then among all in the stretches left over."""
    flush = [n for n, line in enumerate(lines) if line and not line[0].isspace()]
    outer = list(_found(lines, fixed, flush, style))
    groups, start = [], 0
    for group in (*outer, None):
        end = group.start if group else len(lines)
        groups += _found(lines, fixed, [n for n in range(start, end) if lines[n]], style)
        if group:
            groups.append(group)
            start = group.end
    return groups


def _found(lines: list[str], fixed: bytearray, nodes: list[int], style: Style) -> Iterator[Group]:
    """Yield the best groups of the lines at `nodes`, in order."""
    depths = [_shared(lines[here], lines[after], style.cut) for here, after in zip(nodes, nodes[1:], strict=False)]
    if not any(depths):
        return
    weights = [0]
    for node in nodes:
        weights.append(weights[-1] + (not fixed[node]))
    for run in _runs(depths, weights, lambda node, depth: lines[nodes[node]][:depth]):
        members = [n for n in nodes[run.first : run.last + 1] if not fixed[n]]
        prefix = lines[nodes[run.first]][: run.depth]
        suffix = _suffix(lines, members, prefix) if style.suffixes else ""
        yield Group(nodes[run.first], nodes[run.last] + 1, prefix, suffix)


def _shared(one: str, other: str, cut: re.Pattern[str]) -> int:
    """Return how many characters two lines share from their start, up to a place where a line can be cut."""
    low, high = 0, min(len(one), len(other), PREFIX_CHARS_MAX)
    if one[:2] != other[:2]:
        return 0
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    found = cut.match(one, 0, low)
    return found.end() if found and not found[0].isspace() else 0


def _runs(depths: list[int], weights: list[int], prefix: Prefix) -> Iterator[Run]:
    """Yield the runs that save most together; `depths` are shared lengths of neighbouring nodes."""
    open_runs: list[tuple[int, int, list[Run]]] = []
    for last, depth in enumerate((*depths, 0)):
        first: int = last
        inside: list[Run] = []
        while open_runs and open_runs[-1][1] > depth:
            first, opened, parts = open_runs.pop()
            run = _best(first, last, opened, [*parts, *inside], weights, prefix)
            inside = [run] if run.saved else []
        if depth and open_runs and open_runs[-1][1] == depth:
            open_runs[-1][2].extend(inside)
        elif depth:
            open_runs.append((first, depth, inside))
        else:
            yield from _leaves(inside)


def _best(
    first: int, last: int, depth: int, parts: list[Run], weights: list[int], prefix: Prefix
) -> Run:
    lines = weights[last + 1] - weights[first]
    apart = sum(part.saved for part in parts)
    if (lines - 1) * depth < HEADING_TOKENS + SAVED_TOKENS_MIN:
        return Run(first, last, depth, apart, tuple(parts))
    shared = prefix(first, depth)
    saved = (lines - 1) * tokens(shared) - HEADING_TOKENS
    if saved < SAVED_TOKENS_MIN or saved < apart or MARK in shared:
        return Run(first, last, depth, apart, tuple(parts))
    return Run(first, last, depth, saved)


def _leaves(runs: list[Run]) -> Iterator[Run]:
    waiting = runs[::-1]
    while waiting:
        run = waiting.pop()
        if run.parts:
            waiting.extend(run.parts[::-1])
        else:
            yield run


def _suffix(lines: list[str], members: list[int], prefix: str) -> str:
    """Return what most lines of a group end with, empty where writing it once saves nothing."""
    ends = [lines[n][len(prefix) :][-SUFFIX_CHARS_MAX:] for n in members]
    (word, count), *_ = Counter(end.rpartition(" ")[2] for end in ends).most_common(1)
    if count < 3 or count * 2 < len(ends):
        return ""
    same = [end for end in ends if end.endswith(" " + word)]
    if len(same) < 3:
        return ""
    low, high = min(end[::-1] for end in same), max(end[::-1] for end in same)
    length = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    suffix = low[:length][::-1]
    suffix = suffix[suffix.find(" ") :] if " " in suffix else ""
    gain = (len(same) - 1) * tokens(suffix) - (len(ends) - len(same)) * tokens(prefix)
    return suffix if gain > 0 and MARK not in suffix and not suffix.isspace() else ""


def _written(lines: list[str], fixed: bytearray, groups: list[Group]) -> Iterator[str]:
    """Yield the lines under their headings."""
    start = 0
    for number, group in enumerate(groups):
        yield from lines[start : group.start]
        yield f"[{group.prefix}…{group.suffix}]"
        for n in range(group.start, group.end):
            yield _short(lines[n], group) if not fixed[n] else lines[n]
        start = group.end
        following = groups[number + 1].start if number + 1 < len(groups) else len(lines)
        if start < following:
            yield "[…]"
    yield from lines[start:]


def _short(line: str, group: Group) -> str:
    """Return a line of a group as it is written, whole where it would be read wrongly without its ends."""
    end = len(line) - len(group.suffix)
    short = line[len(group.prefix) : end]
    if not short or not line.startswith(group.prefix) or line[end:] != group.suffix:
        return line
    misread = short[0].isspace() or short.startswith(group.prefix) or (short[0] == "[" and MARK in short)
    return line if misread else short
