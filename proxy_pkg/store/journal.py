"""Which text each worker is deciding at this moment, so that one it does not survive is not tried again.

A file of fixed size, mapped into every worker; a worker has two rows (its loop and its thread) of two aligned words:
its pid, and the key of the text, 0 between texts. A worker that hangs in a compressor is killed, and the client sends
the same text again; whoever starts next finds the row of a process that is gone, and leaves that text alone.
"""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LANES: Final = 2
ROWS: Final = 4096
_WORDS: Final = 2
_PID_END: Final = 1 << 31
BYTES: Final = ROWS * _WORDS * 8
"""What the file takes."""


class Journal:
    """The rows of the worker in `slot`, or of no worker where the file cannot be had."""

    def __init__(self, state_dir: str = "", slot: int = -1) -> None:
        self._first = slot * LANES if 0 <= slot < ROWS // LANES else 0
        self._rows = memoryview(_mapped(state_dir) if 0 <= slot < ROWS // LANES else _private()).cast("Q")

    def unfinished(self) -> Iterator[int]:
        """The keys that processes now gone had begun, each told once."""
        for at in range(0, len(self._rows), _WORDS):
            pid, key = self._rows[at], self._rows[at + 1]
            if key and not _lives(pid):
                self._rows[at + 1] = 0
                yield key

    def sit(self) -> None:
        """Take this worker's rows, once what their last holder left unfinished is known."""
        for lane in range(LANES):
            at = (self._first + lane) * _WORDS
            self._rows[at + 1] = 0
            self._rows[at] = os.getpid()

    def begin(self, lane: int, key: int) -> None:
        self._rows[(self._first + lane) * _WORDS + 1] = key

    def end(self, lane: int) -> None:
        self._rows[(self._first + lane) * _WORDS + 1] = 0


def _lives(pid: int) -> bool:
    if not 0 < pid < _PID_END:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def _private() -> mmap.mmap:
    return mmap.mmap(-1, BYTES)


def _mapped(state_dir: str) -> mmap.mmap:
    if not state_dir:
        return _private()
    try:
        fd = os.open(Path(state_dir) / "deciding", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return _private()
    try:
        # Reserved now, because a full disk met later, in a store to the mapping, would be a SIGBUS.
        os.posix_fallocate(fd, 0, BYTES)
        return mmap.mmap(fd, BYTES)
    except OSError:
        return _private()
    finally:
        os.close(fd)
