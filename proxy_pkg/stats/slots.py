"""Which ledger belongs to which worker: the lowest that nobody holds, so a successor inherits."""

import mmap
import os
from contextlib import suppress
from pathlib import Path

from proxy_pkg.errors import ProxyError
from proxy_pkg.stats import locks
from proxy_pkg.stats.ledger import LEDGER_BYTES
from proxy_pkg.stats.ledger_paths import SLOTS, SUFFIX


class SlotError(ProxyError):
    """No ledger could be had: the directory is gone, full or refused, or every slot is taken."""


class Slot:
    """A ledger file mapped into this process, held until it ends. `number` is -1 in private memory."""

    def __init__(self, number: int, mapping: mmap.mmap, fd: int) -> None:
        self.number = number
        self.mapping = mapping
        self._fd = fd

    def close(self) -> None:
        """Let the next worker have the slot. The mapping goes with the last view of it."""
        if self._fd >= 0:
            locks.release(self._fd)  # closing would not do: the mapping holds a duplicate of the descriptor
            os.close(self._fd)
            self._fd = -1
        with suppress(BufferError):  # somebody is reading it at this moment
            self.mapping.close()


def slots_max(workers: int) -> int:
    """How many slots a server may use: two generations of workers under two masters, and some to spare."""
    return 4 * workers + 64


def open_slot(state_dir: str, limit: int) -> Slot:
    """Hold the lowest free slot below `limit`; other generations may be alive. Raises SlotError."""
    directory = Path(state_dir).absolute() / SLOTS
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(limit):
            slot = _try_slot(directory, number)
            if slot is not None:
                return slot
    except OSError as error:
        raise SlotError(f"no counters in {directory}: {error.strerror or error}") from error
    raise SlotError(f"no counters in {directory}: all {limit} slots are held by living workers")


def private_slot() -> Slot:
    """A ledger that no other process sees: the server goes on where the shared ones cannot be had."""
    return Slot(-1, mmap.mmap(-1, LEDGER_BYTES), -1)


def _try_slot(directory: Path, number: int) -> Slot | None:
    path = directory / f"{number}{SUFFIX}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if not locks.hold(fd) or not _is_at(path, fd):
            os.close(fd)
            return None
        # Reserved now, because a full disk met later, in a store to the mapping, would be a SIGBUS.
        os.posix_fallocate(fd, 0, LEDGER_BYTES)
        return Slot(number, mmap.mmap(fd, LEDGER_BYTES), fd)
    except OSError:
        os.close(fd)
        raise


def _is_at(path: Path, fd: int) -> bool:
    """False if the file was removed between our opening and locking it."""
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except FileNotFoundError:
        return False
