"""The directory that the counters of one server share: made private, and emptied when a new server starts.

STATE_DIR/server.lock         held shared by the master and all its workers; holds the time the totals began
STATE_DIR/slots/<n>.counters  the ledger of worker slot n
"""

import os
import stat
import struct
import time
from pathlib import Path
from typing import Final

from proxy_pkg.errors import SettingsError
from proxy_pkg.stats import locks

SLOTS: Final = "slots"
SUFFIX: Final = ".counters"
_SERVER_LOCK: Final = "server.lock"
_STARTED = struct.Struct("<q")
_SHARED_LOCK_TRIES = 500
_SHARED_LOCK_PAUSE_SECONDS = 0.01


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

    Totals count since the server started: if no process of a server holds the directory, ledgers of an
    earlier run are removed. Under a second master (USR2), or when called again, everything stays as it is.
    Raises SettingsError if the directory cannot be made, or could be another user's.
    """
    directory = Path(state_dir).absolute()
    try:
        _make_private(directory)
        fd = os.open(directory / _SERVER_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        return _claim(directory, fd)
    except OSError as error:
        raise SettingsError((f"state_dir {directory}: {error.strerror or error}",)) from error


def _claim(directory: Path, fd: int) -> ServerLock:
    # A flock on the directory is how systemd-tmpfiles(8) is asked not to clean it; nothing else depends on
    # it.
    directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    locks.take_server(directory_fd, exclusive=False)
    fresh = locks.take_server(fd, exclusive=True) and not _any_slot_held(directory)
    if fresh:
        for path in slot_paths(directory):
            path.unlink(missing_ok=True)
        os.pwrite(fd, _STARTED.pack(time.time_ns()), 0)
    for _ in range(_SHARED_LOCK_TRIES):
        if locks.take_server(fd, exclusive=False):
            return ServerLock((fd, directory_fd), fresh=fresh)
        time.sleep(_SHARED_LOCK_PAUSE_SECONDS)  # another process is in the lines above
    ServerLock((fd, directory_fd), fresh=False).close()
    raise SettingsError((f"state_dir {directory}: {_SERVER_LOCK} is locked by a process that does not let go",))


def slot_paths(directory: Path) -> list[Path]:
    """The ledgers that exist, by slot number. Files of other names are not ours and are left alone."""
    found = [path for path in (directory / SLOTS).glob(f"*{SUFFIX}") if path.name[: -len(SUFFIX)].isdecimal()]
    return sorted(found, key=slot_number)


def slot_number(path: Path) -> int:
    """The n of `<n>.counters`."""
    return int(path.name[: -len(SUFFIX)])


def started_ns(state_dir: str) -> int:
    """When the totals began, Unix time in nanoseconds; 0 if that cannot be read."""
    try:
        content = (Path(state_dir) / _SERVER_LOCK).read_bytes()
    except OSError:
        return 0
    return int(_STARTED.unpack_from(content)[0]) if len(content) >= _STARTED.size else 0


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
