"""Lines that stand earlier in the same request become a reference to them.

Agents read the same file again and again, whole or after a small edit. A run of lines that an earlier tool result
shows word for word is replaced by one line that says where it stands:

    [lines 12-80: as lines 10-78 of result …4kQzRt (Read src/app.py)]
    [lines 95-99: as lines 93-97 there]
    [lines 120-161: as there]

`there` is the result named last in the same text, and without numbers they are the same as here. A result goes by the
id of its tool call, or by the end of a long one; `#2` follows where a client uses an id again, for the second
result of that id, and `text 2` where a result has several texts. `read anew` says that the file may have been changed
since, and that the call found it to hold these lines still. Line numbers are those of the file where the result is a
numbered read, or shows a file's lines with their numbers as `grep -n` does, else they count the lines of the result
from 1. A reference stands for numbered lines where the lines around it are numbered; with `grep -n`, for context lines.

What a reference says depends on the request before it and nothing else. It points only at lines that are sent as
they are, never at another reference, only at results of tools, and only where these may be believed (origin.py).

The index of windows of lines is the method of rsync and of copy detectors ("winnowing", Schleimer and others, 2003)
with every window kept; a match counts only where the lines themselves are equal.
"""

import re
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from sys import getsizeof

from msgspec import Struct

from proxy_pkg.compressors import numbered
from proxy_pkg.compressors.json_wrapper import inside, line_breaks
from proxy_pkg.model import Producer
from proxy_pkg.planning.equal import SAME, SAME_ANEW, may_be_equal, reminders_start
from proxy_pkg.planning.labels import Form, Labelled
from proxy_pkg.planning.origin import ANY_FILE, HOME

WINDOW_LINES = 3
RUN_CHARS_MIN = 120
RUN_CHARS_AGAIN_MIN = 70
"""The text that a reference must replace, and one to a result that was named before in the same text."""
_TEXT_LINES_MAX = 20_000
_LINE_BYTES, _NUMBERED_LINE_BYTES, _WINDOW_BYTES = 240, 360, 200  # what they take in memory, as measured
_WINDOWS_MAX = 16_000  # once so many are known, nothing points at later texts: the index stays below 10 MiB
_SUBJECT_CHARS_MAX = 40
_CALL_CHARS_MAX = 8
_CALL_CHARS = 6
_PATHS = ("file_path", "filePath", "path", "absolute_path", "notebook_path")
_SUBJECTS = ("command", "cmd", "pattern", "url")

_MARKS = re.compile(
    rf"\[lines [0-9]+-[0-9]+: (?:read anew, )?as |{re.escape(SAME)}|{re.escape(SAME_ANEW)}"
    rf"|^{re.escape(numbered.HEADER)}",
    re.MULTILINE,
)
_MARK_STARTS = ("[lines ", SAME, SAME_ANEW, numbered.HEADER)
_NAMEABLE = re.compile(r"[\w.:|-]{1,200}\Z", re.ASCII)


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
    reference can stand for: it could not say all that stands before them, or they are reminders that a client added.
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
        output = text if self.inside is None else self.inside.output
        self.raw = output.split("\n")
        labelled = Labelled(self.raw, form)
        self.labels, self.bodies, self.has_clear_labels = labelled.labels, labelled.bodies, labelled.is_clear
        self.fixed = labelled.fixed
        if (cut := reminders_start(output)) < len(output):
            first = output.count("\n", 0, cut) + output.startswith("\n", cut)
            self.fixed = {*self.fixed, *range(first, len(self.raw))}
        copies, line_bytes = (1, _LINE_BYTES) if form is Form.COUNTED else (2, _NUMBERED_LINE_BYTES)
        self.size = copies * getsizeof(text) + line_bytes * len(self.raw)
        """What it takes in memory."""
        last = len(self.bodies) - WINDOW_LINES + 1
        self.windows = [hash(tuple(self.bodies[at : at + WINDOW_LINES])) for at in range(last)]
        # Where each window stands first: of two equal keys, the later one given wins.
        self.first = dict(zip(reversed(self.windows), range(last - 1, -1, -1), strict=True)) if last > 0 else {}


