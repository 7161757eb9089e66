"""The server that runs here, as its shared counters and the kernel show it; nothing has to answer."""

import os
import signal
import time
from pathlib import Path

from msgspec import Struct

from proxy_pkg.stats.reading import read_server
from proxy_pkg.stats.sums import Worker

POLL_SECONDS = 0.1


class Running(Struct, frozen=True):
    """A master and its workers. While an upgrade in place lasts there are workers of two: then the newer counts."""

    master_pid: int
    workers: list[Worker]

    @property
    def serving(self) -> list[Worker]:
        """The workers that are not draining."""
        return [worker for worker in self.workers if not worker.draining]

    @property
    def in_flight(self) -> int:
        return sum(worker.in_flight for worker in self.workers)


def find(state_dir: str) -> Running | None:
    """The server that uses `state_dir`; None if none does. Raises OSError where its counters cannot be read."""
    workers = read_server(state_dir).workers
    masters = [(worker.age_seconds, master) for worker in workers if (master := parent_of(worker.pid)) > 1]
    return Running(min(masters)[1], workers) if masters else None


def parent_of(pid: int) -> int:
    """The parent of a process; 0 if it is gone or hidden."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(status.rpartition(")")[2].split()[1])  # the name before it may hold anything, brackets too


def hang_up(server: Running, state_dir: str, limit_seconds: float) -> Running | None:
    """Have the master read its configuration again. The server once only new workers serve, None after the limit."""
    before = {worker.pid for worker in server.workers}
    os.kill(server.master_pid, signal.SIGHUP)
    limit = time.monotonic() + limit_seconds
    while time.monotonic() < limit:
        now = find(state_dir)
        if now and now.serving and not before & {worker.pid for worker in now.serving}:
            return now
        time.sleep(POLL_SECONDS)
    return None
