"""Puts back what references stand for, as a reader of the request would: from earlier results, by call and line.

A reference to lines may only point at lines that are sent as they are, one to a whole output at any result that is
not such a reference itself. The reader here knows of an earlier result what was
sent of it, so one that points at another reference, or at a result in another form, finds nothing.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from bench.compression_decode import INVERSES, decode
from proxy_pkg.compressors.json_wrapper import inside, peel
from proxy_pkg.model import Verdict
from proxy_pkg.planning.equal import parts

REFERENCES = "reference"

_NAME = r"(\u2026)?([\w.:|-]+)(?:#([0-9]+))?(?: text ([0-9]+))?(?: \(.*\))?"
_REFERENCE = re.compile(
    rf"\[lines ([0-9]+)-([0-9]+): (?:read anew, )?as (?:lines ([0-9]+)-([0-9]+) )?(?:there|(?:of|in) result {_NAME})\]"
)
_SAME = re.compile(rf"\[(?:read anew, )?same output as result {_NAME}\]")
_NUMBERED = re.compile(r" *L?([0-9]+)(?:[→\t]| ?(?=\|)|(?=: ))")
_HIT = re.compile(r"(?!\d{4}-\d\d-\d\d(?!\d)|\d\d:\d\d:\d\d(?!\d))([0-9]+)[:-]", re.ASCII)
"""A number, unless it is part of a date or of a time of day."""
_PREFIXES: tuple[Callable[[int], str], ...] = (
    lambda number: f"{number:6d}→",
    lambda number: f"{number:6d}\t",
    lambda number: f"{number}-",
    lambda number: f"{number}\t",
    lambda number: f"{number}→",
    # A blank behind these marks may belong to the text, so the mark counts as part of it.
    lambda number: f"{number}",
    lambda number: f"{number:05d}",
    lambda number: f"{number:6d}",
    lambda number: f"{number} ",
    lambda number: f"L{number}",
    lambda number: "",
)


class UnknownLineError(LookupError):
    """A reference points at a line that the reader does not have."""


class _Text(NamedTuple):
    """What a reader has of a text: lines by the numbers that they go by, and the output, None behind a reference."""

    lines: dict[int, str]
    output: str | None


class Reader:
    """What a reader has of a request's results so far; feed it the results in their order."""

    def __init__(self) -> None:
        self._results: list[tuple[str, list[_Text]]] = []
        """The id of each result's call, and its texts."""

    def read(self, call: str, text: str, verdict: Verdict, is_first: bool = True) -> str:
        """Why the text cannot be known from what is sent for it; empty if it can.

        With `is_first` it is the first, or only, text of the result of `call`.
        """
        shown: dict[int, str] = {}
        output = None
        if not verdict.compressor.startswith(REFERENCES):
            if verdict.text is None or verdict.compressor in ("numbered", "search"):
                shown = dict(_labelled(_lines(text)))
            output = parts(text).body
            problem = decode(text, verdict).problem
        elif (found := _SAME.search(verdict.text or "")) is not None:
            problem = self._same(text, verdict.text or "", found)
        else:
            problem, shown = self._referring(text, verdict)
        if is_first:
            self._results.append((call, []))
        if self._results:
            self._results[-1][1].append(_Text(shown, output))
        return problem

    def _same(self, text: str, sent: str, found: re.Match[str]) -> str:
        """As `read`, for a text whose output is that of another result."""
        try:
            there = self._named(found, 1).output
        except UnknownLineError as error:
            return str(error)
        if there is None:
            return f"{found[0]} points at a reference"
        whole = parts(text)
        if whole.around(found[0]) != sent:
            return "what stands around the output is not as it was"
        return "" if whole.around(there) == text else "its references do not give back the text"

    def _referring(self, text: str, verdict: Verdict) -> tuple[str, dict[int, str]]:
        """As `read`, and the lines that are sent themselves by their numbers."""
        assert verdict.text is not None, "a reference is a change"
        _, _, thinned = verdict.compressor.partition("+")
        lines = _lines(_unthinned(verdict.text, thinned))
        for prefix in _PREFIXES:
            try:
                whole = list(self._whole(lines, prefix))
            except UnknownLineError as error:
                return str(error), {}
            if [line for line, _ in whole] == _lines(text):
                sent = [is_sent for _, is_sent in whole]
                return "", dict(_labelled(_lines(text), sent))
        return "its references do not give back the text", {}

    def _whole(self, lines: list[str], prefix: Callable[[int], str]) -> Iterator[tuple[str, bool]]:
        """The lines with those that references stand for, and whether each is sent itself."""
        named: dict[int, str] | None = None
        for line in lines:
            found = _REFERENCE.fullmatch(line)
            if found is None:
                yield line, True
                continue
            if found[6]:
                named = self._named(found, 5).lines
            if named is None:
                raise UnknownLineError(f"{line} names no result")
            first, last, there = int(found[1]), int(found[2]), int(found[3] or found[1])
            for step in range(last - first + 1):
                if there + step not in named:
                    raise UnknownLineError(f"line {there + step} is not there to be read: {line}")
                yield prefix(first + step) + named[there + step], False

    def _named(self, found: re.Match[str], group: int) -> _Text:
        """The text that a reference names; the parts of its name are groups from `group` on."""
        is_end, call, number, place = found.group(group, group + 1, group + 2, group + 3)
        matches = [each for each in self._results if (each[0].endswith(call) if is_end else each[0] == call)]
        if len({each[0] for each in matches}) != 1 or len(matches) < int(number or 1):
            raise UnknownLineError(f"no result, or more than one, is called {call}")
        texts = matches[int(number or 1) - 1][1]
        if len(texts) < int(place or 1):
            raise UnknownLineError(f"the result of {call} has no text {place}")
        return texts[int(place or 1) - 1]


def _unthinned(sent: str, thinned: str) -> str:
    if not thinned:
        return sent
    whole = peel(sent)
    return whole.around(INVERSES[thinned](whole.body))


def _lines(text: str) -> list[str]:
    """The lines of a text, or of the output that it holds as a string in a JSON object."""
    held = inside(text)
    return (text if held is None else held.output).split("\n")


def _labelled(lines: list[str], sent: Sequence[bool] = ()) -> Iterator[tuple[int, str]]:
    """Each line that is sent, with the number that a reader knows it by: that before it, or its place from 1 on."""
    form = _form(lines)
    for place, line in enumerate(lines, 1):
        found = form.match(line) if form else None
        if (not sent or sent[place - 1]) and (form is None or found):
            yield (int(found[1]), line[found.end() :]) if found else (place, line)


def _form(lines: list[str]) -> re.Pattern[str] | None:
    """What stands before the lines, if they are numbered: three in a row, or most of them in a search."""
    numbers = [int(found[1]) if (found := _NUMBERED.match(line)) else -9 for line in lines]
    if any(one + 2 == two + 1 == three for one, two, three in zip(numbers, numbers[1:], numbers[2:], strict=False)):
        return _NUMBERED
    lines = [line for line in lines if line not in ("", "--")]
    hits = [int(found[1]) for line in lines if (found := _HIT.match(line))]
    is_rising = all(one < other for one, other in pairwise(hits))  # the year of a date is no number of a line
    return _HIT if is_rising and len(hits) * 2 > len(lines) else None
