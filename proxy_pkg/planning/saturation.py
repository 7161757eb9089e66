"""Whether the loop has more to do than its processor can: then optional work should give way.

Neither the connections nor how late the loop is tell it, for what is not yet accepted waits in the kernel. What tells
it is how much of the time the loop's thread runs, or would if another did not.
"""

import asyncio
import os
from contextlib import suppress
from time import monotonic_ns, thread_time_ns
from typing import Final

LOOK_SECONDS: Final = 0.05
FULL: Final = 0.9
"""The part of the time, averaged over some looks, from which on there is too much to do."""
NEWEST_SHARE: Final = 0.2
"""What the newest look counts in the average: half a second of nothing but work is too much."""
_RESTING: Final = 0.05
_SCHEDULED: Final = "/proc/thread-self/schedstat"
"""Nanoseconds on a processor and nanoseconds of waiting for one, of the thread that opens it (Linux)."""


class Saturation:
    """Looks while there is work, and not at all while there is none. Belongs to one loop and its thread."""

    def __init__(self) -> None:
        self._mean = 0.0
        self._began_ns = self._busy_ns = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_needed = False
        self._fd = -1
        with suppress(OSError):
            self._fd = os.open(_SCHEDULED, os.O_RDONLY | os.O_CLOEXEC)

    def work_came(self) -> None:
        """Look a little later how much of the time went into work."""
        self._is_needed = True
        if self._timer is None:
            self._start(asyncio.get_running_loop())

    @property
    def is_full(self) -> bool:
        return self._mean > FULL

    def saw(self, busy: float) -> None:
        """Take one look into the average: the part of the time since the last one in which there was work."""
        self._mean += NEWEST_SHARE * (min(busy, 1.0) - self._mean)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_needed = False
        self._began_ns, self._busy_ns = monotonic_ns(), self._busy_until_now_ns()
        self._timer = loop.call_later(LOOK_SECONDS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        passed_ns = max(1, monotonic_ns() - self._began_ns)
        self.saw((self._busy_until_now_ns() - self._busy_ns) / passed_ns)
        if self._is_needed or self._mean > _RESTING:
            self._start(loop)

    def _busy_until_now_ns(self) -> int:
        if self._fd >= 0:
            with suppress(OSError, ValueError):
                running, waiting, *_ = os.pread(self._fd, 100, 0).split()
                return int(running) + int(waiting)
        return thread_time_ns()
