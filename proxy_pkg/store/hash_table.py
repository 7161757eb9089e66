"""Finding the record of a key in a table of the shared file: open addressing, a few places to look at."""

from collections.abc import Callable
from typing import Final

from proxy_pkg.store.layout import WORD
from proxy_pkg.store.region import Region

PLACES_MAX: Final = 16
NEVER_USED: Final = 0
GIVEN_UP: Final = 1
"""A key that stands for none, in a record that had one: a search goes on past it."""


class HashTable:
    """A table of `count` records of `width` words, the key in the first of each. Offsets are in words.

    `keep_order` ranks records: the lowest one is replaced where all slots of a key are in use.
    None stands for a record that may not go.
    """

    def __init__(
        self, region: Region, start: int, width: int, count: int, keep_order: Callable[[int], int | None]
    ) -> None:
        self._bytes = region.bytes
        self._words = region.words
        self._start = start
        self._width = width
        self._count = count
        self._keep_order = keep_order

    def find(self, key: int) -> int:
        """The record of `key`, or -1."""
        words, width = self._words, self._width
        at = self._start + key % self._count * width
        if words[at] == key:
            return at
        end = self._start + self._count * width
        for _ in range(PLACES_MAX):
            held = words[at]
            if held == key:
                return at
            if held == NEVER_USED:
                return -1
            at += width
            if at == end:
                at = self._start
        return -1

    def claim(self, key: int) -> int:
        """A record for a `key` that has none, or -1. Its other words are 0, and the caller writes the key last."""
        at = self._room(key)
        if at >= 0:
            self._words[at] = GIVEN_UP
            self._bytes[(at + 1) * WORD : (at + self._width) * WORD] = bytes((self._width - 1) * WORD)
        return at

    def _room(self, key: int) -> int:
        least, found = None, -1
        for step in range(PLACES_MAX):
            at = self._start + (key + step) % self._count * self._width
            if self._words[at] in (NEVER_USED, GIVEN_UP):
                return at
            keep_order = self._keep_order(at)
            if keep_order is not None and (least is None or keep_order < least):
                least, found = keep_order, at
        return found
