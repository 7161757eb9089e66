"""The server that runs here, as its shared counters and the kernel show it; nothing has to answer."""

import errno
import os
import signal
import time
from pathlib import Path

from msgspec import Struct

from proxy_pkg.stats.reading import read_lifetimes
from proxy_pkg.stats.sums import Worker

POLL_SECONDS = 0.1
_START_TICKS = 19
"""The field of /proc/PID/stat, counted behind the name, that says when a process began."""


class Running(Struct, frozen=True):
    """A master and its workers. While an upgrade in place lasts there are workers of two: then the newer counts."""

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
    told = read_lifetimes(state_dir)
    workers = told.now.workers
    masters = [(worker.age_seconds, master) for worker in workers if (master := _master_of(worker.pid))]
    if not masters:
        return None
    pid = min(masters)[1]
    return Running(
        pid,
        workers,
        age_seconds_of(pid),
        told.now.started_ns,
        told.now.worker_starts,
        told.runs,
        tuple(worker.pid for worker in workers if _status(worker.pid)[:1] in (["T"], ["t"])),
        tuple(sorted({master for _, master in masters} - {pid, parent_of(pid)})),
    )


def _master_of(worker: int) -> int:
    """The process that forked a worker, which runs the same program: 1 in a container, whose parent is elsewhere on a
    machine. 0 where the worker lost it, and belongs to whoever takes orphans in.
    """
    parent = parent_of(worker)
    program = _program_of(worker)
    return parent if program and program == _program_of(parent) else 0


def _program_of(pid: int) -> str:
    """What a process runs; empty if it is gone, or hidden."""
    try:
        return str(Path(f"/proc/{pid}/exe").readlink())
    except OSError:
        return ""


def parent_of(pid: int) -> int:
    """The parent of a process; 0 if it is gone or hidden."""
    fields = _status(pid)
    return int(fields[1]) if fields else 0


def age_seconds_of(pid: int) -> float:
    """For how long a process runs; 0 if it is gone or hidden. No clock that somebody could set takes part."""
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
