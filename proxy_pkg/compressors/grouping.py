"""Lines that begin alike, and perhaps end alike, under a heading that says how.

A header line explains the form. A heading is `[A…Z]`, Z often empty: each line below it, up to the next
heading, stands for A + line + Z. Left whole are lines that are empty, begin with a blank or still begin
with A, and marks of lines left out (gaps.py); `[…]` ends a group. The order of lines stays.

Headings stand where they save most: the shared beginnings of neighbouring lines form a tree of intervals
(as in the largest rectangle of a histogram), and each interval is one group or the groups inside it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise, repeat

from msgspec import Struct, structs

from proxy_pkg.compressors import gaps
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
INDENTED_LINES_MIN = 4
"""So many indented lines between two groups are looked at for groups of their own."""
HEADING_TOKENS = 5
"""What a heading costs beside its text, the end of the group included."""

MARK = "…"
MARKS = (" [the ", " [block ")
"""How lines begin that stand for repeated ones: they end no group."""

_HEADING = re.compile(r"^\[.*…", re.MULTILINE)
_CUT = re.compile(r".*[\s:/,;|\])>]", re.DOTALL)

Prefix = Callable[[int, int], str]
"""Returns the first so many characters of the line of a node."""


Cut = Callable[[str, int], int]
"""Returns how much of a line may stand in a heading, 0 for none, where so many characters are its neighbour's too."""


def at_mark(line: str, shared: int) -> int:
    """Cut after a blank or a closing mark."""
    found = _CUT.match(line, 0, shared)
    return found.end() if found and not found[0].isspace() else 0


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
    suffix: str = ""


def grouped(text: str, fixed: bytearray, cut: Cut, suffixes: bool) -> str | None:
    """Return `text` with headings, None where they save nothing.

    `fixed` has a 1 for each line that must stay whole. With `suffixes` the lines of a group may share an end too.
    """
    if MARK in text and _HEADING.search(text):
        return None
    lines = text.split("\n")
    groups = _groups(lines, fixed, cut)
    if not groups:
        return None
    if suffixes:
        groups = [structs.replace(group, suffix=_suffix(lines, fixed, group)) for group in groups]
    result = "\n".join((HEADERS[any(group.suffix for group in groups)], *_written(lines, fixed, groups)))
    return result if len(result) < len(text) else None


def _groups(lines: list[str], fixed: bytearray, cut: Cut) -> list[Group]:
    """Return the groups, first among lines that are not indented, then among all in the stretches left over."""
    flush = [n for n, line in enumerate(lines) if line and not line[0].isspace() and not _is_gap(line, fixed[n])]
    outer = list(_found(lines, fixed, flush, cut))
    groups: list[Group] = []
    start = 0
    for group in (*outer, None):
        end = group.start if group else len(lines)
        left = [
            n
            for n in range(start, end)
            if lines[n] and not lines[n].startswith(MARKS) and not _is_gap(lines[n], fixed[n])
        ]
        if sum(lines[n][0].isspace() for n in left) >= INDENTED_LINES_MIN:
            groups += _found(lines, fixed, left, cut)
        if group:
            groups.append(group)
            start = group.end
    return groups


def _is_gap(line: str, is_fixed: int) -> bool:
    return bool(is_fixed) and line[0] == "[" and gaps.read(line) is not None


def _found(lines: list[str], fixed: bytearray, nodes: list[int], cut: Cut) -> Iterator[Group]:
    """Yield the best groups of the lines at `nodes`, in order."""
    depths = list(_depths([lines[node] for node in nodes], cut))
    if not any(depths):
        return
    weights = [0]
    for node in nodes:
        weights.append(weights[-1] + (not fixed[node]))
    for run in _runs(depths, weights, lambda node, depth: lines[nodes[node]][:depth]):
        yield Group(nodes[run.first], nodes[run.last] + 1, lines[nodes[run.first]][: run.depth])


def _depths(nodes: list[str], cut: Cut) -> Iterator[int]:
    """Yield for each line but the last how many characters of its start it shares with the next, up to a cut."""
    length = 0
    for one, other in pairwise(nodes):
        # Lines of one program part at the same place again and again.
        if one[:length] != other[:length] or one[length : length + 1] == other[length : length + 1]:
            length = _shared(one, other)
        yield cut(one, min(length, PREFIX_CHARS_MAX)) if length else 0


def _shared(one: str, other: str) -> int:
    """Return how many characters two lines share from their start, PREFIX_CHARS_MAX at most."""
    low, high = 0, min(len(one), len(other), PREFIX_CHARS_MAX)
    if one[:2] != other[:2]:
        return 0
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


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


def _best(first: int, last: int, depth: int, parts: list[Run], weights: list[int], prefix: Prefix) -> Run:
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


def _suffix(lines: list[str], fixed: bytearray, group: Group) -> str:
    """Return what most lines of a group end with, empty where writing it once saves nothing."""
    prefix = group.prefix
    members = [lines[n] for n in range(group.start, group.end) if not fixed[n] and lines[n].startswith(prefix)]
    ends = [line[len(prefix) :][-SUFFIX_CHARS_MAX:] for line in members]
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


def _written(lines: list[str], fixed: bytearray, groups: list[Group]) -> list[str]:
    """Return the lines under their headings."""
    shown: list[str] = []
    end = 0
    for group in groups:
        if end and group.start > end:
            shown.append(f"[{MARK}]")
        shown += lines[end : group.start]
        shown.append(f"[{group.prefix}{MARK}{group.suffix}]")
        shown += map(_short, lines[group.start : group.end], fixed[group.start : group.end], repeat(group))
        end = group.end
    if end < len(lines):
        shown.append(f"[{MARK}]")
    return shown + lines[end:]


def _short(line: str, is_fixed: int, group: Group) -> str:
    """Return a line of a group as it is written, whole where it would be read wrongly without its ends."""
    prefix, suffix = group.prefix, group.suffix
    end = len(line) - len(suffix)
    short = line[len(prefix) : end]
    if is_fixed or not short or not line.startswith(prefix) or (suffix and line[end:] != suffix):
        return line
    misread = (
        short[0].isspace()
        or short.startswith(prefix)
        or (short[0] == "[" and (MARK in short or gaps.read(short) is not None))
    )
    return line if misread else short
