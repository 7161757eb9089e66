"""One file mapped into every worker of a machine, and the lock on it: what claims and rings are kept in.

The file has its full size, on disk, before it is mapped, since a full disk met later in a store would be a SIGBUS. A
change is made of aligned stores of 8 or 4 bytes, each whole for others; a worker that is killed between two of them
leaves a state that the next holder of the lock can go on from. The lock is a flock(2), which the kernel takes back
however its holder ends. The number in the file's name is that of its layout, so that an older server, still
draining, and a newer one do not misread each other.
"""

import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime_ns
from typing import Final

from msgspec import Struct

from proxy_pkg.store.breaker import Breaker
from proxy_pkg.store.contract import StoreError
from proxy_pkg.store.layout import FILE, HEADER_BYTES, REGION_BYTES, SIGNATURE, WAITING

LOCK_WAIT_MS: Final = 100
"""The lock is held for microseconds; a holder that has no CPU for so long is not waited for. After some such waits in
a row no call waits at all, until the lock is found free."""
DIRECTORY_TRIES: Final = 400
DIRECTORY_PAUSE_SECONDS: Final = 0.005
_TAKE: Final = LOCK_EX | LOCK_NB
_NAP_SECONDS: Final = 0.00005


@lru_cache(maxsize=8192)
def hash_of(key: str) -> int:
    """63 bits for a key, the same in every process; 0 and 1 have other meanings."""
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1 | 2


class Now(Struct, frozen=True, gc=False):
    """One moment, on both clocks."""

    boot_ns: int
    """Since the machine started; nobody can set it."""
    wall_s: float
    """Unix time."""


def now() -> Now:
    """This moment."""
    return Now(clock_gettime_ns(CLOCK_BOOTTIME), time.time())


class Region:
    """The mapping, as 64-bit and 32-bit integers and as bytes, and the lock. Without a file it is private."""

    def __init__(self, mapping: mmap.mmap, fd: int) -> None:
        self._mapping = mapping
        self.fd = fd
        """The descriptor of the file, or -1."""
        self.bytes = memoryview(mapping)
        self.words = self.bytes.cast("q")
        self.halves = self.bytes.cast("I")
        self._breaker = Breaker(time.monotonic)

    def __enter__(self) -> "Region":
        """Be alone with the file. Raises StoreError if another does not let go in time."""
        if self.fd < 0:
            return self
        if self.words[WAITING]:
            time.sleep(_NAP_SECONDS)  # behind those who came before: else whoever runs would win over and over
        try:
            flock(self.fd, _TAKE)
        except BlockingIOError:
            self._wait_for_lock()
        self.words[WAITING] = 0
        if not self._breaker.allows:
            self._breaker.succeeded()
        return self

    def __exit__(self, *_: object) -> None:
        if self.fd >= 0:
            flock(self.fd, LOCK_UN)

    def _wait_for_lock(self) -> None:
        if not self._breaker.allows:
            raise StoreError("the shared file is locked by a worker that stands still", "busy")
        until = time.monotonic() + LOCK_WAIT_MS / 1000
        while time.monotonic() < until:
            self.words[WAITING] = 1
            time.sleep(_NAP_SECONDS)  # the holder may need the CPU that we are on
            with suppress(BlockingIOError):
                return flock(self.fd, _TAKE)
        self._breaker.failed()
        raise StoreError(f"the shared file was not free within {LOCK_WAIT_MS} ms", "busy")

    def close(self) -> None:
        """Let go of the file; the mapping goes with the last view of it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def private_region() -> Region:
    """A region that no other process sees."""
    region = Region(mmap.mmap(-1, REGION_BYTES), -1)
    region.bytes[: len(SIGNATURE)] = SIGNATURE
    return region


def open_region(state_dir: Path) -> tuple[Region, str]:
    """The region of a directory, made if need be; and a sentence if a damaged one was set aside. Raises OSError."""
    with directory_lock(state_dir):
        path = state_dir / FILE
        fd = _open(path)
        problem = ""
        if not _is_sound(fd):
            os.close(fd)
            path.replace(path.with_suffix(".damaged"))
            problem = f"{path} was damaged: it is now {path.with_suffix('.damaged').name}, and limits start afresh"
            fd = _open(path)
        try:
            return Region(_mapped(fd), fd), problem
        except OSError:
            os.close(fd)
            raise


@contextmanager
def directory_lock(state_dir: Path) -> Iterator[None]:
    """Alone with the making of files in a directory."""
    fd = os.open(state_dir / "store.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _wait_for_directory(fd)
        yield
    finally:
        os.close(fd)


def _wait_for_directory(fd: int) -> None:
    for _ in range(DIRECTORY_TRIES):
        with suppress(BlockingIOError):
            return flock(fd, _TAKE)
        time.sleep(DIRECTORY_PAUSE_SECONDS)
    raise TimeoutError("another process keeps store.lock")


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _is_sound(fd: int) -> bool:
    """True for a file of ours, and for one that is empty or was left unfinished when its maker was killed."""
    head = os.pread(fd, len(SIGNATURE), 0)
    size = os.fstat(fd).st_size
    if head == SIGNATURE:
        return size == REGION_BYTES
    return size <= REGION_BYTES and not os.pread(fd, HEADER_BYTES, 0).strip(b"\0")


def _mapped(fd: int) -> mmap.mmap:
    try:
        os.posix_fallocate(fd, 0, REGION_BYTES)
    except OSError:
        if os.pread(fd, len(SIGNATURE), 0) != SIGNATURE:
            os.ftruncate(fd, 0)  # a part of it would only help to keep the disk full
        raise
    mapping = mmap.mmap(fd, REGION_BYTES)
    mapping[: len(SIGNATURE)] = SIGNATURE
    return mapping
