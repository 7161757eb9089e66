"""Which process is the master of the server that uses a state directory: proven by a lock, never by a number in a file.

A number says nothing: it may be of another container, or long be another process's. The kernel knows who holds a lock,
and says who that is as seen from here.
"""

import errno
import os
import signal
from pathlib import Path
from typing import Final

from proxy_pkg.errors import ProxyError
from proxy_pkg.stats import locks
from proxy_pkg.stats.layout import MASTER_LOCK

MASTERS_MAX: Final = 16
"""While an upgrade in place lasts there are two."""


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
        if pid not in masters(state_dir):
            raise NoMasterError(f"process {pid} is not the master of the server in {state_dir}")
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        raise NoMasterError(f"process {pid} has ended") from None
    except PermissionError:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), f"process {pid}") from None
    finally:
        os.close(handle)
