"""How long one text may take to decide, and what happens to work that takes longer.

A compressor is a pure function of a text, so its work can be broken off anywhere. On the loop a timer signal does it,
which reaches loops and regular expressions alike. On a thread an exception is thrown into it, which reaches loops only:
a thread that it does not reach is left behind.
"""

import ctypes
import signal
import threading
from time import monotonic_ns
from types import FrameType
from typing import Final, Protocol

from proxy_pkg.errors import ProxyError

NS: Final = 1_000_000_000
INLINE_SECONDS: Final = 0.02
"""What a text may take of the loop before it goes on a thread instead; usual ones take a fifth of that."""
ELSEWHERE_SECONDS: Final = 0.001
"""Pause before another look whether work that is to be broken off is in our own code again."""
RINGS_ELSEWHERE: Final = 10
"""So many looks in a row are too many: then it is broken off wherever it is."""
SWALLOWED_SECONDS: Final = 0.5
"""If work goes on for so long after it was broken off, that was swallowed."""
RINGS_MAX: Final = 10 * RINGS_ELSEWHERE
LATE_NS: Final = 12 * NS // 100
"""What a text that was never sent shorter may take after the deadline."""
FORMED_NS: Final = 2 * NS
"""What a text may take that has been sent shorter before: sending it whole would change what was sent. It took less
than the deadline and LATE_NS then; the rest is for a machine that is busier now."""
STEP_NS: Final = 10 * NS
"""What all other work may take at a stretch: reading a body, decoding it. Both are bounded by its length."""
NEVER_NS: Final = 1 << 62


class OverdueError(ProxyError):
    """Work that took too long and was given up."""


class BrokenOff(BaseException):
    """Thrown into work that takes too long. Like KeyboardInterrupt, nothing may take it for a fault of its own."""


class Journal(Protocol):
    """Where other processes see which text is being decided, should this one not survive it (store/journal.py)."""

    def begin(self, lane: int, key: int) -> None: ...
    def end(self, lane: int) -> None: ...


class NoJournal:
    """Nobody looks."""

    def begin(self, lane: int, key: int) -> None:
        """Nothing to write."""

    def end(self, lane: int) -> None:
        """Nothing to write."""


class Watch(Protocol):
    """Told of each text before and after it is decided. `key` is the text's in the marks, 0 if it has none."""

    def begin(self, key: int, *, has_form: bool) -> None: ...
    def end(self) -> None: ...


class NoWatch:
    """Lets everything take as long as it does."""

    def begin(self, key: int, *, has_form: bool) -> None:
        """Nothing to measure."""

    def end(self) -> None:
        """Nothing to measure."""


class ThreadWatch:
    """For work on a thread: written there, read by the loop.

    `limit_ns` is the monotonic time at which the work is overdue.
    """

    LANE: Final = 1

    def __init__(self, journal: Journal, deadline_ns: int = 0) -> None:
        self._journal = journal
        self._deadline_ns = deadline_ns
        self.key = 0
        self.is_deciding = False
        self.limit_ns = monotonic_ns() + STEP_NS

    def begin(self, key: int, *, has_form: bool) -> None:
        self.key = key
        self._journal.begin(self.LANE, key)
        now_ns = monotonic_ns()
        self.limit_ns = now_ns + FORMED_NS if has_form else max(now_ns, self._deadline_ns) + LATE_NS
        self.is_deciding = True

    def end(self) -> None:
        self.is_deciding = False
        self.limit_ns = monotonic_ns() + STEP_NS
        self._journal.end(self.LANE)


class Alarm:
    """For work on the loop: a timer signal that throws BrokenOff. A process has one such timer, and so one of these.

    Where signals cannot be had (another thread than the main one, another user of SIGALRM), nothing is measured.
    """

    LANE: Final = 0

    def __init__(self) -> None:
        self._armed = False
        self._usable = False
        self._rings = 0
        self._journal: Journal = NoJournal()

    def attach(self, journal: Journal) -> None:
        """Take the signal, if it is to be had."""
        self._journal = journal
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, self._ring):
            signal.signal(signal.SIGALRM, self._ring)
            self._usable = True

    def begin(self, key: int, *, has_form: bool) -> None:
        self._journal.begin(self.LANE, key)
        if self._usable:
            self._armed = True
            self._rings = 0
            signal.setitimer(signal.ITIMER_REAL, INLINE_SECONDS)

    def end(self) -> None:
        self._armed = False
        if self._usable:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self._journal.end(self.LANE)

    def _ring(self, _number: int, frame: FrameType | None) -> None:
        """Break off what is at hand, better in our own code than in a finalizer or a callback of the collector: what is
        raised there is swallowed. If it was, there is another try.
        """
        if not self._armed or self._rings >= RINGS_MAX:
            return
        self._rings += 1
        if not _is_ours(frame) and self._rings % RINGS_ELSEWHERE:
            signal.setitimer(signal.ITIMER_REAL, ELSEWHERE_SECONDS)
            return
        signal.setitimer(signal.ITIMER_REAL, SWALLOWED_SECONDS)
        raise BrokenOff


def _is_ours(frame: FrameType | None) -> bool:
    return frame is not None and str(frame.f_globals.get("__name__")).startswith(_OURS)


def break_off(thread: threading.Thread) -> None:
    """Throw BrokenOff into `thread`, which gets it as soon as it runs Python code."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(BrokenOff))


_OURS: Final = __name__.partition(".")[0]
NO_JOURNAL: Final = NoJournal()
NO_WATCH: Final = NoWatch()
ALARM: Final = Alarm()
