"""The server that runs here, as its shared counters and the kernel show it; nothing has to answer."""

import errno
import os
import signal
import time
from pathlib import Path

from msgspec import Struct

from proxy_pkg.stats import mastership
from proxy_pkg.stats.snapshot import read_lifetimes
from proxy_pkg.stats.sums import Worker

POLL_SECONDS = 0.1
_START_TICKS = 19
"""The field of /proc/PID/stat, counted behind the name, that says when a process began."""


class Running(Struct, frozen=True):
    """A master and its workers; 0 as the master where none can be seen.

    While an upgrade in place lasts there are workers of two: then the newer counts.
    """

    master_pid: int
    workers: list[Worker]
    master_age_seconds: float = 0.0
    started_ns: int = 0
    """When its totals began, Unix time: an upgrade in place goes on with those that there are."""
    worker_starts: int = 0
    """How many workers have been started since then, replacements included."""
    runs: int = 1
    """Starts of a server with this state directory, this one included, as far as that was kept."""
    stopped: tuple[int, ...] = ()
    """Workers that the kernel does not run, as after SIGSTOP: their master replaces them when their time is up."""
    other_masters: tuple[int, ...] = ()
    """Masters of other servers that were given the same state directory."""
    is_in_other_namespace: bool = False
    """There is a master, and it cannot be seen from here: in another container, say. Its numbers mean nothing here."""

    @property
    def is_orphaned(self) -> bool:
        """Whether the master is gone, and its workers are about to end."""
        return not self.master_pid and not self.is_in_other_namespace

    @property
    def is_draining(self) -> bool:
        """Whether all workers finish what is open."""
        return bool(self.workers) and not self.serving

    @property
    def serving(self) -> list[Worker]:
        """The workers that are not draining."""
        return [worker for worker in self.workers if not worker.draining]

    @property
    def in_flight(self) -> int:
        return sum(worker.in_flight for worker in self.workers)


def find(state_dir: str) -> Running | None:
    """The server that uses `state_dir`; None if none does. Raises OSError where its counters cannot be read."""
    if os.path.lexists(state_dir) and not os.access(state_dir, os.R_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), state_dir)
    masters = mastership.masters(state_dir)
    lifetimes = read_lifetimes(state_dir)
    workers = lifetimes.now.workers
    seen = sorted((age_seconds_of(pid), pid) for pid in masters if pid)
    if not masters and not workers:
        return None
    age_seconds, pid = seen[0] if seen else (0.0, 0)
    others = {other for _, other in seen} - {pid, parent_of(pid) if pid else 0}
    return Running(
        pid,
        workers,
        age_seconds,
        lifetimes.now.started_ns,
        lifetimes.now.worker_starts,
        lifetimes.runs,
        tuple(worker.pid for worker in workers if pid and _stands_still(worker.pid, masters)),
        tuple(sorted(others)),
        is_in_other_namespace=bool(masters) and not seen,
    )


def _stands_still(worker: int, masters: list[int]) -> bool:
    """Whether the kernel does not run a worker of one of these masters."""
    return parent_of(worker) in masters and _status(worker)[:1] in (["T"], ["t"])


def parent_of(pid: int) -> int:
    """The parent of a process; 0 if it is gone or hidden."""
    fields = _status(pid)
    return int(fields[1]) if fields else 0


def age_seconds_of(pid: int) -> float:
    """How long a process has been running, by the boot clock, which nobody can set; 0 if it is gone or hidden."""
    fields = _status(pid)
    if not fields:
        return 0.0
    began_seconds = int(fields[_START_TICKS]) / os.sysconf("SC_CLK_TCK")
    return round(max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began_seconds), 1)


def _status(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name, which may hold anything, brackets too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def hang_up(server: Running, state_dir: str, limit_seconds: float) -> Running | None:
    """Have the master read its configuration again. The server once only new workers serve, None after the limit.

    Raises NoMasterError if the master is gone.
    """
    before = {worker.pid for worker in server.workers}
    mastership.signal_master(state_dir, server.master_pid, signal.SIGHUP)
    limit = time.monotonic() + limit_seconds
    while time.monotonic() < limit:
        now = find(state_dir)
        if now and now.serving and not before & {worker.pid for worker in now.serving}:
            return now
        time.sleep(POLL_SECONDS)
    return None
