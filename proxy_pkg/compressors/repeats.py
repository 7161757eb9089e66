"""Lines that come again: runs in a row are counted, and longer blocks further down refer to their first showing.

Marks are lines of their own that begin with a blank: ` [the line above 3 more times]`,
` [the 4 lines above 20 more times]`, ` [block 1, 12 lines]` before a block that comes again and
` [block 1 again]` in its place later. Everything is shown once, at its first place.
"""

import re
from collections import defaultdict

from proxy_pkg.compressors.estimate import tokens

PERIOD_LINES_MAX = 40
"""Longer stretches that follow themselves are found as blocks."""
BLOCK_LINES_MIN = 3
BLOCK_TOKENS_MIN = 40
"""A shorter block is not worth looking up."""
MARK_TOKENS = 10

_MARK = re.compile(
    r"^ \[(?:the (?:line|[0-9]+ lines) above [0-9]+ more times|block [0-9]+(?:, [0-9]+ lines| again))\]", re.MULTILINE
)


def has_marks(text: str) -> bool:
    """Tell whether `text` has lines that look like our marks."""
    return (" [the " in text or " [block " in text) and _MARK.search(text) is not None


def counted(text: str) -> str | None:
    """Return `text`, which has no marks, with what comes again counted or referred to; None if that saves nothing."""
    lines = text.split("\n")
    if len(set(lines)) == len(lines):
        return None
    shown = _blocks(_runs(lines))
    result = "\n".join(shown)
    return result if len(result) < len(text) else None


def _runs(lines: list[str]) -> list[str]:
    """Return `lines` with stretches that follow themselves shown once and counted."""
    shown: list[str] = []
    seen: dict[str, int] = {}
    at, count = 0, len(lines)
    dull_end = dull_period = 0
    while at < count:
        line = lines[at]
        before = seen.get(line, -1)
        period = at - before
        if before >= 0 and period <= PERIOD_LINES_MAX and not (at < dull_end and period == dull_period):
            end = at
            while end < count and lines[end] == lines[end - period]:
                end += 1
            times = (end - at) // period
            stop = at + times * period
            if times and tokens("\n".join(lines[before:at])) * times > MARK_TOKENS + 4:
                shown.append(f" [the {'line' if period == 1 else f'{period} lines'} above {times} more times]")
                # A stretch that began before the mark cannot be repeated across it.
                seen.clear()
                at = stop
                continue
            dull_end, dull_period = end, period  # looked at once: many empty lines are nothing to count
        shown.append(line)
        seen[line] = at
        at += 1
    return shown


def _blocks(lines: list[str]) -> list[str]:
    """Return `lines` with blocks that come again replaced by a reference to the first of them."""
    matches = _matches(lines)
    if not matches:
        return lines
    taken = bytearray(len(lines))
    starts: dict[int, tuple[int, int]] = {}
    agains: dict[int, tuple[int, int]] = {}
    for source, found in sorted(matches.items()):
        length = _length([size for _, size in found])
        targets = [target for target, size in found if size >= length and taken.find(1, target, target + length) < 0]
        if not targets or taken.find(1, source, source + length) >= 0:
            continue
        number = len(starts) + 1
        starts[source] = (number, length)
        taken[source : source + length] = b"\x01" * length
        for target in targets:
            agains[target] = (number, length)
            taken[target : target + length] = b"\x01" * length
    return _referring(lines, starts, agains)


def _matches(lines: list[str]) -> dict[int, list[tuple[int, int]]]:
    """Return for the start of each block where it comes again, with how many lines are the same."""
    first: dict[tuple[str, ...], int] = {}
    matches: dict[int, list[tuple[int, int]]] = defaultdict(list)
    at, count = 0, len(lines)
    again = bytearray(count)
    while at < count - BLOCK_LINES_MIN + 1:
        key = tuple(lines[at : at + BLOCK_LINES_MIN])
        source = first.setdefault(key, at)
        if source != at:
            size = 0
            # A showing that runs into a repetition ends there: what follows is better found where it stood first.
            room = min(at - source, count - at)
            while size < room and lines[source + size] == lines[at + size] and not again[source + size]:
                size += 1
            if size >= BLOCK_LINES_MIN and _is_worth(lines, at, size):
                matches[source].append((at, size))
                again[at : at + size] = b"\x01" * size
                at += size
                continue
        at += 1
    return matches


def _is_worth(lines: list[str], at: int, size: int) -> bool:
    # Enough lines are enough tokens: a long block is not weighed whole.
    return size > BLOCK_TOKENS_MIN or tokens("\n".join(lines[at : at + size])) >= BLOCK_TOKENS_MIN


def _length(sizes: list[int]) -> int:
    """Return the length of block that covers most lines of its repetitions."""
    sizes = sorted(sizes, reverse=True)
    return max(((n + 1) * size, size) for n, size in enumerate(sizes))[1]


def _referring(lines: list[str], starts: dict[int, tuple[int, int]], agains: dict[int, tuple[int, int]]) -> list[str]:
    shown: list[str] = []
    at = 0
    while at < len(lines):
        if at in agains:
            number, length = agains[at]
            shown.append(f" [block {number} again]")
            at += length
            continue
        if at in starts:
            shown.append(f" [block {starts[at][0]}, {starts[at][1]} lines]")
        shown.append(lines[at])
        at += 1
    return shown
