"""How loaded each worker of one master is: a small table in memory that all of them share.

Made by the master before its first fork. A seat is three aligned words of 8 bytes (pid, load, time of the last sign of
life), each written by the worker that sits there and read by all, so nothing needs a lock. What it says is advice:
a wrong number costs a few milliseconds, never a request.
"""

import mmap
from collections.abc import Iterable
from time import monotonic_ns
from typing import Final

SEATS: Final = 1024
_WORDS: Final = 3
_USED: Final = 0
"""The word before the seats: how many of them were ever taken. Workers forked earlier must see later ones."""
_PID, _LOAD, _SEEN_NS = range(_WORDS)
FRESH_NS: Final = 3_000_000_000
"""A worker that gave no sign of life for so long is not waited for."""

Sign = tuple[int, int, int]
"""Load, when that was said (monotonic, ns), and the seat."""


class Seats:
    """The table."""

    def __init__(self) -> None:
        self._table = memoryview(mmap.mmap(-1, (SEATS * _WORDS + 1) * 8)).cast("q")
        self._words = self._table[1:]

    def free(self, taken: Iterable[int]) -> int:
        """The lowest seat that is not among `taken`, cleared; -1 if there is none. Called by the master."""
        occupied = set(taken)
        seat = next((seat for seat in range(SEATS) if seat not in occupied), -1)
        if seat >= 0:
            self._words[seat * _WORDS + _PID] = 0
        self._table[_USED] = max(self._table[_USED], seat + 1)
        return seat

    def publish(self, seat: int, pid: int, load: int) -> None:
        """Write down the load of the worker `pid` that has this seat; any unit, as long as all use the same."""
        at = seat * _WORDS
        self._words[at + _LOAD] = load
        self._words[at + _SEEN_NS] = monotonic_ns()
        self._words[at + _PID] = pid

    def leave(self, seat: int) -> None:
        """The worker takes nothing more, so nobody should wait for it."""
        self._words[seat * _WORDS + _PID] = 0

    def others(self, seat: int) -> list[Sign]:
        """The other workers that serve, each with what it last said."""
        words = self._words
        oldest = monotonic_ns() - FRESH_NS
        return [
            (words[at + _LOAD], words[at + _SEEN_NS], at // _WORDS)
            for at in range(0, self._table[_USED] * _WORDS, _WORDS)
            if at != seat * _WORDS and words[at + _PID] and words[at + _SEEN_NS] > oldest
        ]
