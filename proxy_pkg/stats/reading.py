"""The counts of all workers, added up: what any of them answers. Takes no lock and never writes."""

import mmap
import os
import time
from pathlib import Path

from msgspec import Struct

from proxy_pkg.stats import ledger as at
from proxy_pkg.stats import locks
from proxy_pkg.stats.catalogue import CATALOGUE, METRICS, Metric
from proxy_pkg.stats.directory import slot_number, slot_paths, started_ns
from proxy_pkg.stats.ledger import LEDGER_BYTES
from proxy_pkg.stats.series import metric_name, series_values


class Worker(Struct, frozen=True):
    """A living worker and what is its own."""

    slot: int
    pid: int
    age_seconds: float
    requests: int
    in_flight: int
    draining: bool = False


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


def read_server(state_dir: str, own: memoryview | None = None) -> Reading:
    """Add up the ledgers in `state_dir` and, where a worker's counts are private, its `own`.

    Raises OSError if a ledger is there but cannot be opened: no answer is better than a total that fell.
    """
    sums = _Sums()
    for path in slot_paths(Path(state_dir)) if state_dir else []:
        try:
            _read_file(path, sums)
        except FileNotFoundError:
            continue  # removed since we looked, by a server that starts anew
    if own is not None:
        _read_ledger(own, -1, True, sums)
    return Reading(started_ns(state_dir), sums.workers, sums.worker_starts, _by_metric(sums.cells))


class _Sums:
    """What has been added up so far; cells by the keys of the ledgers."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.worker_starts = 0
        self.cells: dict[str, list[int]] = {}


def _by_metric(cells: dict[str, list[int]]) -> dict[str, Series]:
    series: dict[str, Series] = {metric.name: {} for metric in CATALOGUE}
    for key in sorted(cells):
        metric = METRICS.get(metric_name(key))
        values = series_values(metric, key) if metric else None
        if metric and values is not None:
            series[metric.name][values] = cells[key]
    return series


def _read_file(path: Path, sums: _Sums) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(fd).st_size < LEDGER_BYTES:
            return  # being made: nothing was ever counted in it
        held = locks.is_held(fd)
        with mmap.mmap(fd, LEDGER_BYTES, access=mmap.ACCESS_READ) as mapping, memoryview(mapping) as buffer:
            _read_ledger(buffer, slot_number(path), held, sums)
    finally:
        os.close(fd)


def _read_ledger(buffer: memoryview, slot: int, held: bool, sums: _Sums) -> None:
    # Read through the mapping, by words: a load of 8 aligned bytes is whole, which read(2) does not promise.
    with buffer.cast("q") as words:
        if words[at.WORD_MAGIC] != at.MAGIC:
            return
        sums.worker_starts += words[at.WORD_STARTS]
        pid = words[at.WORD_PID]
        if held and _is_alive(pid):
            age_seconds = (time.monotonic_ns() - words[at.WORD_STARTED_NS]) / 1e9
            finished, in_flight = words[at.WORD_FINISHED], words[at.WORD_IN_FLIGHT]
            draining = bool(words[at.WORD_DRAINING])
            sums.workers.append(Worker(slot, pid, round(age_seconds, 3), finished, in_flight, draining))
        for entry in at.entries(buffer):
            start = at.HEADER_WORDS + entry.first
            found = words[start : start + entry.cells].tolist()
            known = sums.cells.get(entry.key)
            if known is not None:
                found = [mine + theirs for mine, theirs in zip(known, found, strict=False)]
            sums.cells[entry.key] = found


def _is_alive(pid: int) -> bool:
    """False while a worker has taken a dead one's slot but not signed in: it still names the dead."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
