"""Which rows of a table to keep where not all can stay: by what each is worth to a reader, within a budget.

Rows that stay whatever the budget: the first and the last ones, those that have what was asked for, and those that
tell of a failure. Then the most unusual ones, by rarity.py, and for the rest of the budget examples spread evenly.
All of it is a function of the cells alone.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from math import isqrt
from typing import NamedTuple

from proxy_pkg.compressors import asked, gaps
from proxy_pkg.compressors.rarity import merged, ranks
from proxy_pkg.compressors.twins import twins

ROWS_MIN = 12
"""Of fewer rows all stay."""
HEAD_ROWS = 4
TAIL_ROWS = 2
RUN_ROWS = 3
"""Examples come in runs of so many rows: neighbours are best understood together, and a mark costs as much as a row."""
MARK_CHARS = 30
"""What a mark costs, in characters of cells."""
FREE_CHARS = 3600
"""Tables of so many characters stay whole."""
EASY_CHARS = 393_216
KEPT_PERCENT = 33
"""So much of the characters of cells stays, up to EASY_CHARS of them; of larger tables a shrinking share."""
UNUSUAL_PERCENT = 85
"""So much of the budget goes to unusual rows, if there are as many; the rest to examples."""
UNUSUAL_MIN = 4
"""So many unusual rows stay whatever the budget."""
TWINS_SHARE = 4
"""Of the rows that have a twin, so many count as unusual at most: one in so many of all."""
RANK_SHARE = 8
"""A rank above one in so many rows is none, but in small tables."""
ALARMS_SHARE = 4
"""Where more than one row in so many tells of failures, they are the ordinary case."""
WORD_CHARS_MAX = 80
"""Longer cells are prose, in which such words mean less."""

_ALARM = re.compile(
    r"(?<![A-Za-z0-9])(?i:err(?:or)?s?|fail(?:ed|ure|ures|ing)?|fatal|critical|severe|panic(?:ked)?|emerg(?:ency)?|alert"
    r"|exception|crash(?:ed|loopbackoff)?|denied|refused|rejected|time[d_ -]?out|abort(?:ed)?|killed|oomkilled"
    r"|unhealthy|unreachable|invalid|broken|corrupt(?:ed)?|degraded|evicted|imagepullbackoff|errimagepull)(?![A-Za-z0-9])"
    r"|(?<=[a-z])(?:Error|Exception|Failure)\b"
)
_STEMS = (
    "err", "fail", "fatal", "critical", "severe", "panic", "emerg", "alert", "exception", "crash", "denied", "refused",
    "rejected", "time", "abort", "killed", "oomkilled", "unhealthy", "unreachable", "invalid", "broken", "corrupt",
    "degraded", "evicted", "imagepullbackoff",
)  # fmt: skip
"""What _ALARM matches begins with one of these, in large letters or small."""
_STATUS_NAME = re.compile(
    r"(?i)(?:^|[^a-z])(?:http_?)?(?:status|state|level|severity|result|outcome|conclusion|alert|health|code|ready)"
    r"(?:_?(?:code|name|text))?$|(?<=[a-z])(?:Status|State|Level|Severity|Result|Code)(?:Code)?$"
)
_EXIT_NAME = re.compile(r"(?i)(?:exit|return)[ _-]?(?:code|status|value)$|^rc$|errno$")
_HTTP_FAILURE = re.compile(r"[45][0-9]{2}")


class Column(NamedTuple):
    """The cells of a column as text, one for each row, empty where a row has none."""

    name: str
    cells: Sequence[str]


def choose(
    columns: Sequence[Column],
    wanted: Sequence[str],
    free_chars: int = FREE_CHARS,
    percent: int = KEPT_PERCENT,
    texts: Callable[[], Sequence[str]] | None = None,
) -> bytearray | None:
    """One byte for each row, 1 if it stays; None if all do.

    Tables of up to `free_chars` characters stay whole, of others `percent` of the characters, less where they are
    very long. What was asked for is looked for in `texts`, one for each row, where the cells are not all of it.
    """
    count = len(columns[0].cells) if columns else 0
    if count < ROWS_MIN:
        return None
    telling = [column for column in columns if column.cells.count(column.cells[0]) < count]
    if not telling:
        return None
    costs = [sum(sizes) + len(telling) for sizes in zip(*(map(len, column.cells) for column in telling), strict=True)]
    left = budget(sum(costs), free_chars, percent)
    if left is None:
        return None
    choice = Choice(costs, left)
    choice.keep([*range(HEAD_ROWS), *range(count - TAIL_ROWS, count)])
    choice.keep(_asked_for(texts or partial(_texts, columns), wanted))
    most = max(count // RANK_SHARE, isqrt(count))
    alarms = [_alarms(column) for column in telling]
    reports = [_reports(column, rows) for column, rows in zip(telling, alarms, strict=True)]
    for rows in reports:
        choice.keep(rows)
    unusual = _unusual(telling, [set(rows).difference(kept) for rows, kept in zip(alarms, reports, strict=True)], most)
    choice.keep(unusual[:UNUSUAL_MIN])
    choice.fill(unusual, left * (100 - UNUSUAL_PERCENT) // 100)
    choice.spread()
    return choice.closed()


def _unusual(columns: Sequence[Column], alarms: Sequence[Collection[int]], most: int) -> list[int]:
    """The unusual rows, those first that are worth more. `alarms` are rows, by column, that may tell of failures."""
    best = merged(
        [ranks(column.cells, most) for column in columns] + [dict.fromkeys(rows, len(rows)) for rows in alarms]
    )
    told = [row for rows in alarms if len(rows) <= most for row in sorted(rows)]
    twin = list(twins([column.cells for column in columns]))[: len(columns[0].cells) // TWINS_SHARE]
    first = [*twin, *told]
    return list(dict.fromkeys([*first, *sorted(best, key=lambda row: (best[row], row))]))


def budget(chars: int, free_chars: int = FREE_CHARS, percent: int = KEPT_PERCENT) -> int | None:
    """How many of the characters of a table's cells may stay; None for all of them."""
    if chars <= free_chars:
        return None
    # Beyond EASY_CHARS the budget grows with the square root, and has the same value there.
    easy = chars if chars <= EASY_CHARS else isqrt(chars * EASY_CHARS)
    return max(free_chars, easy * percent // 100)


class Choice:
    """Rows that stay, and what is left of the budget for more."""

    def __init__(self, costs: Sequence[int], left: int) -> None:
        self._costs = costs
        self._kept = bytearray(len(costs) + 2)  # a row that is none before the first, and one behind the last
        self._left = left

    def keep(self, rows: Iterable[int]) -> None:
        """Keep `rows` whatever is left."""
        for row in rows:
            if not self._kept[row + 1]:
                self._left -= self._cost(row)
                self._kept[row + 1] = 1

    def fill(self, rows: Iterable[int], least: int) -> None:
        """Keep the first of `rows` until only `least` is left; one that does not fit is passed over."""
        for row in rows:
            if self._left <= least:
                return
            if not self._kept[row + 1] and self._left - self._cost(row) >= least:
                self.keep((row,))

    def spread(self) -> None:
        """Keep runs of rows at even distances for what is left."""
        count = len(self._costs)
        run_cost = sum(self._costs) * RUN_ROWS // count + MARK_CHARS
        runs = min(self._left // run_cost, count // RUN_ROWS)
        for number in range(1, runs + 1):
            at = count * number // (runs + 1)
            self.fill(range(at, min(at + RUN_ROWS, count)), 0)

    def closed(self) -> bytearray | None:
        """The choice, with gaps that are no longer than their mark closed; None if nothing would go."""
        kept = self._kept[1:-1]
        for keeps, start, end in list(gaps.runs(kept)):
            if not keeps and sum(self._costs[start:end]) <= MARK_CHARS:
                kept[start:end] = b"\1" * (end - start)
        return None if all(kept) else kept

    def _cost(self, row: int) -> int:
        """A row between others opens a gap more, and one that fills a gap closes it."""
        beside = self._kept[row] + self._kept[row + 2]
        return self._costs[row] + (1 - beside) * MARK_CHARS


def tells_outcome(name: str) -> bool:
    """Whether a column of this name says how something went."""
    return bool(_EXIT_NAME.search(name) or _STATUS_NAME.search(name))


def _asked_for(texts: Callable[[], Sequence[str]], wanted: Sequence[str]) -> Iterable[int]:
    if not wanted:
        return ()
    rows = texts()
    starts = list(accumulate((len(row) + 1 for row in rows), initial=0))
    return sorted({bisect_right(starts, at) - 1 for at in asked.places("\n".join(rows), wanted)})


def _texts(columns: Sequence[Column]) -> list[str]:
    return list(map("\n".join, zip(*(column.cells for column in columns), strict=True)))


def _alarms(column: Column) -> list[int]:
    """The rows whose cell tells of a failure, by a word for it or by a number where the column has such."""
    if _EXIT_NAME.search(column.name):
        return [row for row, cell in enumerate(column.cells) if cell.strip(' "') not in ("", "0")]
    alarming = set(_alarming(column.cells))
    if _STATUS_NAME.search(column.name):
        alarming.update(row for row, cell in enumerate(column.cells) if _HTTP_FAILURE.fullmatch(cell.strip(' "')))
    return sorted(alarming)


def _alarming(cells: Sequence[str]) -> Iterator[int]:
    """The rows that have a word of failure."""
    text = "\n".join(cells)
    small = text.lower()
    starts: list[int] = []
    # A letter or two of the world grow when made small, and places would no longer fit.
    for place in _places(text, small if len(small) == len(text) else text):
        starts = starts or list(accumulate((len(cell) + 1 for cell in cells), initial=0))
        yield bisect_right(starts, place) - 1


def _places(text: str, small: str) -> Iterator[int]:
    for stem in _STEMS:
        at = small.find(stem)
        while at >= 0:
            if _ALARM.match(text, at):
                yield at
            at = small.find(stem, at + len(stem))


def _reports(column: Column, alarms: Sequence[int]) -> list[int]:
    """Those of `alarms` that are reports of a failure, not part of a name or of prose, nor the ordinary case."""
    cells = column.cells
    if not alarms or len(alarms) * ALARMS_SHARE > len(cells):
        return []
    is_report = tells_outcome(column.name) or len(set(cells)) * 2 <= len(cells)
    return [row for row in alarms if len(cells[row]) <= WORD_CHARS_MAX] if is_report else []
