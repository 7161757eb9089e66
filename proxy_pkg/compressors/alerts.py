"""Which lines of an output report that something is wrong: they and their neighbours are left as they are."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate

_FAILURES = ("err", "fatal", "crit", "severe", "panic", "emerg", "alert", "fail", "exception")
_ALERTS = (*_FAILURES, "warn")
_LEVEL = re.compile(
    r"""(?<![\w/=-])(?:ERR(?:OR)?S?|FATAL|CRIT(?:ICAL)?|SEVERE|PANIC|EMERG(?:ENCY)?|ALERT|WARN(?:ING)?S?
        |FAIL(?:ED|URES?)?|EXCEPTION)(?![\w=/-]|\.\w)
    |(?<![^\s\[(<"'|:={*!,;])(?i:error|err|fatal|critical|severe|panic|warn|warning)(?![^\s\])>"'|:,;}!({*.])(?!\.\w)
    |(?<=[a-z])(?:Error|Exception|Warning|Failure)(?!\w)""",
    re.VERBOSE,
)
"""A level or a class of error; not the word in a path, in `error=0` or in the middle of a name."""
_PHRASES = ("Traceback (", "Caused by:", "panicked at", "segfault", "core dumped", "Out of memory")
_STATUS = re.compile(r'" 5[0-9]{2} ')
"""How a web server's log tells of a request that failed."""

Flag = Callable[[str, list[str]], bytearray]
"""Tells for a text and its lines, with one byte for each, which of them must stay as they are."""


def alerts(text: str, lines: list[str]) -> bytearray:
    """Return one byte for each line: 1 where it or a line beside it tells of an error or warns."""
    return _beside(_places(text, _ALERTS), lines)


def failures(text: str, lines: list[str]) -> bytearray:
    """Return one byte for each line: 1 where it or a line beside it tells of an error or failure."""
    return _beside(_places(text, _FAILURES), lines)


def none(_text: str, lines: list[str]) -> bytearray:
    """Return a zero for each line: for lists in which every line is an alert."""
    return bytearray(len(lines))


def _beside(places: Iterator[int], lines: list[str]) -> bytearray:
    flags = bytearray(len(lines))
    starts: list[int] = []
    for place in places:
        starts = starts or [0, *accumulate(len(line) + 1 for line in lines)]
        at = bisect_right(starts, place) - 1
        first, end = max(0, at - 1), min(at + 2, len(lines))
        flags[first:end] = b"\x01" * (end - first)
    return flags


def _places(text: str, stems: tuple[str, ...]) -> Iterator[int]:
    """Yield where alerts stand, at least one place in each line that is one."""
    small = text.lower()
    if len(small) != len(text):
        # A letter or two of the world grow when made small, and places would no longer fit.
        small = text
    for stem in stems:
        at = small.find(stem)
        while at >= 0:
            found = _LEVEL.match(text, at) is not None
            if found:
                yield at
            at = _next(small, stem, at, found)
    for phrase in _PHRASES:
        at = text.find(phrase)
        while at >= 0:
            yield at
            at = _next(text, phrase, at, True)
    if '" 5' in text:
        yield from (match.start() for match in _STATUS.finditer(text))


def _next(text: str, stem: str, at: int, found: bool) -> int:
    """Return where `stem` stands next: in a later line where the line at `at` is an alert already."""
    line_end = text.find("\n", at) if found else at + len(stem)
    return text.find(stem, line_end) if line_end >= 0 else -1
