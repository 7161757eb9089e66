"""Which process is the master of the server that uses a state directory: proven by a lock, never by a number in a file.

A number says nothing: it may be of another container, or long be another process's. The kernel knows who holds a lock,
and says who that is as seen from here. Beside the lock stands when its holder began: a file system that does not
translate numbers, as some do between containers, names another process, and that one began at another time.
"""

import errno
import os
import signal
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from proxy_pkg.errors import ProxyError
from proxy_pkg.stats import locks
from proxy_pkg.stats.ledger_paths import MASTER_LOCK

MASTERS_MAX: Final = 16
"""While an upgrade in place lasts there are two."""


_STARTED: Final = struct.Struct("<Q")
"""When the holder of a byte began, in clock ticks since the boot, one after the other; 0 where that is not known."""
_START_FIELD: Final = 19
"""Of /proc/PID/stat, counted behind the name, which may hold anything."""


class NoMasterError(ProxyError):
    """The process that was found is not the master any more. Nothing was signalled."""


class Mastership:
    """The claim of this process. Forked workers have no part in it, and it ends with the process."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def close(self) -> None:
        """Give it up."""
        os.close(self._fd)


def claim(state_dir: str) -> Mastership | None:
    """Call this process the master. None where the directory takes nothing: then nobody can find it there.

    No part of this process may open the file again: to close any descriptor of it gives the claim up.
    """
    try:
        fd = os.open(Path(state_dir) / MASTER_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    for at in range(MASTERS_MAX):
        try:
            if locks.hold_as_process(fd, at):
                _note_start(fd, at)
                return Mastership(fd)
        except OSError:  # a file system without locks
            break
    os.close(fd)
    return None


def masters(state_dir: str) -> list[int]:
    """The masters that live; 0 stands for one that cannot be seen from here. Raises OSError but for a missing file."""
    try:
        fd = os.open(Path(state_dir) / MASTER_LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        return locks.process_holders(fd)
    finally:
        os.close(fd)


def signal_master(state_dir: str, pid: int, number: signal.Signals) -> None:
    """Signal the master `pid`, if that process is the master still. Raises NoMasterError if not."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        raise NoMasterError(f"process {pid} has ended") from None
    try:
        # The handle is of one process, whatever becomes of its number; that this one is the master is asked after.
        if not _is_proven(state_dir, pid):
            raise NoMasterError(f"process {pid} is not the master of the server in {state_dir}")
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        raise NoMasterError(f"process {pid} has ended") from None
    except PermissionError:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), f"process {pid}") from None
    finally:
        os.close(handle)


def started_ticks(pid: int) -> int:
    """When a process began, in clock ticks since the boot; 0 if it is gone or hidden."""
    with suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[_START_FIELD])
    return 0


def _note_start(fd: int, at: int) -> None:
    with suppress(OSError):  # a full disk: the lock alone is proof then
        os.pwrite(fd, _STARTED.pack(started_ticks(os.getpid())), at * _STARTED.size)


def _is_proven(state_dir: str, pid: int) -> bool:
    """Whether this process holds the lock of a master, and began when that master did."""
    try:
        fd = os.open(Path(state_dir) / MASTER_LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        places = [at for at, holder in locks.process_holders_at(fd) if holder == pid]
        notes = [os.pread(fd, _STARTED.size, at * _STARTED.size) for at in places]
    finally:
        os.close(fd)
    started = [_STARTED.unpack(note)[0] for note in notes if len(note) == _STARTED.size]
    # One that began before this was noted has no note.
    return bool(places) and all(ticks in (0, started_ticks(pid)) for ticks in started)
