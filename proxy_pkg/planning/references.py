"""Lines that stand earlier in the same request become a reference to them.

Agents read the same file again and again, whole or after a small edit. A run of lines that an earlier tool result
shows word for word is replaced by one line that says where it stands:

    [lines 12-80: as lines 10-78 of result toolu_01 (Read src/app.py)]

What a reference says depends on the request before it and nothing else. It points only at lines that are sent as
they are, never at another reference, and only at results of tools. Line numbers are those of the file where the
result is a numbered read, else they count the lines of the result from 1.

The index of four-line windows is the method of rsync and of copy detectors ("winnowing", Schleimer and others,
2003) with every window kept; a match counts only where the lines themselves are equal.
"""

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from proxy_pkg.model import Producer

WINDOW_LINES = 4
RUN_LINES_MIN = 6
RUN_CHARS_MIN = 240
_TEXT_LINES_MAX = 20_000
_WINDOWS_MAX = 16_000  # once so many are known, nothing points at later texts: the index stays below 10 MiB
_SUBJECT_CHARS_MAX = 80
_SUBJECTS = ("file_path", "filePath", "path", "absolute_path", "notebook_path", "command", "cmd", "pattern", "url")

MARK = "[lines "
_NUMBERED = re.compile(r"( *)(\d{1,9})([→\t])")


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

    A label is 0 where a line has no number although its text is a numbered read.
    """

    __slots__ = ("bodies", "first", "labels", "raw", "windows")

    def __init__(self, text: str, numbered: bool) -> None:
        self.raw = text.split("\n")
        if numbered:
            split = [_split_number(line) for line in self.raw]
            self.bodies = [body for _, body in split]
            self.labels: Sequence[int] = [label for label, _ in split]
        else:
            self.bodies = self.raw
            self.labels = range(1, len(self.raw) + 1)
        last = len(self.bodies) - WINDOW_LINES + 1
        self.windows = [hash(tuple(self.bodies[at : at + WINDOW_LINES])) for at in range(last)]
        # Where each window stands first: of two equal keys, the later one given wins.
        self.first = dict(zip(reversed(self.windows), range(last - 1, -1, -1), strict=True)) if last > 0 else {}


def _split_number(line: str) -> tuple[int, str]:
    """The number and the text of a line in one of the two usual forms; 0 and the whole line in any other."""
    found = _NUMBERED.match(line)
    if found is None or found[1] + found[2] != f"{int(found[2]):6}":
        return 0, line
    return int(found[2]), line[found.end() :]


class Seen:
    """The texts of a request so far, and in which of them each window of lines stands first.

    Sets and dictionaries do the work on whole texts at once, since a conversation has ten thousand lines.
    """

    def __init__(self) -> None:
        self._texts: list[Lines | None] = []
        self._source: dict[int, int] = {}
        self._added: list[set[int]] = []
        self._hidden: list[Sequence[Run]] = []

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def size_bytes(self) -> int:
        """About what it keeps in memory."""
        return 300 * len(self._source)

    def lines(self, source: int) -> Lines:
        """A text that a run points at."""
        lines = self._texts[source]
        assert lines is not None, "a run points at a text that is not shown"
        return lines

    def truncate(self, count: int) -> None:
        """Forget all but the first `count` texts."""
        while len(self._texts) > count:
            self._texts.pop()
            self._hidden.pop()
            for window in self._added.pop():
                del self._source[window]

    def add(self, lines: Lines | None, hidden: Sequence[Run] = ()) -> None:
        """Take in the next text. None: it is not sent line by line as it is, so nothing may point at it.

        `hidden` are the runs in it that are references themselves.
        """
        added: set[int] = set()
        if lines is not None and len(self._source) < _WINDOWS_MAX:
            added = lines.first.keys() - self._source.keys()
            if hidden:
                added -= _touched(lines, hidden)
            self._source.update(dict.fromkeys(added, len(self._texts)))
        self._texts.append(lines)
        self._hidden.append(hidden)
        self._added.append(added)

    def find(self, lines: Lines) -> list[Run]:
        """The runs of the next text that stand in earlier ones, long enough to be worth a line of their own."""
        runs: list[Run] = []
        if self._source.keys().isdisjoint(lines.first):
            return runs
        at = 0
        while at < len(lines.windows):
            window = lines.windows[at]
            source = self._source.get(window)
            run = None if source is None else self._run(lines, at, source, self.lines(source).first[window])
            if run is None:
                at += 1
            else:
                runs.append(run)
                at += run.length
        return runs

    def _run(self, lines: Lines, start: int, source: int, line: int) -> Run | None:
        there = self.lines(source)
        limit = min(len(lines.bodies) - start, len(there.bodies) - line)
        for hidden in self._hidden[source]:
            if hidden.start >= line:
                limit = min(limit, hidden.start - line)
        length = 0
        while (
            length < limit
            and lines.bodies[start + length] == there.bodies[line + length]
            and lines.labels[start + length] == lines.labels[start] + length
            and there.labels[line + length] == there.labels[line] + length
        ):
            length += 1
        if not lines.labels[start] or not there.labels[line] or length < RUN_LINES_MIN:
            return None
        if sum(map(len, lines.bodies[start : start + length])) < RUN_CHARS_MIN:
            return None
        return Run(start, length, source, line)


def _touched(lines: Lines, hidden: Sequence[Run]) -> set[int]:
    """Windows whose first place reaches into a run that is not shown."""
    touched: set[int] = set()
    for run in hidden:
        for at in range(max(0, run.start - WINDOW_LINES + 1), min(run.start + run.length, len(lines.windows))):
            if lines.first[lines.windows[at]] == at:
                touched.add(lines.windows[at])
    return touched


def may_refer(text: str) -> bool:
    """Whether references may stand in a text at all: not in one that holds lines which look like them."""
    return MARK not in text and text.count("\n") <= _TEXT_LINES_MAX


def with_references(lines: Lines, runs: Sequence[Run], seen: Seen, names: Mapping[int, str]) -> str:
    """The text with each run replaced by its reference. `names` are those of the texts they point at."""
    parts: list[str] = []
    at = 0
    for run in runs:
        there = seen.lines(run.source)
        here_from, there_from = lines.labels[run.start], there.labels[run.line]
        parts += lines.raw[at : run.start]
        parts.append(
            f"{MARK}{here_from}-{here_from + run.length - 1}: as lines {there_from}-{there_from + run.length - 1}"
            f" of result {names[run.source]}]"
        )
        at = run.start + run.length
    parts += lines.raw[at:]
    return "\n".join(parts)


def name_of(call: str, producer: Producer) -> str:
    """What a reference calls a result: the id of its tool call, the tool, and what it was asked for."""
    subject = next((value for key in _SUBJECTS if isinstance(value := producer.arguments.get(key), str)), "")
    subject = " ".join(subject.split())[:_SUBJECT_CHARS_MAX]
    told = " ".join(filter(None, (producer.name, subject)))
    return f"{call} ({told})" if told else call
