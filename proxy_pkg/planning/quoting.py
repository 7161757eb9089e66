"""Which references leave every few lines of a text quotable in one piece.

A model that edits a file by exact text quotes lines of it. What it quotes has to stand in one piece in one result
that was sent, or the model would stitch it together, and go wrong. So any WINDOW_LINES lines in a row are either
all sent in the text itself, or stand in a row, as they are, in one earlier result. Lines next to a change that a
reference could have stood for are sent with the change, as far as a window reaches.
"""

from collections.abc import Iterator, Sequence

from proxy_pkg.compressors.detect import Kind
from proxy_pkg.compressors.producers import Tools, prints_no_file
from proxy_pkg.model import Producer
from proxy_pkg.planning.equal import parts
from proxy_pkg.planning.references import Lines, Run, Seen

WINDOW_LINES = 120
"""Old texts of edits are hardly ever longer."""
RUN_LINES_MIN = 10
"""Shorter references bring next to nothing, and each has to be followed."""

_JOINED_LINES_MAX = 1000
_NEVER_EDITED = frozenset(
    (
        *(Kind.BUILD, Kind.GENERATED, Kind.GO_TEST, Kind.LINT, Kind.LISTING, Kind.LOG, Kind.PATHS, Kind.RULED),
        *(Kind.TERMINAL, Kind.TREE),
    )
)
"""What a command tells of its run, or of many files, and what a program wrote: no edit quotes it."""

Span = tuple[int, int]
"""Where lines begin, and where they end."""


def is_quoted(kind: str, producer: Producer, tools: Tools) -> bool:
    """Whether an edit could quote a result of `producer`: all but what is known to be no file's text."""
    return kind not in _NEVER_EDITED and not prints_no_file(producer, tools)


def quotable(text: str, lines: Lines, runs: Sequence[Run], seen: Seen) -> list[Run]:
    """What may be left of `runs`, in their order and apart from each other, so that the law above holds."""
    runs = _joined(lines, runs, seen)
    lead = _lead(text, lines)
    spans = [_reach(lines, run, seen, lead) for run in runs]
    left: list[Run] = []
    at = 0
    for first, end in _pieces(text, lines):
        while at < len(runs) and _end(runs[at]) <= first:
            at += 1
        after = at
        while after < len(runs) and runs[after].start < end:
            after += 1
        left += _cut(runs[at:after], _whole(spans[at:after], first, end))
        at = max(at, after - 1)
    return left


def _end(run: Run) -> int:
    return run.start + run.length


def _joined(lines: Lines, runs: Sequence[Run], seen: Seen) -> list[Run]:
    """The runs, each with those before it that its own source shows as well: one result to look into, not two."""
    joined: list[Run] = []
    for run in runs:
        while joined and _goes_on(lines, joined[-1], run, seen):
            last = joined.pop()
            run = Run(last.start, last.length + run.length, run.source, run.line - last.length)
        joined.append(run)
    return joined


def _goes_on(lines: Lines, last: Run, run: Run, seen: Seen) -> bool:
    there, line = seen.lines(run.source), run.line - last.length
    return (
        _end(last) == run.start
        and line >= seen.shown_around(run.source, run.line)[0]
        and last.length <= _JOINED_LINES_MAX
        and lines.labels[run.start] - lines.labels[last.start] == last.length
        and there.labels[run.line] - there.labels[line] == last.length
        and lines.bodies[last.start : run.start] == there.bodies[line : run.line]
        and 0 not in there.labels[line : run.line]
    )


def _lead(text: str, lines: Lines) -> tuple[int, str]:
    """The line on which a command's output begins behind other words, as behind `Output: `, and those words."""
    if not isinstance(lines.labels, range):
        return -1, ""
    head = parts(text).head
    return head.count("\n"), head[head.rfind("\n") + 1 :]


def _reach(lines: Lines, run: Run, seen: Seen, lead: tuple[int, str] = (-1, "")) -> Span:
    """The lines around a run that stand around it in its source as well, no further than a window could reach.

    Of the line that has a `lead`, what stands behind it counts: that is the line which was printed.
    """
    there, shift = seen.lines(run.source), run.line - run.start
    first, end = seen.shown_around(run.source, run.line)
    low = max(run.start - WINDOW_LINES, first - shift, 0)
    high = min(_end(run) + WINDOW_LINES, end - shift, len(lines.bodies))
    start, stop = run.start, _end(run)
    while start > low and lines.bodies[start - 1] == there.bodies[start - 1 + shift]:
        start -= 1
    if start > low and start - 1 == lead[0] and lines.bodies[start - 1] == lead[1] + there.bodies[start - 1 + shift]:
        start -= 1
    while stop < high and lines.bodies[stop] == there.bodies[stop + shift]:
        stop += 1
    return start, stop


def _pieces(text: str, lines: Lines) -> Iterator[Span]:
    """The parts of a text that can be quoted from in one piece: lines whose numbers follow each other, or, where
    they carry none, all that a command printed.
    """
    labels = lines.labels
    if isinstance(labels, range):
        whole = parts(text)
        yield whole.head.count("\n"), len(labels) - whole.tail.count("\n")
        return
    first = 0
    for at in range(1, len(labels) + 1):
        if at == len(labels) or labels[at] != labels[at - 1] + 1 or not labels[at - 1]:
            if labels[first]:
                yield first, at
            first = at


def _whole(spans: Sequence[Span], first: int, end: int) -> Iterator[Span]:
    """The lines of a piece of which every window stands in one of `spans`."""
    window = min(WINDOW_LINES, end - first)
    low = at = first  # windows that begin before `at` are told
    for start, stop in sorted((max(start, first), min(stop, end)) for start, stop in spans):
        if stop - start < window:
            continue
        if start > at:
            if low < at:
                yield low, at
            low = start - 1 + window
        at = max(at, stop - window + 1)
    if at > end - window:
        at = end
    if low < at:
        yield low, at


def _cut(runs: Sequence[Run], whole: Iterator[Span]) -> Iterator[Run]:
    spans = list(whole)
    for run in runs:
        for start, stop in spans:
            start, stop = max(start, run.start), min(stop, _end(run))
            if stop - start >= RUN_LINES_MIN:
                yield Run(start, stop - start, run.source, run.line + start - run.start)
