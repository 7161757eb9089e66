"""The totals of all runs before this one, in one ledger beside those of the workers.

A server that starts finds the ledgers of the run before it, however that ended, and folds them in here before it
removes them. The file is written whole, beside the old one, and takes its place by a rename. It says which run was
folded in last, so a start that is cut off between the rename and the removal folds nothing twice.
"""

import logging
import os
import secrets
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

from proxy_pkg.errors import ProxyError
from proxy_pkg.stats.catalogue import CATALOGUE, METRICS, OTHER
from proxy_pkg.stats.feeds import Family
from proxy_pkg.stats.ledger import (
    LEDGER_BYTES,
    MAGIC,
    NOWHERE,
    WORD_MAGIC,
    WORD_STARTS,
    Ledger,
)
from proxy_pkg.stats.ledger_paths import LIFETIME, LIFETIME_DAMAGED, LIFETIME_NEW
from proxy_pkg.stats.series import metric_name, series_key, series_values
from proxy_pkg.stats.sums import Sums

WORD_FORM: Final = 9
WORD_FOLDED_NS: Final = 10
WORD_SINCE_NS: Final = 11
WORD_RUNS: Final = 12
WORD_IDENTITY: Final = 13
WORD_CHECK: Final = 14
FORM: Final = int.from_bytes(b"lifetim1", "little")
CELL_MAX: Final = 2**62
"""Where a total stops: a damaged ledger may hold any number, and two of these still fit into one cell's range."""

logger = logging.getLogger("proxy_pkg")


class Lifetime(Struct):
    """What the file says. Without one, nothing was counted before this run."""

    cells: dict[str, list[int]] = {}
    """By the keys of a ledger."""
    worker_starts: int = 0
    folded_ns: int | None = None
    """When the run began that was folded in last, Unix time in nanoseconds; it names that run."""
    since_ns: int = 0
    """When the first run began, Unix time in nanoseconds; 0 if there was none."""
    runs: int = 0
    identity: int = 0
    """A random number that these totals keep for good, and others never have; 0 without a file."""


class DamagedError(ProxyError):
    """The file is not what was written."""


def read_lifetime(directory: Path) -> Lifetime:
    """What was counted before this run. Raises DamagedError, or OSError where the file cannot be opened."""
    try:
        fd = os.open(directory / LIFETIME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return Lifetime()
    with os.fdopen(fd, "rb") as file:
        return _parsed(bytearray(file.read(LEDGER_BYTES + 1)))


def fold(directory: Path, ledgers: Iterable[Path], run_ns: int) -> None:
    """Add the ledgers of the run that began at `run_ns` to the lifetime file, once however often this is called.

    A `run_ns` of 0 says that there was no run, and makes the file if there is none.

    A file that cannot be read is set aside, and the totals begin anew. Raises OSError if the sums cannot be written;
    then the file is as it was.
    """
    try:
        before = read_lifetime(directory)
    except DamagedError as error:
        logger.warning("the lifetime totals begin anew, %s is set aside as %s: %s", LIFETIME, LIFETIME_DAMAGED, error)
        (directory / LIFETIME).replace(directory / LIFETIME_DAMAGED)
        before = Lifetime()
    if before.folded_ns == run_ns:
        return
    sums = Sums()
    sums.worker_starts = before.worker_starts
    sums.cells = before.cells
    for path in ledgers:
        sums.add_file(path, -1)
    since_ns = before.since_ns or run_ns
    runs = before.runs + (run_ns > 0)
    identity = before.identity or 1 + secrets.randbelow(CELL_MAX)
    after = Lifetime(sums.cells, sums.worker_starts, run_ns, since_ns, runs, identity)
    _replace(directory, _content(after))


def _parsed(content: bytearray) -> Lifetime:
    if len(content) != LEDGER_BYTES:
        raise DamagedError(f"it has {len(content)} bytes, not {LEDGER_BYTES}")
    buffer = memoryview(content)
    words = buffer.cast("q")
    if words[WORD_MAGIC] != MAGIC or words[WORD_FORM] != FORM:
        raise DamagedError("it is of another form")
    check, words[WORD_CHECK] = words[WORD_CHECK], 0
    if check != zlib.crc32(content):
        raise DamagedError("its checksum is wrong")
    sums = Sums()
    sums.add_ledger(buffer, -1, held=False)
    folded_ns, since_ns, runs, identity = (words[n] for n in (WORD_FOLDED_NS, WORD_SINCE_NS, WORD_RUNS, WORD_IDENTITY))
    return Lifetime(sums.cells, sums.worker_starts, folded_ns, since_ns, runs, identity)


def _content(lifetime: Lifetime) -> bytearray:
    """The file that says it: a ledger, in which the labels of all runs share the bounds that one slot has."""
    content = bytearray(LEDGER_BYTES)
    ledger = Ledger(memoryview(content))
    growing = [metric for metric in CATALOGUE if metric.kind != "gauge" and not metric.derived]
    families = {metric.name: Family(metric, ledger) for metric in growing}
    for metric in growing:  # so that there is always room for what finds none of its own
        ledger.add(series_key(metric, (OTHER,) * len(metric.labels)), metric.cells)
    for key, cells in lifetime.cells.items():
        _add(ledger, families, key, cells)
    words = ledger.words
    words[WORD_STARTS] = _bounded(lifetime.worker_starts)
    words[WORD_FOLDED_NS], words[WORD_SINCE_NS] = lifetime.folded_ns or 0, lifetime.since_ns
    words[WORD_RUNS], words[WORD_IDENTITY], words[WORD_FORM] = lifetime.runs, lifetime.identity, FORM
    words[WORD_CHECK] = zlib.crc32(content)
    ledger.release()
    return content


def _add(ledger: Ledger, families: dict[str, Family], key: str, cells: list[int]) -> None:
    metric = METRICS.get(metric_name(key))
    if metric is None or metric.name not in families:
        return
    values = series_values(metric, key)
    if values is None:
        # Its labels were others: the total counts on, without the detail. Buckets have no meaning without bounds.
        if metric.kind == "histogram" or len(cells) != 1:
            return
        values = (OTHER,) * len(metric.labels)
    first = families[metric.name].find(values)
    if first == NOWHERE:
        return
    for place, amount in enumerate(cells[: metric.cells], first):
        ledger.cells[place] = _bounded(ledger.cells[place] + _bounded(amount))


def _bounded(amount: int) -> int:
    return min(max(amount, 0), CELL_MAX)


def _replace(directory: Path, content: bytearray) -> None:
    fresh = directory / LIFETIME_NEW
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(directory / LIFETIME)
