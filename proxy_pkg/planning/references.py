"""Lines that stand earlier in the same request become a reference to them.

Agents read the same file again and again, whole or after a small edit. A run of lines that an earlier tool result
shows word for word is replaced by one line that says where it stands:

    [lines 12-80: as lines 10-78 of result …4kQzRt (Read src/app.py)]
    [lines 95-99: as lines 93-97 there]
    [lines 120-161: as there]

`there` is the result named last in the same text, and without numbers they are the same as here. A result goes by the
id of its tool call, or by the end of a long one; `#2` follows where a client uses an id again, for the second
result of that id. Line numbers are those of the file where the result is a numbered read, or shows a file's lines
with their numbers as `grep -n` does, else they count the lines of the result from 1. A reference stands for numbered
lines where the lines around it are numbered; with `grep -n`, for context lines.

What a reference says depends on the request before it and nothing else. It points only at lines that are sent as
they are, never at another reference, and only at results of tools.

The index of windows of lines is the method of rsync and of copy detectors ("winnowing", Schleimer and others, 2003)
with every window kept; a match counts only where the lines themselves are equal.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from sys import getsizeof

from msgspec import Struct

from proxy_pkg.compressors import numbered
from proxy_pkg.compressors.json_wrapper import inside, line_breaks
from proxy_pkg.model import Producer

WINDOW_LINES = 3
RUN_CHARS_MIN = 120
RUN_CHARS_AGAIN_MIN = 70
"""The text that a reference must replace, and one to a result that was named before in the same text."""
_TEXT_LINES_MAX = 20_000
_LINE_BYTES, _NUMBERED_LINE_BYTES, _WINDOW_BYTES = 240, 360, 200  # what they take in memory, as measured
_NUMBERED_SHARE_MAX = 0.25
_WINDOWS_MAX = 16_000  # once so many are known, nothing points at later texts: the index stays below 10 MiB
_SUBJECT_CHARS_MAX = 40
_CALL_CHARS_MAX = 8
_CALL_CHARS = 6
_PATHS = ("file_path", "filePath", "path", "absolute_path", "notebook_path")
_SUBJECTS = ("command", "cmd", "pattern", "url")

MARK = "[lines "
_NUMBERED = re.compile(
    r"(?![0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])|[0-9]{2}:[0-9]{2}:[0-9]{2}(?![0-9]))"
    r"(?: *L?[0-9]{1,9} *[→\t:|│]|[1-9][0-9]{0,8}-)"
)
"""What could be taken for the number of a line. A date or a time, as lines of logs begin with, could not."""
_HIT = re.compile(r"([1-9]\d{0,8})([:-])")
_NAMEABLE = re.compile(r"[\w.:|-]{1,200}\Z", re.ASCII)


class Form(StrEnum):
    """How the lines of a text are numbered."""

    COUNTED = ""
    """They carry no numbers."""
    NUMBERED = "numbered"
    """A file read: a number before each line, in one of the ways that tools write it."""
    HITS = "hits"
    """Lines of one file as grep -n shows them: a number, and `:` for a hit or `-` for context."""


class Run(Struct, frozen=True):
    """`length` lines of a text from line `start`, which stand in the text `source` from its line `line`.

    Lines count from 0, texts by their order in the request.
    """

    start: int
    length: int
    source: int
    line: int


class Lines:
    """A text as lines: `raw` as they came, `bodies` without line numbers, and the `labels` a reader knows them by.

    A label is 0 where a line has no number although others of its text have one. `has_clear_labels` is whether each
    names one line, and nothing else that stands before lines could be taken for them. `fixed` are lines that no
    reference can stand for, since it could not say all that stands before them.
    """

    __slots__ = (
        "__weakref__",
        "bodies",
        "first",
        "fixed",
        "has_clear_labels",
        "inside",
        "labels",
        "raw",
        "size",
        "windows",
    )

    def __init__(self, text: str, form: Form = Form.COUNTED) -> None:
        self.inside = inside(text)
        self.raw = (text if self.inside is None else self.inside.output).split("\n")
        self.fixed: Collection[int] = ()
        if form is Form.COUNTED:
            self.bodies = self.raw
            self.labels: Sequence[int] = range(1, len(self.raw) + 1)
            self.has_clear_labels = sum(map(_looks_numbered, self.raw)) <= _NUMBERED_SHARE_MAX * len(self.raw)
        else:
            self.labels, self.bodies = _SPLITS[form](self.raw)
            numbers = filter(None, self.labels)
            self.has_clear_labels = all(one < other for one, other in pairwise(numbers))
            if form is Form.HITS:
                self.fixed = {at for at, line in enumerate(self.raw) if self.labels[at] and _is_hit(line)}
        copies, line_bytes = (1, _LINE_BYTES) if form is Form.COUNTED else (2, _NUMBERED_LINE_BYTES)
        self.size = copies * getsizeof(text) + line_bytes * len(self.raw)
        """What it takes in memory."""
        last = len(self.bodies) - WINDOW_LINES + 1
        self.windows = [hash(tuple(self.bodies[at : at + WINDOW_LINES])) for at in range(last)]
        # Where each window stands first: of two equal keys, the later one given wins.
        self.first = dict(zip(reversed(self.windows), range(last - 1, -1, -1), strict=True)) if last > 0 else {}


def _looks_numbered(line: str) -> bool:
    return _NUMBERED.match(line) is not None


def _split_hits(lines: list[str]) -> tuple[list[int], list[str]]:
    found = list(map(_HIT.match, lines))
    labels = [int(hit[1]) if hit else 0 for hit in found]
    return labels, [line[hit.end() :] if hit else line for line, hit in zip(lines, found, strict=True)]


def _is_hit(line: str) -> bool:
    found = _HIT.match(line)
    return found is not None and found[2] == ":"


class Seen:
    """The texts of a request so far, and in which of them each window of lines stands first.

    Sets and dictionaries do the work on whole texts at once, since a conversation has ten thousand lines.
    """

    def __init__(self) -> None:
        self._texts: list[Lines | None] = []
        self._source: dict[int, int] = {}
        self._added: list[set[int]] = []
        self._hidden: list[Sequence[Run]] = []
        self._lines_bytes = 0

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def size_bytes(self) -> int:
        """About what it keeps in memory."""
        return self._lines_bytes + _WINDOW_BYTES * len(self._source) + 300 * len(self._texts)

    def lines(self, source: int) -> Lines:
        """A text that a run points at."""
        lines = self._texts[source]
        assert lines is not None, "a run points at a text that is not shown"
        return lines

    def truncate(self, count: int) -> None:
        """Forget all but the first `count` texts."""
        while len(self._texts) > count:
            lines = self._texts.pop()
            self._lines_bytes -= lines.size if lines is not None else 0
            self._hidden.pop()
            for window in self._added.pop():
                del self._source[window]

    def add(self, lines: Lines | None, hidden: Sequence[Run] = ()) -> None:
        """Take in the next text. None: it is not sent line by line as it is, so nothing may point at it.

        `hidden` are the runs in it that are references themselves.
        """
        added: set[int] = set()
        if lines is not None and len(self._source) < _WINDOWS_MAX:
            # Not by the difference of two sets of keys, which goes through all that is known.
            source = self._source
            added = {window for window in lines.first if window not in source}
            if hidden:
                added -= _touched(lines, hidden)
            source.update(dict.fromkeys(added, len(self._texts)))
        # Only a text with a window of its own is ever pointed at.
        self._texts.append(lines if added else None)
        self._lines_bytes += lines.size if lines is not None and added else 0
        self._hidden.append(hidden)
        self._added.append(added)

    def find(self, lines: Lines) -> list[Run]:
        """The runs of the next text that stand in earlier ones, long enough to be worth a line of their own."""
        runs: list[Run] = []
        if self._source.keys().isdisjoint(lines.first):
            return runs
        at, named = 0, -1
        while at < len(lines.windows):
            run = self._longest(lines, at, named)
            if run is None:
                at += 1
            else:
                runs.append(run)
                at += run.length
                named = run.source
        return runs

    def shown_around(self, source: int, line: int) -> tuple[int, int]:
        """The lines around `line` of a text that are sent in a row: where they begin, and where they end."""
        hidden = self._hidden[source]
        after = bisect_right(hidden, line, key=_end)
        first = _end(hidden[after - 1]) if after else 0
        return first, hidden[after].start if after < len(hidden) else len(self.lines(source).bodies)

    def _longest(self, lines: Lines, at: int, named: int) -> Run | None:
        """The run from line `at`: in the result `named` last, or where its window stands first, if that is longer."""
        window = lines.windows[at]
        source = self._source.get(window)
        if source is None:
            return None
        run = self._run(lines, at, source, RUN_CHARS_AGAIN_MIN if source == named else RUN_CHARS_MIN)
        if named in (-1, source) or window not in self.lines(named).first:
            return run
        again = self._run(lines, at, named, RUN_CHARS_AGAIN_MIN)
        return again if run is None or (again is not None and again.length >= run.length) else run

    def _run(self, lines: Lines, start: int, source: int, chars_min: int) -> Run | None:
        there = self.lines(source)
        line = there.first[lines.windows[start]]
        limit = min(len(lines.bodies) - start, len(there.bodies) - line)
        hidden = self._hidden[source]
        if hidden:
            # In order, and apart from each other: the first that ends beyond the line is the next one.
            after = bisect_right(hidden, line, key=_end)
            if after < len(hidden):
                limit = min(limit, hidden[after].start - line)
        length = 0
        while (
            length < limit
            and start + length not in lines.fixed
            and lines.bodies[start + length] == there.bodies[line + length]
            and lines.labels[start + length] == lines.labels[start] + length
            and there.labels[line + length] == there.labels[line] + length
        ):
            length += 1
        if not lines.labels[start] or not there.labels[line] or length < WINDOW_LINES:
            return None
        # Blanks at the ends of a line are a token or none.
        if sum(len(body.strip()) + 2 for body in lines.bodies[start : start + length]) < chars_min:
            return None
        return Run(start, length, source, line)


def _end(run: Run) -> int:
    return run.start + run.length


def _touched(lines: Lines, hidden: Sequence[Run]) -> set[int]:
    """Windows whose first place reaches into a run that is not shown."""
    touched: set[int] = set()
    for run in hidden:
        for at in range(max(0, run.start - WINDOW_LINES + 1), min(run.start + run.length, len(lines.windows))):
            if lines.first[lines.windows[at]] == at:
                touched.add(lines.windows[at])
    return touched


def may_have_runs(text: str) -> bool:
    """Whether a text has lines enough to be pointed at, or to point at others, and not more than are looked through."""
    return WINDOW_LINES <= line_breaks(text) <= _TEXT_LINES_MAX


def may_refer(text: str) -> bool:
    """Whether references may stand in a text at all: not in one that holds lines which look like them."""
    return MARK not in text


def with_references(lines: Lines, runs: Sequence[Run], seen: Seen, names: Mapping[int, str]) -> str:
    """The text with each run replaced by its reference. `names` are those of the texts they point at."""
    parts: list[str] = []
    at, named = 0, -1
    for run in runs:
        parts += lines.raw[at : run.start]
        here, there = lines.labels[run.start], seen.lines(run.source).labels[run.line]
        numbers = "" if here == there else f"lines {there}-{there + run.length - 1} "
        if run.source == named:
            where = f"{numbers}there"
        else:
            where = f"{numbers}{'of' if numbers else 'in'} result {names[run.source]}"
        parts.append(f"{MARK}{here}-{here + run.length - 1}: as {where}]")
        at, named = run.start + run.length, run.source
    parts += lines.raw[at:]
    text = "\n".join(parts)
    return text if lines.inside is None else lines.inside.around(text)


def may_be_named(call: str) -> bool:
    """Whether the id of a tool call can stand in a reference."""
    return _NAMEABLE.match(call) is not None


class Names:
    """What references call the results of a request, taken in one after another."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        """For each text, how many results of its call there are up to it."""
        self._results: dict[str, int] = {}
        self._ends: dict[str, str | None] = {}
        """The end of an id to the one call whose id ends so; None where there are several."""

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, call: str, index: int) -> None:
        """Take in the next text: the id of its tool call, and which of that result's texts it is."""
        number = self._results.get(call, 0) + (index == 0)
        self._results[call] = number
        self._numbers.append(number)
        end = call[-_CALL_CHARS:]
        self._ends[end] = call if self._ends.get(end, call) == call else None

    def of(self, source: int, call: str, producer: Producer) -> str:
        """What to call text `source`: the id of its tool call, the tool, what it was asked for. The end of an id is
        enough if no other ends so.
        """
        end = call[-_CALL_CHARS:]
        is_random = any(map(str.isdigit, call))  # else it is the name of a tool
        number = self._numbers[source]
        if is_random and len(call) > _CALL_CHARS_MAX and self._ends[end] == call:
            call = "…" + end
        if number > 1:
            call = f"{call}#{number}"
        told = " ".join(filter(None, (producer.name, _subject(producer))))
        return f"{call} ({told})" if told else call


def _subject(producer: Producer) -> str:
    """A few words of what a tool was asked for: the end of a path, the start of anything else."""
    for key in _PATHS:
        if isinstance(path := producer.arguments.get(key), str):
            path = " ".join(path.split())
            return path if len(path) <= _SUBJECT_CHARS_MAX else _end_of_path(path)
    asked = next((value for key in _SUBJECTS if isinstance(value := producer.arguments.get(key), str)), "")
    asked = " ".join(asked.split())
    return asked if len(asked) <= _SUBJECT_CHARS_MAX else asked[:_SUBJECT_CHARS_MAX] + "…"


def _end_of_path(path: str) -> str:
    end = path[-_SUBJECT_CHARS_MAX:]
    return "…" + (end[end.index("/") :] if "/" in end else end)


_SPLITS: Mapping[Form, Callable[[list[str]], tuple[list[int], list[str]]]] = {
    Form.NUMBERED: numbered.split,
    Form.HITS: _split_hits,
}
