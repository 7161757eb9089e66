"""From a request record to the cells of a ledger: one look-up for all metrics, which makes counting cheap."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import cache
from operator import attrgetter
from typing import Any

from proxy_pkg.stats.catalogue import OTHER, Metric
from proxy_pkg.stats.ledger import NOWHERE, Ledger
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.stats.series import Vocabulary, series_key, series_values

Values = tuple[str, ...]

_KNOWN_MAX = 2048
"""Combinations of label values whose cells are remembered; when there are more, remembering starts again."""


class Family:
    """The series of one metric in a worker's ledger. `part` is the last label's value if it is split."""

    def __init__(self, metric: Metric, ledger: Ledger, part: str = "") -> None:
        self._metric = metric
        self._ledger = ledger
        self._part = (part,) if part else ()
        self._vocabularies = [Vocabulary(label) for label in metric.labels]
        for key in ledger.entries:
            for vocabulary, value in zip(self._vocabularies, series_values(metric, key) or (), strict=False):
                vocabulary.restore(value)

    def find(self, values: Values, *, is_accepted: bool = True) -> int:
        """The first cell of a series, made if need be; cells that nobody reads if a label does not apply.

        `is_accepted` as in `Vocabulary.admit`.
        """
        given = values + self._part
        if "" in given:
            return NOWHERE
        admitted = tuple(
            words.admit(value, is_accepted=is_accepted) for words, value in zip(self._vocabularies, given, strict=True)
        )
        entry = self._ledger.add(series_key(self._metric, admitted), self._metric.cells)
        if entry is None:  # the ledger is full: keep the total right and give up the detail
            overflow = (OTHER,) * len(given)
            entry = self._ledger.add(series_key(self._metric, overflow), self._metric.cells)
        return NOWHERE if entry is None else entry.first


class SpanFeed:
    """The metric that counts spans: a record brings several series of it."""

    def __init__(self, metric: Metric, ledger: Ledger) -> None:
        self._cells = ledger.cells
        self._family = Family(metric, ledger)
        self._known: dict[Values, int] = {}

    def count(self, record: RequestRecord) -> None:
        """Add the span counts of one record."""
        for kind, verdict, reason, count in record.spans:
            values = (record.protocol, kind, verdict, reason)
            cell = self._known.get(values)
            if cell is None:
                if len(self._known) >= _KNOWN_MAX:
                    self._known.clear()
                cell = self._known[values] = self._family.find(values)
            self._cells[cell] += count


class RecordFeed:
    """Every metric that takes one amount from a record: `ones` add 1, `sums` an amount, and
    `spreads` an amount and its place in a histogram.

    All labels of a record together are one look-up, which gives the cells of every metric at once.
    """

    def __init__(self, metrics: Iterable[Metric], ledger: Ledger) -> None:
        self._cells = ledger.cells
        self._entries = ledger.entries
        self._known: dict[Values, Places] = {}
        feeds = [_Feed(metric, ledger, part, field) for metric in metrics for part, field in _parts(metric)]
        self._spreads = [feed for feed in feeds if feed.bounds]
        self._sums = [feed for feed in feeds if feed.field and not feed.bounds]
        self._ones = [feed for feed in feeds if not feed.field]
        self._values_of = attrgetter(*sorted({field for feed in feeds for field in feed.reads}))
        self._sums_of = _getter([feed.field for feed in self._sums])
        self._spreads_of = _getter([feed.field for feed in self._spreads])

    def count(self, record: Any) -> None:
        """Add one record, which has the fields that the metrics name.

        Amounts of zero, and negative ones, which no counter can hold, are left out.
        """
        cells = self._cells
        ones, sums, spreads = self._known.get(self._values_of(record)) or self._find(record)
        for cell in ones:
            cells[cell] += 1
        for cell, amount in zip(sums, self._sums_of(record)):  # noqa: B905 - as long by construction; strict is slow
            if amount > 0:
                cells[cell] += amount
        for (buckets, total, bounds, divisor, half), amount in zip(spreads, self._spreads_of(record)):  # noqa: B905
            if amount > 0:
                cells[total] += (amount + half) // divisor
                cells[buckets + bisect_left(bounds, amount)] += 1

    def _find(self, record: Any) -> "Places":
        known_series = len(self._entries)
        ones = tuple(cell for cell in (feed.find(record) for feed in self._ones) if cell != NOWHERE)
        sums = tuple(feed.find(record) for feed in self._sums)
        spreads = tuple(feed.place(record) for feed in self._spreads)
        # What is new may be a value that was "other" so far, in combinations that are remembered as that.
        if len(self._entries) > known_series or len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        places = self._known[self._values_of(record)] = (ones, sums, spreads)
        return places


Place = tuple[int, int, list[int], int, int]
"""Of a histogram: the cells of its first bucket and of its sum, its bounds, the sum's divisor, half of that."""
Places = tuple[tuple[int, ...], tuple[int, ...], tuple[Place, ...]]
"""Cells for the ones and for the sums, and places for the histograms."""

_NS_PER_SECOND = 10**9
_NS_PER_MICROSECOND = 1000


class _Feed:
    """One metric, or one part of a split metric, and the record fields it reads."""

    def __init__(self, metric: Metric, ledger: Ledger, part: str, field: str) -> None:
        self._family = Family(metric, ledger, part)
        self.field = field
        self._labels = [label.source for label in (metric.labels[:-1] if part else metric.labels)]
        self._needed = [metric.when] if metric.when else []
        self.reads = self._labels + self._needed
        is_time = metric.unit == "seconds"
        self.bounds = _whole_bounds(metric.bounds, _NS_PER_SECOND if is_time else 1)
        # Times are summed in microseconds, because 2**63 nanoseconds are 106 days of a thousand open streams.
        self.divisor = _NS_PER_MICROSECOND if is_time else 1

    def find(self, record: Any) -> int:
        if not all(getattr(record, field) for field in self._needed):
            return NOWHERE
        values = tuple(getattr(record, field) for field in self._labels)
        return self._family.find(values, is_accepted=getattr(record, "is_accepted", True))

    def place(self, record: Any) -> Place:
        """Where a histogram has this record."""
        buckets = self.find(record)
        return buckets, buckets + len(self.bounds) + 1, self.bounds, self.divisor, self.divisor // 2


@cache  # one list for all that share it: what stands at many places of memory is slow to look through
def _whole_bounds(bounds: tuple[float, ...], factor: int) -> list[int]:
    return [round(bound * factor) for bound in bounds]


def _getter(fields: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Reads fields of a record, in order; always as a tuple."""
    if len(fields) > 1:
        return attrgetter(*fields)
    return lambda record: tuple(getattr(record, field) for field in fields)


def _parts(metric: Metric) -> tuple[tuple[str, str], ...]:
    return metric.split or (("", metric.amount),)
