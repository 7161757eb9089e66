"""A thread beside the loop that does one thing after another, and is replaced when it does not come back.

All that is kept here belongs to the loop; the thread gets one piece of work at a time and gives back what came of it.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from time import monotonic_ns
from typing import Any, Final

from proxy_pkg.planning.watch import NO_JOURNAL, BrokenOff, OverdueError, ThreadWatch, break_off

LOOK_SECONDS: Final = 0.02
"""How often the loop looks whether the work at hand is overdue."""

logger = logging.getLogger("proxy_pkg")


class Job:
    """A piece of work, and who waits for it. `chars` says how much it is."""

    def __init__(self, work: Callable[[], Any], chars: int, watch: ThreadWatch) -> None:
        self.work = work
        self.chars = chars
        self.watch = watch
        self.done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(self, result: Any, error: BaseException | None) -> None:
        """Tell whoever waits; a job that was given up or cancelled has nobody any more."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(result)
        else:
            self.done.set_exception(error)


class Desk:
    """One thread's work."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: deque[Job] = deque()
        self._at_hand: Job | None = None
        self._thread: threading.Thread | None = None
        self._inbox: SimpleQueue[Job | None] = SimpleQueue()
        self._left_behind: list[threading.Thread] = []
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self.given_up = 0
        """How often work was given up."""

    @property
    def chars(self) -> int:
        """How much work is not done yet."""
        return sum(job.chars for job in self._waiting) + (self._at_hand.chars if self._at_hand else 0)

    @property
    def jobs(self) -> int:
        """How many pieces of work are not done yet."""
        return len(self._waiting) + (self._at_hand is not None)

    @property
    def stuck(self) -> int:
        """Threads that were left behind and have not ended."""
        self._left_behind = [thread for thread in self._left_behind if thread.is_alive()]
        return len(self._left_behind)

    def take(self, work: Callable[[], Any], chars: int = 0, watch: ThreadWatch | None = None) -> Job:
        """Put `work` at the end of the row. Its `done` gets the result, or OverdueError if it had to be given up.

        Where no thread can be had, or none any more, it is done here and now: a body that goes out as it came would not
        be how the turn before it began.
        """
        job = Job(work, chars, watch or ThreadWatch(NO_JOURNAL))
        if self._closed or (self._thread is None and not self._hire()):
            self._finished(job, *_attempt(work))
            return job
        self._waiting.append(job)
        self._next()
        return job

    def withdraw(self, job: Job) -> bool:
        """Take `job` out of the row again; False if it was begun, and stays."""
        if job not in self._waiting:
            return False
        self._waiting.remove(job)
        return True

    def close(self) -> None:
        """Let the thread end after what it is doing; nothing waits for it."""
        for job in self._waiting:
            job.done.cancel()
        self._waiting.clear()
        self._inbox.put(None)
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _hire(self) -> bool:
        inbox: SimpleQueue[Job | None] = SimpleQueue()
        thread = threading.Thread(target=self._serve, args=(inbox,), name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            logger.error("no thread can be had: %s", error)
            return False
        self._thread, self._inbox = thread, inbox
        return True

    def _next(self) -> None:
        while self._at_hand is None and self._waiting:
            job = self._waiting.popleft()
            if job.done.done():
                continue
            self._at_hand = job
            job.watch.end()  # its time begins now
            self._inbox.put(job)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _finished(self, job: Job, result: Any, error: BaseException | None) -> None:
        if job is self._at_hand:
            self._at_hand = None
            self._next()
        job.settle(result, error)

    def _look(self) -> None:
        self._timer = None
        if self._at_hand is None:
            return
        if monotonic_ns() > self._at_hand.watch.limit_ns:
            self._give_up(self._at_hand)
        if self._at_hand is not None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _give_up(self, job: Job) -> None:
        assert self._thread is not None
        self.given_up += 1
        logger.error("work on the thread %s does not come back and is given up (%d so far)", self._name, self.given_up)
        if job.watch.is_deciding:
            break_off(self._thread)
        self._inbox.put(None)
        self._left_behind.append(self._thread)
        self._thread = self._at_hand = None
        job.settle(None, OverdueError("the work did not come back"))
        if not self._hire():
            for waiting in self._waiting:
                waiting.settle(*_attempt(waiting.work))
            self._waiting.clear()
        self._next()

    def _serve(self, inbox: "SimpleQueue[Job | None]") -> None:
        """What the thread does. BrokenOff may come a moment late, and ends it wherever it is."""
        try:
            while (job := inbox.get()) is not None:
                self._tell(job, *_attempt(job.work))
                del job
        except BrokenOff:
            return

    def _tell(self, job: Job, result: Any, error: BaseException | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            job.done.get_loop().call_soon_threadsafe(self._finished, job, result, error)


class Desks:
    """Some desks side by side. Their threads share the interpreter, so short work is not held up by long work."""

    def __init__(self, name: str, count: int) -> None:
        self._desks = [Desk(f"{name}-{number}") for number in range(count)]

    @property
    def chars(self) -> int:
        """How much work is not done yet."""
        return sum(desk.chars for desk in self._desks)

    @property
    def stuck(self) -> int:
        """Threads that were left behind and have not ended."""
        return sum(desk.stuck for desk in self._desks)

    def take(self, work: Callable[[], Any], chars: int = 0, watch: ThreadWatch | None = None) -> Job:
        """Put `work` at the end of the shortest row."""
        return min(self._desks, key=lambda desk: desk.jobs).take(work, chars, watch)

    def withdraw(self, job: Job) -> bool:
        """Take `job` out of its row again; False if it was begun, and stays."""
        return any(desk.withdraw(job) for desk in self._desks)

    def close(self) -> None:
        """Let the threads end after what they are doing; nothing waits for them."""
        for desk in self._desks:
            desk.close()


def _attempt(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What came of it: a result, or whatever was raised, which is for whoever waits."""
    try:
        return work(), None
    except BrokenOff:
        raise
    except BaseException as error:  # noqa: BLE001  # a fault ends nothing but its own work
        return None, error
