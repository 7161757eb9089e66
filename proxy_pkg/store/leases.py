"""Who is here, in the shared file: an entry for each, owned by a worker, and how many there are under each key.

A worker owns its entries by a number, which it holds with a lock on one byte beyond the file's end (fcntl(2),
F_OFD_SETLK). The kernel lets that go however the worker ends; entries without a living owner are nobody's.
"""

import fcntl
import os
import struct
from collections import Counter
from contextlib import suppress
from typing import Final

from msgspec import Struct

from proxy_pkg.store.contract import ClaimState, Lease, LeaseHolder, StoreError
from proxy_pkg.store.hash_table import HashTable
from proxy_pkg.store.layout import (
    HEAD_WORDS,
    HEADS,
    HEADS_AT,
    LEASE_HEAD_WORDS,
    LEASE_WORDS,
    LEASES,
    LEASES_AT,
    NAME_BYTES_MAX,
    REGION_BYTES,
    UNSETTLED,
    WORD,
)
from proxy_pkg.store.region import Now, Region, hash_of

OWNERS_MAX: Final = 4096
RESERVED: Final = 32
"""Entries that a worker makes its own at a time."""
_FLOCK: Final = struct.Struct("hhqqi4x")
_END: Final = LEASES_AT + LEASES * LEASE_WORDS


class Occupancy(Struct, frozen=True, gc=False):
    """Who is here at one moment. `at` is the word of this worker's own entry of that name, or -1."""

    at: int
    used: int


