"""One worker speaks for its server: it tells others, every few seconds, what the server counted in all its life.

Which worker that is a lock decides, that the kernel takes back however its holder ends. What is told are totals, never
differences: said twice it is true once, and what was not heard is in what is said next.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from proxy_pkg.stats import locks
from proxy_pkg.stats.counters import Counters
from proxy_pkg.stats.ledger_paths import PUBLISHER_LOCK
from proxy_pkg.stats.snapshot import Server, read_lifetimes
from proxy_pkg.telemetry.run_in_thread import run_in_thread

PERIOD_SECONDS: Final = 5.0

Publish = Callable[[Server], Awaitable[None]]
"""Tells somebody. It ends within a bound of its own and does not raise."""

logger = logging.getLogger("proxy_pkg")


class Publisher:
    """The part of one worker in this. Open it in the running loop; close it before what it tells things to."""

    def __init__(self, counters: Counters, publishers: Sequence[Publish], period_seconds: float) -> None:
        self._counters = counters
        self._publishers = publishers
        self._period_seconds = period_seconds
        self._lock_fd = -1
        self._logged_problem = ""
        self._task: asyncio.Task[None] | None = None
        if publishers and counters.shared:
            self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def speaks(self) -> bool:
        """True if this worker is the one."""
        return self._lock_fd >= 0

    async def close(self) -> None:
        """Say the last word, unless another worker is the one, and leave the lock to whoever goes on: so of workers
        that end together the last one tells it all, however short the server's life was.
        """
        if self._task is None:
            return
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        if self.speaks or self._becomes_speaker():
            await self._publish_problem()
            locks.release(self._lock_fd)
            os.close(self._lock_fd)
            self._lock_fd = -1

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._period_seconds)
            if self.speaks or self._becomes_speaker():
                await self._publish_problem()

    def _becomes_speaker(self) -> bool:
        path = Path(self._counters.state_dir) / PUBLISHER_LOCK
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._warn(f"{path}: {error.strerror}")
            return False
        if locks.hold(fd):
            self._lock_fd = fd
            return True
        os.close(fd)
        return False

    async def _publish_problem(self) -> None:
        try:
            server = await run_in_thread(read_lifetimes, self._counters.state_dir)
        except OSError as error:
            self._warn(f"the counters cannot be read: {error}")
            return
        if server.problem:
            self._warn(server.problem)
            return
        self._logged_problem = ""
        for publish in self._publishers:
            await publish(server)

    def _warn(self, problem: str) -> None:
        """Once for each problem, not each time."""
        if problem != self._logged_problem:
            self._logged_problem = problem
            logger.warning("totals are not published: %s", problem)
