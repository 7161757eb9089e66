"""How loaded each worker of one master is: a small table in memory that all of them share.

The master makes it before its first fork. A slot is three aligned words of 8 bytes: pid, load, and the time of the last
heartbeat. Only the worker that owns the slot writes it and all workers read it, so no lock is needed. The numbers are
advice: a wrong one costs a few milliseconds, never a request.
"""

import mmap
from collections.abc import Iterable
from time import monotonic_ns
from typing import Final

SLOTS: Final = 1024
_WORDS: Final = 3
_USED: Final = 0
"""The word before the slots: how many of them were ever in use. A worker must see those of workers forked later."""
_PID, _LOAD, _SEEN_NS = range(_WORDS)
FRESH_NS: Final = 3_000_000_000
"""A worker that gave no sign of life for so long is not waited for."""

Reading = tuple[int, int, int]
"""A load, when it was published (monotonic, ns), and the slot."""


class LoadTable:
    """The table."""

    def __init__(self) -> None:
        self._table = memoryview(mmap.mmap(-1, (SLOTS * _WORDS + 1) * 8)).cast("q")
        self._words = self._table[1:]

    def free(self, taken: Iterable[int]) -> int:
        """The lowest slot that is not among `taken`, cleared; -1 if there is none. Called by the master."""
        occupied = set(taken)
        slot = next((slot for slot in range(SLOTS) if slot not in occupied), -1)
        if slot >= 0:
            self._words[slot * _WORDS + _PID] = 0
        self._table[_USED] = max(self._table[_USED], slot + 1)
        return slot

    def publish(self, slot: int, pid: int, load: int) -> None:
        """Write the load of the worker `pid`, which owns this slot. All workers use the same unit."""
        at = slot * _WORDS
        self._words[at + _LOAD] = load
        self._words[at + _SEEN_NS] = monotonic_ns()
        self._words[at + _PID] = pid

    def leave(self, slot: int) -> None:
        """The worker accepts nothing more, so no other worker should wait for it."""
        self._words[slot * _WORDS + _PID] = 0

    def others(self, slot: int) -> list[Reading]:
        """The last reading of every other worker that serves."""
        words = self._words
        oldest = monotonic_ns() - FRESH_NS
        return [
            (words[at + _LOAD], words[at + _SEEN_NS], at // _WORDS)
            for at in range(0, self._table[_USED] * _WORDS, _WORDS)
            if at != slot * _WORDS and words[at + _PID] and words[at + _SEEN_NS] > oldest
        ]