class Leases:
    """The leases of a region. Call every method with the region's lock held.

    Where they are `unsettled`, call `reconcile` before anything else.
    """

    def __init__(self, region: Region) -> None:
        self._region = region
        self._words = region.words
        self._heads = HashTable(region, HEADS_AT, HEAD_WORDS, HEADS, self._empty_only)
        self._mine: dict[tuple[str, str], int] = {}
        """(key, name) -> the entry's word, for the entries of this worker."""
        self._spare: list[int] = []
        """Entries that this worker has used and freed, and still owns."""
        self.owner = self._take_number()
        self._is_newborn = True
        """Until the first `reconcile`, entries under its number are of another worker that had it before."""

    def look(self, lease: Lease, now: Now) -> Occupancy:
        """Who is here under the key of a lease."""
        at = self._heads.find(hash_of(lease.key))
        return Occupancy(self._mine.get((lease.key, lease.name), -1), self._words[at + 1] if at >= 0 else 0)

    def add(self, lease: Lease, occupancy: Occupancy, now: Now) -> int:
        """Add a lease, or renew its note. Returns how many are here then.

        Raises StoreError where it has a limit and nothing more can be counted; without one it goes uncounted.
        """
        if occupancy.at >= 0:
            self._write(occupancy.at, lease)
            return occupancy.used
        head = self._head(lease)
        if not self._spare:
            self._reserve()
        if head < 0 or not self._spare:
            if lease.limit:
                raise StoreError("too many are here to count another", "full")
            return occupancy.used
        at = self._spare.pop()
        self._words[UNSETTLED] = 1
        self._write(at, lease)
        self._words[head + 1] += 1
        self._words[UNSETTLED] = 0
        self._mine[lease.key, lease.name] = at
        return occupancy.used + 1

    def release(self, lease: Lease) -> None:
        """End a lease of this worker; one that has ended is fine."""
        at = self._mine.pop((lease.key, lease.name), None)
        if at is None:
            return
        self._words[UNSETTLED] = 1
        self._words[at] = 0
        head = self._heads.find(hash_of(lease.key))
        if head >= 0:
            self._words[head + 1] = max(0, self._words[head + 1] - 1)
        self._words[UNSETTLED] = 0
        self._spare.append(at)

    def those(self, key: str) -> list[LeaseHolder]:
        """Those under `key` whose worker lives."""
        wanted = hash_of(key)
        keys = self._column(0)
        entries = [LEASES_AT + number * LEASE_WORDS for number, held in enumerate(keys) if held == wanted]
        living = {owner: self.lives(owner) for owner in {self._words[at + 1] for at in entries}}
        return [self._read(at) for at in entries if living[self._words[at + 1]]]

    def reconcile(self) -> None:
        """Free what dead workers left, and count anew who is here. A pass over all entries: not for every request."""
        words = self._words
        owners = self._column(1)
        dead = {owner for owner in set(owners) if owner and not self.lives(owner)}
        if self._is_newborn:
            dead.add(self.owner)
        words[UNSETTLED] = 1
        if dead:
            for number, owner in enumerate(owners):
                if owner in dead:
                    words[LEASES_AT + number * LEASE_WORDS] = 0
                    words[LEASES_AT + number * LEASE_WORDS + 1] = 0
        start, end = HEADS_AT * WORD, (HEADS_AT + HEADS * HEAD_WORDS) * WORD
        self._region.bytes[start:end] = bytes(end - start)
        for key, here in Counter(self._column(0)).items():
            head = self._heads.claim(key) if key else -1
            if head >= 0:
                words[head + 1] = here
                words[head] = key
        words[UNSETTLED] = 0
        self._is_newborn = False

    def unsettled(self) -> bool:
        """True for a worker that has just begun, and if one was killed while it entered or ended a lease."""
        return self._is_newborn or self._words[UNSETTLED] != 0

    def close(self) -> None:
        """End all leases of this worker, and give its number back."""
        for at in [*self._mine.values(), *self._spare]:
            self._words[at] = 0
            self._words[at + 1] = 0
        self._mine.clear()
        self._spare.clear()
        self.reconcile()
        if self._region.fd >= 0:
            fcntl.fcntl(self._region.fd, fcntl.F_OFD_SETLK, _byte_lock(fcntl.F_UNLCK, self.owner))

    def state(self, lease: Lease, occupancy: Occupancy, used: int, now: Now, in_the_way: bool) -> ClaimState:
        """The state of a lease, `used` being how many are here after `acquire`."""
        return ClaimState(used, max(0, lease.limit - used), 0, 0)

    def _head(self, lease: Lease) -> int:
        key = hash_of(lease.key)
        at = self._heads.find(key)
        if at < 0:
            at = self._heads.claim(key)
            if at >= 0:
                self._words[at] = key
        return at

    def _write(self, at: int, lease: Lease) -> None:
        name = lease.name.encode("utf-8", "replace")[:NAME_BYTES_MAX]
        content = bytes((len(name),)) + name + lease.note
        words = self._words
        words[at + 2] = 0  # whoever reads it after a kill sees nothing rather than half of it
        start = (at + LEASE_HEAD_WORDS) * WORD
        self._region.bytes[start : start + len(content)] = content
        words[at + 2] = len(content)
        words[at + 1] = self.owner
        words[at] = hash_of(lease.key)

    def _read(self, at: int) -> LeaseHolder:
        start = (at + LEASE_HEAD_WORDS) * WORD
        content = bytes(self._region.bytes[start : start + self._words[at + 2]])
        if not content:
            return LeaseHolder("", b"")
        name_end = 1 + content[0]
        return LeaseHolder(content[1:name_end].decode("utf-8", "replace"), content[name_end:])

    def _reserve(self) -> None:
        """Make some entries that nobody owns this worker's, if there are any."""
        owners = self._column(1)
        number = -1
        with suppress(ValueError):
            for _ in range(RESERVED):
                number = owners.index(0, number + 1)
                at = LEASES_AT + number * LEASE_WORDS
                self._words[at + 1] = self.owner
                self._spare.append(at)

    def _column(self, word: int) -> list[int]:
        return self._words[LEASES_AT + word : _END : LEASE_WORDS].tolist()

    def _empty_only(self, head: int) -> int | None:
        return None if self._words[head + 1] else 0

    def _take_number(self) -> int:
        fd = self._region.fd
        for owner in range(1, OWNERS_MAX if fd >= 0 else 1):
            try:
                fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _byte_lock(fcntl.F_WRLCK, owner))
            except (BlockingIOError, PermissionError):
                continue
            return owner
        return OWNERS_MAX

    def lives(self, owner: int) -> bool:
        """Whether the worker that owns entries by this number has not ended."""
        if owner == self.owner:
            return True
        if self._region.fd < 0 or owner >= OWNERS_MAX:
            return False
        answer = fcntl.fcntl(self._region.fd, fcntl.F_OFD_GETLK, _byte_lock(fcntl.F_WRLCK, owner))
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def _byte_lock(kind: int, owner: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, REGION_BYTES + owner, 1, 0)
