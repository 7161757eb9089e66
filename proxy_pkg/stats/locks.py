"""Three kernel locks, all gone the moment their holder is, however it ends.

A slot is held with an open-file-description lock, because others can ask whether it is held without taking it
(fcntl(2), F_OFD_GETLK): a scrape never gets in the way of a starting worker. The server's own lock is a
flock(2), which the workers inherit from the master, so it is free only when no process of the server is left. The
master's is of its process alone (F_SETLK), and the kernel tells others which process that is.
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


def hold_as_process(fd: int, at: int) -> bool:
    """Take byte `at` of a file for this process alone: a forked child has no part in it. False if another has it.

    It is given up when the process ends, or closes any descriptor of that file (fcntl(2), F_SETLK).
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, at, 1, 0))
    except (BlockingIOError, PermissionError):
        return False
    return True


def process_holders(fd: int) -> list[int]:
    """The processes that hold bytes of a file so, as the kernel knows them here; 0 for one that is not to be seen
    from here, as in another container. Takes nothing.
    """
    return [pid for _, pid in process_holders_at(fd)]


def process_holders_at(fd: int) -> list[tuple[int, int]]:
    """The same, each with the first byte that it holds."""
    found: list[tuple[int, int]] = []
    at = 0
    while True:
        answer = fcntl.fcntl(fd, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, at, 0, 0))
        kind, _, start, length, pid = _FLOCK.unpack(answer)
        if kind == fcntl.F_UNLCK:
            return found
        found.append((start, max(0, pid)))
        if length == 0:
            return found
        at = start + length
