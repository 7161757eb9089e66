"""Which events of `go test -json` stay at the level `balanced`: all but those of tests that passed.

What a test printed goes with it. The events of a test that failed, was skipped, or did not end stay, as do those of
packages and builds, every line with a complaint, and what was asked for.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import msgspec

from proxy_pkg.compressors import asked, gaps
from proxy_pkg.compressors.complaints import complaints
from proxy_pkg.compressors.contract import Reducer

LINES_MIN = 12


class Event(msgspec.Struct, frozen=True):
    """An event, or what of one bears on the choice."""

    action: str = msgspec.field(name="Action", default="")
    package: str = msgspec.field(name="Package", default="")
    test: str = msgspec.field(name="Test", default="")


_UNKNOWN = Event()
_decode = msgspec.json.Decoder(Event).decode


def reduce(text: str, wanted: Sequence[str]) -> str | None:
    """Return events with gaps; None if they are few, have gaps already, or no test passed."""
    lines = text.split("\n")
    if len(lines) < LINES_MIN or gaps.has_marks(text):
        return None
    kept = _chosen(lines)
    starts = [0, *accumulate(len(line) + 1 for line in lines)][:-1]
    complaining = complaints(text, starts)
    for line, is_grave in complaining.items():
        kept[line] |= is_grave
    for place in asked.places(text, wanted):
        kept[bisect_right(starts, place) - 1] = 1
    first = next((line for line, start in enumerate(starts) if text.startswith("{", start)), 0)
    kept[first] = 1  # a text is told to be events by the first of them
    return gaps.with_gaps(lines, kept)


def _chosen(lines: list[str]) -> bytearray:
    events = [_event(line) for line in lines]
    results: dict[tuple[str, str], set[str]] = {}
    for event in events:
        if event.test and event.action in ("pass", "fail", "skip"):
            results.setdefault((event.package, event.test), set()).add(event.action)
    return bytearray(results.get((event.package, event.test)) != {"pass"} for event in events)


def _event(line: str) -> Event:
    if not line.startswith("{"):
        return _UNKNOWN
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return _UNKNOWN


GO_EVENTS = Reducer("go-events", reduce)
