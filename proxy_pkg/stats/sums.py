"""Ledgers added up as they lie there: cells by key, and who is alive."""

import mmap
import os
import time
from pathlib import Path

from msgspec import Struct

from proxy_pkg.stats import ledger as at
from proxy_pkg.stats import locks
from proxy_pkg.stats.ledger import LEDGER_BYTES


class Worker(Struct, frozen=True):
    """A living worker and what is its own."""

    slot: int
    pid: int
    age_seconds: float
    requests: int
    in_flight: int
    draining: bool = False
    scope: str = "none"
    """Whom it shares limits with, one of `ledger.SCOPES`."""


class Sums:
    """What has been added up so far; cells by the keys of the ledgers."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.worker_starts = 0
        self.cells: dict[str, list[int]] = {}

    def add_file(self, path: Path, slot: int) -> None:
        """Add the ledger of a slot. Raises OSError where it cannot be opened."""
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_size < LEDGER_BYTES:
                return  # being made: nothing was ever counted in it
            held = locks.is_held(fd)
            with mmap.mmap(fd, LEDGER_BYTES, access=mmap.ACCESS_READ) as mapping, memoryview(mapping) as buffer:
                self.add_ledger(buffer, slot, held=held)
        finally:
            os.close(fd)

    def add_ledger(self, buffer: memoryview, slot: int, *, held: bool) -> None:
        """Add a ledger; `held` if a living worker counts in it."""
        # Read through the mapping, by words: a load of 8 aligned bytes is whole, which read(2) does not promise.
        with buffer.cast("q") as words:
            if words[at.WORD_MAGIC] != at.MAGIC:
                return
            self.worker_starts += words[at.WORD_STARTS]
            if held and _is_alive(words[at.WORD_PID]):
                self.workers.append(_worker(words, slot))
            for entry in at.entries(buffer):
                start = at.HEADER_WORDS + entry.first
                self.add_cells(entry.key, words[start : start + entry.cells].tolist())

    def add_cells(self, key: str, cells: list[int]) -> None:
        """Add the cells of one series."""
        known = self.cells.get(key)
        self.cells[key] = [a + b for a, b in zip(known, cells, strict=False)] if known is not None else cells


def _worker(words: at.Words, slot: int) -> Worker:
    age_seconds = (time.monotonic_ns() - words[at.WORD_STARTED_NS]) / 1e9
    finished, in_flight = words[at.WORD_FINISHED], words[at.WORD_IN_FLIGHT]
    draining = bool(words[at.WORD_DRAINING])
    scope = at.SCOPES[words[at.WORD_SCOPE] % len(at.SCOPES)]
    return Worker(slot, words[at.WORD_PID], round(age_seconds, 3), finished, in_flight, draining, scope)


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
