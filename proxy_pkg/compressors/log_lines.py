"""Which lines of a log stay at the level `balanced`.

Always: how it begins and ends, what complains (each complaint once that differs in more than numbers, and those of
a grave level many times), each stack trace once, and what was asked for. While there is room, in this order: the lines
around the first complaint of each shape, numbers and words that stand out among their like, the first and the last
line of each shape, those where one shape gives way to another, and the rest in short runs spread over the log.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from msgspec import Struct

from proxy_pkg.compressors import asked, gaps
from proxy_pkg.compressors.choice import Choice
from proxy_pkg.compressors.complaints import complaints
from proxy_pkg.compressors.contract import Reducer
from proxy_pkg.compressors.outliers import outliers
from proxy_pkg.compressors.shapes import Shapes, shapes

LINES_MIN, LINES_MAX = 24, 250_000
ROOM_SHARE = 4
"""Beside what stays anyway there is room for one in so many characters."""
ROOM_CHARS_MIN, ROOM_CHARS_MAX = 8_000, 60_000
HEAD_LINES, TAIL_LINES = 6, 8
HEADER_LINES_MAX = 24
"""So many lines at the start stay if they begin with `#`."""
SAME_GRAVE_MAX, SAME_MAX = 16, 4
"""So many complaints stay that differ in numbers only: of a grave level, and others."""
MILD_SHARE = 3
"""Complaints without a grave level that are more than one in so many characters are chosen by their shape too."""
MILD_OF_SHAPE = 6
TRACE_LINES_MAX = 60
RECORD_LINES_MAX = 12
AROUND = 2
AROUND_SHAPES_MAX = 24
STEADY_LINES = 8
RUN_LINES = 3
"""What is kept for no other reason than to show the usual comes in runs of so many lines."""

_CONTINUES = ("at ", "#", "Caused by:", "... ", "[stacktrace]", "Traceback (", '"}', "}", ")", "]", "goroutine ")
_FRAME = re.compile(r"#\d+ ")


class Log(Struct, frozen=True):
    """A log's lines, where each starts in the text, its shape, it without digits, and which continue another."""

    text: str
    lines: list[str]
    starts: list[int]
    shapes: Shapes
    bare: list[bytes]
    continues: bytearray

    def record(self, line: int, lines_max: int) -> range:
        """The lines behind `line` that continue it."""
        end = line + 1
        last = min(len(self.lines), end + lines_max)
        while end < last and self.continues[end]:
            end += 1
        return range(line + 1, end)


def reduce(text: str, wanted: Sequence[str]) -> str | None:
    """Return a log with gaps; None if it is short, has gaps already, or nothing would go."""
    if gaps.has_marks(text):
        return None
    kept = chosen(text, wanted)
    return gaps.with_gaps(text.split("\n"), kept) if kept is not None else None


def chosen(text: str, wanted: Sequence[str]) -> bytearray | None:
    """One byte for each line of a log, 1 where it stays; None for one of too few lines or too many."""
    lines = text.split("\n")
    if not LINES_MIN <= len(lines) <= LINES_MAX:
        return None
    log = _read(text, lines)
    choice = Choice(lines, max(ROOM_CHARS_MIN, min(len(text) // ROOM_SHARE, ROOM_CHARS_MAX)))
    choice.keep(_ends(lines))
    complaining = complaints(text, log.starts)
    first_of_shape = _keep_complaints(log, complaining, choice)
    _keep_asked(log, wanted, choice)
    choice.keep_spread(list(_around(first_of_shape, len(lines))), share=1 / 3)
    choice.keep_best(outliers(log.shapes), share=3 / 4)
    choice.keep_spread(_edges(log), share=2 / 3)
    choice.keep_spread(_changes(log), share=1 / 3)
    choice.keep_spread([range(at, min(at + RUN_LINES, len(lines))) for at in range(0, len(lines), RUN_LINES)])
    return choice.kept


def _read(text: str, lines: list[str]) -> Log:
    starts = [0, *accumulate(len(line) + 1 for line in lines)][:-1]
    bare = text.encode(errors="surrogatepass").translate(None, b"0123456789").split(b"\n")
    return Log(text, lines, starts, shapes(text), bare, _continuing(lines))


def _continuing(lines: list[str]) -> bytearray:
    """Flag lines that continue the one before; none where most would."""
    flags = bytearray(
        line[:1].isspace() or (line.startswith(_CONTINUES) and (line[0] != "#" or bool(_FRAME.match(line))))
        for line in lines
    )
    return flags if flags.count(1) * 10 < len(lines) * 9 else bytearray(len(lines))


def _ends(lines: list[str]) -> Iterator[int]:
    header = 0
    while header < min(len(lines), HEADER_LINES_MAX) and lines[header].startswith("#"):
        header += 1
    yield from range(header + HEAD_LINES)
    yield from range(len(lines) - TAIL_LINES, len(lines))


def _keep_complaints(log: Log, complaining: dict[int, bool], choice: Choice) -> list[int]:
    """Keep what complains, with its stack trace; return the first complaint of each shape."""
    mild_chars = sum(len(line) for line in {log.bare[at] for at, is_grave in complaining.items() if not is_grave})
    is_crowded = mild_chars * MILD_SHARE > len(log.text)
    same: dict[bytes, int] = {}
    alike: dict[int, int] = {}
    traces: set[tuple[bytes, ...]] = set()
    first_of_shape: list[int] = []
    for line in sorted(complaining):
        bare, shape, is_grave = log.bare[line], log.shapes.of_lines[line], complaining[line]
        same[bare] = same.get(bare, 0) + 1
        alike[shape] = alike.get(shape, 0) + 1
        if alike[shape] == 1:
            first_of_shape.append(line)
        if same[bare] > (SAME_GRAVE_MAX if is_grave else SAME_MAX):
            continue
        if is_crowded and not is_grave and alike[shape] > MILD_OF_SHAPE:
            continue
        choice.keep((line,))
        trace = log.record(line, TRACE_LINES_MAX)
        frames = tuple(log.bare[trace.start : trace.stop])
        if frames not in traces:
            traces.add(frames)
            choice.keep(trace)
    return first_of_shape


def _keep_asked(log: Log, wanted: Sequence[str], choice: Choice) -> None:
    """Keep the lines that have a term, with those beside them and those that continue them."""
    for place in asked.places(log.text, wanted):
        line = bisect_right(log.starts, place) - 1
        choice.keep((line - 1, line, line + 1, *log.record(line, RECORD_LINES_MAX)))


def _around(lines: Sequence[int], end: int) -> Iterator[range]:
    for line in lines[:AROUND_SHAPES_MAX]:
        yield range(max(0, line - AROUND), min(line + AROUND + 1, end))


def _edges(log: Log) -> list[tuple[int]]:
    """The first and the last line of each shape, those that continue others apart."""
    found = ([line for line in group if not log.continues[line]] for group in log.shapes.groups())
    return [(line,) for line in sorted({line for group in found if group for line in (group[0], group[-1])})]


def _changes(log: Log) -> list[range]:
    """The lines on both sides of where a run of one shape ends."""
    found: list[range] = []
    of_lines, since = log.shapes.of_lines, 0
    for line in range(1, len(of_lines)):
        if of_lines[line] != of_lines[line - 1]:
            if line - since >= STEADY_LINES:
                found.append(range(line - 1, line + 1))
            since = line
    return found


LOG_LINES = Reducer("log-lines", reduce)
