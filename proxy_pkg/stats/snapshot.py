"""The counts of all workers, added up: what any of them answers. Takes no lock and never writes."""

from pathlib import Path

from msgspec import Struct

from proxy_pkg.stats.catalogue import CATALOGUE, METRICS, Metric
from proxy_pkg.stats.ledger_paths import slot_number, slot_paths, started_ns
from proxy_pkg.stats.lifetime import DamagedError, Lifetime, read_lifetime
from proxy_pkg.stats.series import metric_name, series_values
from proxy_pkg.stats.sums import Sums, Worker

Series = dict[tuple[str, ...], list[int]]
"""Cells by label values."""


class Reading(Struct):
    """Every count at one moment: `series` by metric name, sums over all slots."""

    started_ns: int
    workers: list[Worker]
    worker_starts: int
    series: dict[str, Series]

    def of(self, metric: Metric) -> Series:
        """The series of `metric`, sorted by label values."""
        return self.series.get(metric.name, {})


class Server(Struct):
    """What a server counted since it started, and with all of its earlier runs."""

    now: Reading
    lifetime: Reading
    """`started_ns` is when the first run began. Equal to `now` where there is a `problem`."""
    runs: int
    """Starts of the server, this one included."""
    identity: int
    """The name of the lifetime totals, 0 where they cannot be told: see `lifetime.Lifetime`."""
    problem: str = ""
    """Why nothing is known of earlier runs."""


def read_server(state_dir: str, own: memoryview | None = None) -> Reading:
    """Add up the ledgers in `state_dir` and, where a worker's counts are private, its `own`.

    Raises OSError if a ledger is there but cannot be opened: no answer is better than a total that fell.
    """
    return _reading(_summed(state_dir, own), started_ns(state_dir))


def read_lifetimes(state_dir: str, own: memoryview | None = None) -> Server:
    """The same, and with it the totals of all earlier runs. Raises OSError as `read_server` does."""
    sums, began_ns = _summed(state_dir, own), started_ns(state_dir)
    now = _reading(sums, began_ns)
    try:
        before = read_lifetime(Path(state_dir)) if state_dir else Lifetime()
    except (DamagedError, OSError) as error:
        return Server(now, now, 1, 0, f"the lifetime totals cannot be read: {error}")
    if before.folded_ns == began_ns:
        sums = Sums()  # a start was cut off: what lies in the slots is in the lifetime totals already
    sums.worker_starts += before.worker_starts
    for key, cells in before.cells.items():
        if any(cells):
            sums.add_cells(key, cells)
    return Server(now, _reading(sums, before.since_ns or began_ns), before.runs + 1, before.identity)


def _summed(state_dir: str, own: memoryview | None) -> Sums:
    sums = Sums()
    for path in slot_paths(Path(state_dir)) if state_dir else []:
        try:
            sums.add_file(path, slot_number(path))
        except FileNotFoundError:
            continue  # removed since we looked, by a server that starts anew
    if own is not None:
        sums.add_ledger(own, -1, held=True)
    return sums


def _reading(sums: Sums, began_ns: int) -> Reading:
    return Reading(began_ns, sums.workers, sums.worker_starts, _by_metric(sums.cells))


def _by_metric(cells: dict[str, list[int]]) -> dict[str, Series]:
    series: dict[str, Series] = {metric.name: {} for metric in CATALOGUE}
    for key in sorted(cells):
        metric = METRICS.get(metric_name(key))
        values = series_values(metric, key) if metric else None
        if metric and values is not None:
            series[metric.name][values] = cells[key]
    return series
