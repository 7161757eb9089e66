"""What the last turn of a conversation cost, for each of many conversations, shared by all workers of a machine.

A file of fixed size, mapped into every worker like that of the decisions: no lock, no system call, no waiting. A turn
is four aligned stores of 8 bytes, its key last. A worker that is killed between them, or two that write one place at
once, leave figures of two turns under one key, for one conversation, until its next turn. Where the table is full,
the oldest turn of a few gives way.
"""

import mmap
import os
from fcntl import LOCK_EX, LOCK_UN, flock
from hashlib import blake2b
from pathlib import Path
from struct import Struct as Form
from typing import Final

from msgspec import Struct
from msgspec.structs import astuple

ENTRIES: Final = 1 << 16
PROBES: Final = 8
FILE: Final = "turns-1"
"""The number is that of the layout."""
UINT_MAX: Final = (1 << 32) - 1

_WORDS: Final = 4
_SECRET_BYTES: Final = 32
BYTES: Final = _SECRET_BYTES + 8 * _WORDS * ENTRIES
"""What the file takes."""
_KEY_BYTES: Final = 8
_FORM: Final = Form("<6I")


class Turn(Struct, frozen=True):
    """A conversation as its last answer left it. All numbers are from 0 to UINT_MAX; larger ones are kept as that."""

    at_s: int
    """When the answer ended, as Unix time."""
    total: int
    """Tokens of input that the request had."""
    cached: int
    """Of these, how many the provider keeps in its cache."""
    saved: int
    """Tokens that compression took from the request, by our own estimate."""
    cost_microdollars: int = 0
    """What all answers of the conversation so far have cost."""
    input_total: int = 0
    """The tokens of input that all its requests so far would have had uncompressed."""


def packed(turn: Turn) -> bytes:
    """The turn as other machines read it."""
    return _FORM.pack(*(min(max(number, 0), UINT_MAX) for number in astuple(turn)))


def unpacked(data: bytes) -> Turn | None:
    """What `packed` made; None for anything else."""
    return Turn(*_FORM.unpack(data)) if len(data) == _FORM.size else None


class Turns:
    """The table in a file of `state_dir`, or in this process alone if the file cannot be had."""

    def __init__(self, state_dir: str = "") -> None:
        self.problem = ""
        try:
            mapping = _mapped(Path(state_dir)) if state_dir else _private()
        except OSError as error:
            self.problem = f"turns are kept in this worker alone: {error.strerror or error}"
            mapping = _private()
        self._keyed = blake2b(key=mapping[:_SECRET_BYTES], digest_size=_KEY_BYTES)
        self._words = memoryview(mapping)[_SECRET_BYTES:].cast("Q")

    def key(self, *parts: bytes) -> int:
        """The key of some byte strings, which cannot be told from it: it is made with a secret of this table."""
        digest = self._keyed.copy()
        digest.update(b"".join([len(part).to_bytes(4, "little") + part for part in parts]))
        return int.from_bytes(digest.digest(), "little") or 1

    def get(self, key: int) -> Turn | None:
        """The last turn under `key`."""
        words = self._words
        home = key % ENTRIES * _WORDS
        for place in (home,) if words[home] == key else _table(key):
            if words[place] == key:
                first, second, third = words[place + 1], words[place + 2], words[place + 3]
                return Turn(
                    first & UINT_MAX, first >> 32, second & UINT_MAX, second >> 32, third & UINT_MAX, third >> 32
                )
        return None

    def put(self, key: int, turn: Turn) -> None:
        """Keep `turn` in place of the last one under `key`."""
        words = self._words
        place = self._place(key)
        words[place + 1] = _pair(turn.at_s, turn.total)
        words[place + 2] = _pair(turn.cached, turn.saved)
        words[place + 3] = _pair(turn.cost_microdollars, turn.input_total)
        words[place] = key

    def _place(self, key: int) -> int:
        """Where `key` is; else an empty place for it, or that of the oldest turn."""
        words = self._words
        home = key % ENTRIES * _WORDS
        if words[home] == key:
            return home
        oldest, oldest_s = home, UINT_MAX + 1
        for place in _table(key):
            if words[place] == key:
                return place
            at_s = words[place + 1] & UINT_MAX if words[place] else -1
            if at_s < oldest_s:
                oldest, oldest_s = place, at_s
        return oldest


def _table(key: int) -> list[int]:
    home = key % ENTRIES
    return [(home + step) % ENTRIES * _WORDS for step in range(PROBES)]


def _pair(low: int, high: int) -> int:
    if 0 <= low <= UINT_MAX and 0 <= high <= UINT_MAX:
        return low | high << 32
    return min(max(low, 0), UINT_MAX) | min(max(high, 0), UINT_MAX) << 32


def _private() -> mmap.mmap:
    mapping = mmap.mmap(-1, BYTES)
    mapping[:_SECRET_BYTES] = os.urandom(_SECRET_BYTES)
    return mapping


def _mapped(state_dir: Path) -> mmap.mmap:
    fd = os.open(state_dir / FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        # Reserved now, because a full disk met later, in a store to the mapping, would be a SIGBUS.
        os.posix_fallocate(fd, 0, BYTES)
        mapping = mmap.mmap(fd, BYTES)
        flock(fd, LOCK_EX)  # the mapping has a duplicate of the descriptor, so closing would not let go of it
        if not any(mapping[:_SECRET_BYTES]):
            mapping[:_SECRET_BYTES] = os.urandom(_SECRET_BYTES)
        flock(fd, LOCK_UN)
        return mapping
    finally:
        os.close(fd)
