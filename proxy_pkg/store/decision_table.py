"""One small fact for each of many keys, shared by all workers of a machine: which of two decisions came first.

A file of fixed size, mapped into every worker: no lock, no system call, no waiting. A mark is one aligned store
of 8 bytes, which other processes see whole, so a worker that is killed leaves a mark or none. The first mark of a
key stays. Keys are 64-bit hashes in a table of sets. The decisions of one conversation stand in a span of sets, so that
one with many has many in each of them; where a set is full, a mark of the caller gives way that has most there, and of
its conversations that of the one with most. Hardly a mark is lost to a conversation, or a caller, that has more.

Whose a mark is stands beside its key and is no part of it: a caller whose credential is new, as it is every few hours
where people sign in, finds the decisions of its conversations under the old one.
"""

import mmap
import os
from collections import Counter
from hashlib import blake2b
from pathlib import Path
from typing import Final

ENTRIES: Final = 1 << 18
PROBES_MAX: Final = 16
"""Entries of a set."""
SPAN_SETS: Final = 512
"""Sets that the decisions of one conversation stand in: room for twice what its texts can leave behind."""
FILE: Final = "marks-2"
"""The number is that of the layout."""
BYTES: Final = 8 * ENTRIES
"""What the file takes."""
GROUP_BITS: Final = 20
_ENTRY_BYTES: Final = 8
_WAY_BITS: Final = 1
CALLER_BITS: Final = 8
_LOW_BITS: Final = _WAY_BITS + CALLER_BITS
_SETS: Final = ENTRIES // PROBES_MAX
_REST_BITS: Final = 8 * _ENTRY_BYTES - GROUP_BITS

Key = int
"""A 64-bit hash. Its lowest bit makes room for the decision, the CALLER_BITS above it say whose it is, and its highest
GROUP_BITS what it belongs to.
"""


def key_of(group: bytes, *parts: bytes, caller: int = 0) -> Key:
    """The key of some byte strings. Equal strings give equal keys in every process, but for whose they are."""
    digest = blake2b(digest_size=_ENTRY_BYTES)
    for part in (group, *parts):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    rest = int.from_bytes(digest.digest(), "little") & ((1 << _REST_BITS) - 1)
    head = int.from_bytes(blake2b(group, digest_size=_ENTRY_BYTES).digest(), "little") >> _REST_BITS
    # Zero is an empty entry.
    return bare(head << _REST_BITS | rest | 1 << _LOW_BITS) | (caller & ((1 << CALLER_BITS) - 1)) << _WAY_BITS


def bare(key: Key) -> Key:
    """A key without whose it is: what it is told by."""
    return key >> _LOW_BITS << _LOW_BITS


def caller_of(key: Key) -> int:
    """Whose a key is."""
    return key >> _WAY_BITS & ((1 << CALLER_BITS) - 1)


def group_of(key: Key) -> int:
    """What all keys with the same first part have in common, GROUP_BITS of it."""
    return key >> _REST_BITS


class DecisionTable:
    """Decisions in a file of `state_dir`, or in this process alone if the file cannot be had."""

    def __init__(self, state_dir: str = "", file: str = FILE) -> None:
        self.problem = ""
        try:
            mapping = _mapped(Path(state_dir) / file) if state_dir else mmap.mmap(-1, ENTRIES * _ENTRY_BYTES)
        except OSError as error:
            self.problem = f"decisions are kept in this worker alone: {error.strerror or error}"
            mapping = mmap.mmap(-1, ENTRIES * _ENTRY_BYTES)
        self._entries = memoryview(mapping).cast("Q")

    def key(self, group: bytes, *parts: bytes, caller: int = 0) -> Key:
        """The key of some byte strings, as `key_of` has it."""
        return key_of(group, *parts, caller=caller)

    def get(self, key: Key) -> int | None:
        """The decision about `key`, 0 or 1; None if there is none."""
        for place in _table(key):
            entry = self._entries[place]
            if entry == 0:
                return None
            if bare(entry) == bare(key):
                return entry & 1
        return None

    def first(self, key: Key, decision: int) -> int:
        """Decide `decision`, 0 or 1, for `key` unless it is decided; returns the decision that holds."""
        for place in _table(key):
            if self._entries[place] == 0:
                self._entries[place] = key | decision
            entry = self._entries[place]  # another worker may have been quicker
            if bare(entry) == bare(key):
                return entry & 1
        self._entries[self._victim(key)] = key | decision
        return decision

    def _victim(self, key: Key) -> int:
        """The entry of a full set that gives way: of the caller with most of them, and of its conversations, of the one
        with most. Either may be the key's own.
        """
        entries = [(place, self._entries[place]) for place in _table(key)]
        for owner in (caller_of, group_of):
            held = Counter(owner(entry) for _, entry in entries)
            most = max(held.values())
            own = owner(key)
            heaviest = own if held[own] == most else next(each for each, number in held.items() if number == most)
            entries = [(place, entry) for place, entry in entries if owner(entry) == heaviest]
        return entries[_rest(key) // SPAN_SETS % len(entries)][0]

    def overrule(self, key: Key, decision: int) -> None:
        """Decide `decision` for `key`, whatever it was."""
        if self.first(key, decision) != decision:
            for place in _table(key):
                if bare(self._entries[place]) == bare(key):
                    self._entries[place] = key | decision


def _table(key: Key) -> range:
    """The set of a key. What belongs to no conversation is spread over all of them."""
    rest = _rest(key)
    group = group_of(key)
    number = rest if group == _NOBODY else group * _SETS // (1 << GROUP_BITS) + rest % SPAN_SETS
    home = number % _SETS * PROBES_MAX
    return range(home, home + PROBES_MAX)


def _rest(key: Key) -> int:
    """What tells a key from others of its group; the bit below is always set."""
    return (key & ((1 << _REST_BITS) - 1)) >> (_LOW_BITS + 1)


_NOBODY: Final = group_of(key_of(b""))


def _mapped(path: Path) -> mmap.mmap:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        # Reserved now, because a full disk met later, in a store to the mapping, would be a SIGBUS.
        os.posix_fallocate(fd, 0, ENTRIES * _ENTRY_BYTES)
        return mmap.mmap(fd, ENTRIES * _ENTRY_BYTES)
    finally:
        os.close(fd)
