"""Two kernel locks, both gone the moment their holder is, however it ends.

A slot is held with an open-file-description lock, because others can ask whether it is held without taking it
(fcntl(2), F_OFD_GETLK): a scrape never gets in the way of a starting worker. The server's own lock is a
flock(2), which the workers inherit from the master, so it is free only when no process of the server is left.
"""

import fcntl
import os
import struct

_FLOCK = struct.Struct("hhqqi4x")
"""struct flock of Linux on 64 bits: type, whence, start, length, pid (0, as these locks ask)."""
_WHOLE_FILE = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
_RELEASE = _FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0)


def hold(fd: int) -> bool:
    """Take the slot lock for as long as `fd` or a duplicate is open; False if somebody else holds it."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _WHOLE_FILE)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as fcntl(2) allows
        return False
    return True


def release(fd: int) -> None:
    """Give the slot lock up."""
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _RELEASE)


def is_held(fd: int) -> bool:
    """True if another open file holds the slot lock. Takes nothing."""
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _WHOLE_FILE)
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def take_server(fd: int, *, exclusive: bool) -> bool:
    """Take or convert the server lock, without waiting; False if that cannot be done now."""
    try:
        fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
