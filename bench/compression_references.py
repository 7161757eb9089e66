"""Puts back what references stand for, as a reader of the request would: from earlier results, by call and line.

A reference may only point at lines that are sent as they are. The reader here knows of an earlier result what was
sent of it, so one that points at another reference, or at a result in another form, finds nothing.
"""

import re
from collections.abc import Callable, Iterator

from bench.compression_decode import INVERSES, decode
from proxy_pkg.model import Verdict

REFERENCES = "reference"

_REFERENCE = re.compile(r"\[lines ([0-9]+)-([0-9]+): as lines ([0-9]+)-([0-9]+) of result (\S+)(?: \(.*\))?\]")
_NUMBERED = re.compile(r" *([0-9]+)[→\t]")
_PREFIXES: tuple[Callable[[int], str], ...] = (
    lambda number: f"{number:6d}→",
    lambda number: f"{number:6d}\t",
    lambda number: "",
)


class UnknownLineError(LookupError):
    """A reference points at a line that the reader does not have."""


class Reader:
    """What a reader has of a request's results so far; feed it the results in their order."""

    def __init__(self) -> None:
        self._lines: dict[str, dict[int, str]] = {}

    def read(self, call: str, text: str, verdict: Verdict) -> str:
        """Why the text cannot be known from what is sent for it; empty if it can."""
        if not verdict.compressor.startswith(REFERENCES):
            if verdict.text is None or verdict.compressor == "numbered":
                self._lines.setdefault(call, dict(_labelled(text.split("\n"))))
            return decode(text, verdict).problem
        assert verdict.text is not None, "a reference is a change"
        _, _, numbered = verdict.compressor.partition("+")
        sent = INVERSES[numbered](verdict.text) if numbered else verdict.text
        lines = sent.split("\n")
        try:
            wholes = ["\n".join(self._whole(lines, prefix)) for prefix in _PREFIXES]
        except UnknownLineError as error:
            return str(error)
        self._lines.setdefault(call, dict(_shown(lines)))
        return "" if text in wholes else "its references do not give back the text"

    def _whole(self, lines: list[str], prefix: Callable[[int], str]) -> Iterator[str]:
        for line in lines:
            found = _REFERENCE.fullmatch(line)
            if found is None:
                yield line
                continue
            first, last, there = int(found[1]), int(found[2]), int(found[3])
            for step in range(last - first + 1):
                yield prefix(first + step) + self._line(found[5], there + step)

    def _line(self, call: str, label: int) -> str:
        try:
            return self._lines[call][label]
        except KeyError:
            raise UnknownLineError(f"line {label} of result {call} is not there to be read") from None


def _labelled(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Each line with the number that a reader knows it by: the one before it, or its place counted from 1."""
    if not any(_NUMBERED.match(line) for line in lines[:2]):
        yield from enumerate(lines, 1)
        return
    for line in lines:
        found = _NUMBERED.match(line)
        if found:
            yield int(found[1]), line[found.end() :]


def _shown(lines: list[str]) -> Iterator[tuple[int, str]]:
    """As `_labelled`, for a text in which some lines are references: the others only."""
    is_numbered = any(_NUMBERED.match(line) for line in lines)
    place = 0
    for line in lines:
        found, reference = _NUMBERED.match(line), _REFERENCE.fullmatch(line)
        if reference:
            place += int(reference[2]) - int(reference[1]) + 1
            continue
        place += 1
        if found:
            yield int(found[1]), line[found.end() :]
        elif not is_numbered:
            yield place, line
