"""The directory that the counters of one server share: made private, and cleared when a new server starts."""

import logging
import os
import stat
import time
from pathlib import Path

from proxy_pkg.errors import SettingsError
from proxy_pkg.stats import locks
from proxy_pkg.stats.ledger_paths import DISK_FAULTS, SERVER_LOCK, SLOTS, STARTED, slot_paths, started_ns
from proxy_pkg.stats.lifetime import fold

_SHARED_LOCK_TRIES = 500
_SHARED_LOCK_PAUSE_SECONDS = 0.01

logger = logging.getLogger("proxy_pkg")


class ServerLock:
    """This server's claim on its directory. Forked workers inherit it; it ends with the last of them."""

    def __init__(self, fds: tuple[int, ...], *, fresh: bool) -> None:
        self._fds = fds
        self.fresh = fresh
        """True if the totals begin with this call; False if an earlier process of this server still lives."""

    def close(self) -> None:
        """Give up this process's part in the claim."""
        for fd in self._fds:
            os.close(fd)
        self._fds = ()


def prepare(state_dir: str) -> ServerLock:
    """Make `state_dir` ready, in the master before its first fork (or when a server without a master starts).

    Totals count since the server started: if no process of a server holds the directory, the ledgers of the
    run before are added to the lifetime totals and removed. Where there is no room for that, its totals go on.
    Under a second master (USR2), or when called again, everything stays as it is. Where the disk takes nothing, the
    server goes on without the directory, and a warning says so. Raises SettingsError if it cannot be made for any
    other reason, or could be another user's.
    """
    directory = Path(state_dir).absolute()
    try:
        _make_private(directory)
        fd = os.open(directory / SERVER_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        return _claim(directory, fd)
    except OSError as error:
        if error.errno in DISK_FAULTS:
            logger.warning("workers count, and keep limits, each alone: state_dir %s: %s", directory, error.strerror)
            return ServerLock((), fresh=True)
        raise SettingsError((f"state_dir {directory}: {error.strerror or error}",)) from error


def _claim(directory: Path, fd: int) -> ServerLock:
    # A flock on the directory is how systemd-tmpfiles(8) is asked not to clean it; nothing else depends on
    # it.
    directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    locks.take_server(directory_fd, exclusive=False)
    fresh = locks.take_server(fd, exclusive=True) and not _any_slot_held(directory)
    if fresh:
        _begin_anew(directory, fd)
    for _ in range(_SHARED_LOCK_TRIES):
        if locks.take_server(fd, exclusive=False):
            return ServerLock((fd, directory_fd), fresh=fresh)
        time.sleep(_SHARED_LOCK_PAUSE_SECONDS)  # another process is in the lines above
    ServerLock((fd, directory_fd), fresh=False).close()
    raise SettingsError((f"state_dir {directory}: {SERVER_LOCK} is locked by a process that does not let go",))


def _begin_anew(directory: Path, lock_fd: int) -> None:
    """Close the books of the run before. Cut off anywhere, the next start goes on from there."""
    run_ns, ledgers = started_ns(directory), slot_paths(directory)
    try:
        fold(directory, ledgers, run_ns)
    except OSError as error:
        logger.warning("totals go on from the run before, since they cannot be added to the lifetime totals: %s", error)
        return
    for path in ledgers:
        path.unlink(missing_ok=True)
    os.pwrite(lock_fd, STARTED.pack(max(time.time_ns(), run_ns + 1)), 0)


def _any_slot_held(directory: Path) -> bool:
    return any(_is_held(path) for path in slot_paths(directory))


def _is_held(path: Path) -> bool:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        return locks.is_held(fd)
    finally:
        os.close(fd)


def _make_private(directory: Path) -> None:
    _refuse_planted(directory)
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (directory, directory / SLOTS):
        path.mkdir(mode=0o700, exist_ok=True)
        _refuse_foreign(path)


def _refuse_planted(directory: Path) -> None:
    """Refuse a path through something that a stranger put into a directory open to all, such as /tmp."""
    for path in reversed(directory.parents):
        if not os.path.lexists(path):
            return
        open_to_all = path.parent.stat().st_mode & stat.S_IWOTH
        if open_to_all and path.lstat().st_uid not in (0, os.geteuid()):
            raise SettingsError((f"state_dir {directory}: {path} belongs to another user; choose another state_dir",))


def _refuse_foreign(path: Path) -> None:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        problem = "is a symbolic link; name the real directory"
    elif not stat.S_ISDIR(status.st_mode):
        problem = "is not a directory"
    elif status.st_uid != os.geteuid():
        problem = f"belongs to user id {status.st_uid}, not {os.geteuid()}; choose another state_dir"
    elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        problem = f"may be written by others (mode {stat.S_IMODE(status.st_mode):04o}); run chmod 700 on it"
    else:
        return
    raise SettingsError((f"state_dir {path}: {problem}",))