class Seen:
    """The texts of a request so far, and in which of them each window of lines stands first.

    Sets and dictionaries do the work on whole texts at once, since a conversation has ten thousand lines.
    """

    def __init__(self) -> None:
        self._texts: list[Lines | None] = []
        self._sources: dict[str, dict[int, int]] = {HOME: {}}
        """By where the words come from: the text in which each window stands first."""
        self._origins: list[str] = []
        self._equal: dict[tuple[str, bytes], int] = {}
        """By where it comes from, and a digest of the output: the text that has it first."""
        self._outputs: list[tuple[str, bytes] | None] = []
        self._windows = 0
        self._added: list[set[int]] = []
        self._hidden: list[Sequence[Run]] = []
        self._lines_bytes = 0

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def size_bytes(self) -> int:
        """About what it keeps in memory."""
        return self._lines_bytes + _WINDOW_BYTES * self._windows + 500 * len(self._texts)

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
            source, added = self._sources[self._origins.pop()], self._added.pop()
            for window in added:
                del source[window]
            self._windows -= len(added)
            if (output := self._outputs.pop()) is not None:
                del self._equal[output]

    def add(
        self, lines: Lines | None, hidden: Sequence[Run] = (), origin: str | None = HOME, output: bytes = b""
    ) -> None:
        """Take in the next text. None: it is not sent line by line as it is, so nothing may point at its lines.

        `hidden` are the runs in it that are references themselves, `origin` says where its words come from, and
        `output` is the digest of its output, empty where nothing may point at the whole.
        """
        added: set[int] = set()
        source = self._sources.setdefault(origin or HOME, {})
        if lines is not None and origin is not None and self._windows < _WINDOWS_MAX:
            # Not by the difference of two sets of keys, which goes through all that is known.
            added = {window for window in lines.first if window not in source}
            if hidden:
                added -= _touched(lines, hidden)
            source.update(dict.fromkeys(added, len(self._texts)))
        key = (origin, output) if output and origin is not None else None
        if key is not None and self._equal.setdefault(key, len(self._texts)) != len(self._texts):
            key = None
        # Only a text with a window of its own is ever pointed at.
        self._texts.append(lines if added else None)
        self._lines_bytes += lines.size if lines is not None and added else 0
        self._hidden.append(hidden)
        self._added.append(added)
        self._origins.append(origin or HOME)
        self._outputs.append(key)
        self._windows += len(added)

    def equal(self, output: bytes, origin: str | None = HOME) -> int | None:
        """The first text that has the same output, among those that a text from `origin` may point at."""
        found = self._equal.get((HOME, output))
        return self._equal.get((origin, output)) if found is None and origin else found

    def find(self, lines: Lines, origin: str | None = HOME) -> list[Run]:
        """The runs of the next text that stand in earlier ones, long enough to be worth a line of their own.

        It looks into texts of local tools, and into those that come from where this one does.
        """
        runs: list[Run] = []
        sources = [self._sources[each] for each in dict.fromkeys((HOME, origin or HOME)) if each in self._sources]
        if all(source.keys().isdisjoint(lines.first) for source in sources):
            return runs
        at, named = 0, -1
        while at < len(lines.windows):
            run = self._longest(lines, at, named, sources)
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

    def _longest(self, lines: Lines, at: int, named: int, sources: Sequence[Mapping[int, int]]) -> Run | None:
        """The run from line `at`: in the result `named` last, or where its window stands first, if that is longer."""
        window = lines.windows[at]
        source = next((found for each in sources if (found := each.get(window)) is not None), None)
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


def may_point(text: str) -> bool:
    """Whether a text may become a reference, in part or as a whole, by its size."""
    return may_have_runs(text) or may_be_equal(text)


def may_refer(text: str) -> bool:
    """Whether references may stand in a text at all: not in one that holds lines which look like ours."""
    return not any(start in text for start in _MARK_STARTS) or _MARKS.search(text) is None


def with_references(
    lines: Lines, runs: Sequence[Run], seen: Seen, names: Mapping[int, str], anew: Collection[int] = ()
) -> str:
    """The text with each run replaced by its reference. `names` are those of the texts they point at; `anew` are those
    of them that show a file as it was before a change.
    """
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
        look = "read anew, " if run.source in anew and run.source != named else ""
        parts.append(f"[lines {here}-{here + run.length - 1}: {look}as {where}]")
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
        self._changed: dict[str, int] = {}
        """By the name of a file: the last text that tells of a change to it."""
        self._ends: dict[str, str | None] = {}
        """The end of an id to the one call whose id ends so; None where there are several."""

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, call: str, index: int, changed: Collection[str] = ()) -> None:
        """Take in the next text: the id of its tool call, which of that result's texts it is, and the names of files
        that the call may have changed.
        """
        self._changed.update(dict.fromkeys(changed, len(self._numbers)))
        number = self._results.get(call, 0) + (index == 0)
        self._results[call] = number
        self._numbers.append(number)
        end = call[-_CALL_CHARS:]
        self._ends[end] = call if self._ends.get(end, call) == call else None

    def changed_since(self, source: int, files: Collection[str]) -> bool:
        """Whether one of `files` may have changed after text `source`."""
        return any(self._changed.get(name, -1) > source for name in (ANY_FILE, *files))

    def of(self, source: int, call: str, producer: Producer, index: int = 0) -> str:
        """What to call text `source`: the id of its tool call, which of that result's texts it is if not the first, the
        tool, what it was asked for. The end of an id is enough if no other ends so.
        """
        end = call[-_CALL_CHARS:]
        is_random = any(map(str.isdigit, call))  # else it is the name of a tool
        number = self._numbers[source]
        if is_random and len(call) > _CALL_CHARS_MAX and self._ends[end] == call:
            call = "…" + end
        if number > 1:
            call = f"{call}#{number}"
        if index:
            call = f"{call} text {index + 1}"
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
