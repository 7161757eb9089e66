"""What diffs are turned back by, and what may go of them, written from the documented rules."""

import re

from tests.compressors.inverse_lines import lines

_LEGEND = re.compile(r'\[([0-9]+) context and index lines left out: "\[3\]" stands for 3 of them\]')


def diff_repeats(text: str) -> str:
    """Return what `compressors.diff_repeats` was given."""
    return lines(text)


def lost_context_only(before: str, after: str) -> bool:
    """Whether `after` is the diff `before` but for context and index lines, which its marks count where they stood."""
    head, *kept = after.split("\n")
    legend = _LEGEND.fullmatch(head)
    rest = before.split("\n")
    at = gone = 0
    for line in kept:
        mark = re.fullmatch(r"\[([0-9]+)\]", line)
        count = int(mark[1]) if mark else 1
        run = rest[at : at + count]
        if len(run) < count or not (all(each.startswith((" ", "index ")) for each in run) if mark else run == [line]):
            return False
        at += count
        gone += count if mark else 0
    return legend is not None and at == len(rest) and gone == int(legend[1])
