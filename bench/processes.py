"""Server processes: started on a free port, measured as a tree, ended by their pid."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STOP_LIMIT_SECONDS = 10.0
POLL_SECONDS = 0.01
# Where it is installed (util-linux), a server ends with us even if we are killed.
SETPRIV = shutil.which("setpriv")
END_WITH_US = (SETPRIV, "--pdeathsig", "TERM", "--") if SETPRIV else ()
CLOCK_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class StartError(Exception):
    """A server ended or stayed silent before it was ready. The message holds the end of its log."""


def free_port() -> int:
    """A loopback port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def children(pid: int) -> list[int]:
    """The direct child processes of `pid`; none if it is gone."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in path.read_text().split()]
    return found


def tree(pid: int) -> list[int]:
    """`pid` and all its descendants, parents first."""
    return [pid, *(low for child in children(pid) for low in tree(child))]


def cpu_ns(pid: int) -> int:
    """Nanoseconds of CPU that all threads of `pid` used, ended threads included; 0 if it is gone.

    Reads the process CPU clock, whose id Linux makes from the pid: see clock_getcpuclockid(3). /proc/PID/stat
    has the same figure in ticks of 10 ms, too coarse for one request.
    """
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError:
        return 0


def reaped_cpu_ns(pid: int) -> int:
    """Nanoseconds of CPU of the children that `pid` has waited for, in steps of one tick."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[13]) + int(fields[14])) * 1_000_000_000 // CLOCK_TICKS_PER_SECOND


def tree_cpu_ns(pid: int) -> int:
    """Nanoseconds of CPU of the whole process tree so far, ended and reaped children included."""
    return sum(cpu_ns(member) + reaped_cpu_ns(member) for member in tree(pid))


def pss_bytes(pid: int) -> int:
    """Proportional set size: shared pages count by the share of `pid` in them."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def answers(port: int, path: str) -> bool:
    """Whether GET `path` is answered with 200 within one second."""
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as peer:
            peer.sendall(request)
            return peer.recv(64).startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))
    except OSError:
        return False


class Server:
    """One started server: its master process, port, log, and wall time from its start to ready."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log
        self.seconds_to_ready = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def master_pid(self) -> int:
        return self.process.pid

    @property
    def worker_pids(self) -> list[int]:
        return children(self.process.pid)

    def cpu_ns(self) -> int:
        return tree_cpu_ns(self.process.pid)

    def wait_ready(self, path: str, limit_seconds: float) -> None:
        """Return at the first 200 on `path`.

        Raises StartError with the end of the log if the process ends or the limit passes first.
        """
        started = time.monotonic()
        while not answers(self.port, path):
            if self.process.poll() is not None or time.monotonic() - started > limit_seconds:
                end = self.log.read_text(errors="replace")[-4000:]
                raise StartError(f"not ready on {path} (exit status {self.process.poll()}):\n{end}")
            time.sleep(POLL_SECONDS)
        self.seconds_to_ready = time.monotonic() - started

    def stop(self) -> int:
        """TERM, then KILL after the limit, descendants included. Returns the exit status; may be repeated."""
        family = tree(self.process.pid)
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_LIMIT_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for pid in family[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return self.process.wait()


@contextlib.contextmanager
def started(
    arguments: Sequence[str],
    port: int,
    log: Path,
    ready_path: str,
    environment: Mapping[str, str] | None = None,
    ready_limit_seconds: float = 20.0,
    cwd: Path = ROOT,
) -> Iterator[Server]:
    """Run a server from the repository's top folder, or another one, until the block ends.

    Raises StartError if it never gets ready. `environment` is the child's whole environment; None means ours.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*END_WITH_US, *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process, port, log)
    try:
        server.wait_ready(ready_path, ready_limit_seconds)
        yield server
    finally:
        server.stop()
