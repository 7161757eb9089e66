"""A ledger: named groups of 64-bit integers in one buffer of fixed size, safe to cut off at any instruction.

    header   16 words     MAGIC, bytes of keys used, owner, gauges (see the word numbers below)
    cells    8,192 words  the integers
    keys     96 KiB       entries, appended only: 8 bytes head (key bytes, cells, first cell), key, zeros to 8

Every change of state is one aligned store of 8 bytes, which other processes see whole. An entry is written
beyond the used keys first and counts from the moment the word KEYS_USED moves over it, so a writer that dies
leaves either no entry or a whole one. Nothing ever shrinks or moves.
"""

import struct
from collections.abc import Iterator
from typing import Final

HEADER_WORDS: Final = 16
CELLS: Final = 8192
KEYS_AT: Final = 8 * (HEADER_WORDS + CELLS)
KEYS_BYTES_MAX: Final = 96 * 1024
LEDGER_BYTES: Final = KEYS_AT + KEYS_BYTES_MAX
KEY_BYTES_MAX: Final = 512
SERIES_CELLS_MAX: Final = 32

MAGIC: Final = int.from_bytes(b"ledger01", "little")
WORD_MAGIC: Final = 0
WORD_KEYS_USED: Final = 1
WORD_PID: Final = 2
WORD_STARTED_NS: Final = 3
WORD_STARTS: Final = 4
WORD_IN_FLIGHT: Final = 5
WORD_FINISHED: Final = 6
WORD_DRAINING: Final = 7
WORD_SCOPE: Final = 8
"""Whom the worker shares limits with: an index of SCOPES."""
SCOPES: Final = ("none", "worker", "machine", "fleet")

NOWHERE: Final = CELLS - SERIES_CELLS_MAX
"""First of the cells that no key names: what cannot be counted is added here and read by nobody."""

_ENTRY = struct.Struct("<HHI")

Words = memoryview
"""A view of the whole buffer as signed 64-bit integers."""


class Entry:
    """One key of a ledger and where its integers lie."""

    __slots__ = ("cells", "first", "key")

    def __init__(self, key: str, first: int, cells: int) -> None:
        self.key = key
        self.first = first
        self.cells = cells


class Ledger:
    """The writer's side. One process at a time may hold one on a buffer; one thread of it may write.

    `words[HEADER_WORDS + cell] += n` is the whole of counting; `cells` is that view without the header.
    """

    def __init__(self, buffer: memoryview) -> None:
        """Take over `buffer` (LEDGER_BYTES long, writable) as it is: empty, used before, or damaged.

        What can be read stays. A damaged entry ends the list: it and what follows are dropped.
        """
        assert len(buffer) == LEDGER_BYTES
        self._bytes = buffer
        self.words: Words = buffer.cast("q")
        self.cells: Words = self.words[HEADER_WORDS : HEADER_WORDS + CELLS]
        if self.words[WORD_MAGIC] != MAGIC:
            self._clear()
        found = list(entries(buffer))
        self.entries = {entry.key: entry for entry in found}
        self._cell_next = found[-1].first + found[-1].cells if found else 0
        kept = sum(_entry_bytes(len(entry.key.encode())) for entry in found)
        self._forget_after(kept)
        self._keys_used = kept

    def _clear(self) -> None:
        self._bytes[:] = bytes(LEDGER_BYTES)
        self.words[WORD_MAGIC] = MAGIC

    def _forget_after(self, kept: int) -> None:
        start = 8 * (HEADER_WORDS + self._cell_next)
        self._bytes[start:KEYS_AT] = bytes(KEYS_AT - start)
        self.words[WORD_KEYS_USED] = kept  # last: were we cut off before, the next owner would start this again

    def add(self, key: str, cells: int) -> Entry | None:
        """The entry of `key` with `cells` integers, all zero if it is new; None where it does not fit."""
        known = self.entries.get(key)
        if known is not None:
            return known if known.cells == cells else None
        encoded = key.encode()
        size = _entry_bytes(len(encoded))
        full = self._keys_used + size > KEYS_BYTES_MAX or self._cell_next + cells > NOWHERE
        if full or not 0 < len(encoded) <= KEY_BYTES_MAX or not 0 < cells <= SERIES_CELLS_MAX:
            return None
        start = KEYS_AT + self._keys_used
        head = _ENTRY.pack(len(encoded), cells, self._cell_next)
        self._bytes[start : start + size] = (head + encoded).ljust(size, b"\0")
        self.words[WORD_KEYS_USED] = self._keys_used + size
        entry = self.entries[key] = Entry(key, self._cell_next, cells)
        self._keys_used += size
        self._cell_next += cells
        return entry

    def release(self) -> None:
        """Give the views back, so that the buffer can be closed."""
        self.cells.release()
        self.words.release()
        self._bytes.release()


def entries(buffer: memoryview) -> Iterator[Entry]:
    """The keys of a ledger that may be written to meanwhile, up to the first that makes no sense."""
    words = buffer[: 8 * HEADER_WORDS].cast("q")
    used = words[WORD_KEYS_USED] if words[WORD_MAGIC] == MAGIC else 0
    words.release()
    end = KEYS_AT + min(max(used, 0), KEYS_BYTES_MAX)
    position, cell_next = KEYS_AT, 0
    while position + _ENTRY.size <= end:
        key_bytes, cells, first = _ENTRY.unpack_from(buffer, position)
        after = position + _entry_bytes(key_bytes)
        fits = first == cell_next and 0 < cells <= SERIES_CELLS_MAX and first + cells <= NOWHERE
        if not fits or not 0 < key_bytes <= KEY_BYTES_MAX or after > end:
            return
        key = _decoded(bytes(buffer[position + _ENTRY.size : position + _ENTRY.size + key_bytes]))
        if key is None:
            return
        yield Entry(key, first, cells)
        position, cell_next = after, first + cells


def _decoded(key: bytes) -> str | None:
    try:
        return None if b"\0" in key else key.decode()
    except UnicodeDecodeError:
        return None


def _entry_bytes(key_bytes: int) -> int:
    return _ENTRY.size + (key_bytes + 7) // 8 * 8
