"""The last notes of a kind, in the shared file."""

from collections.abc import Sequence

from proxy_pkg.store.contract import NOTE_BYTES_MAX, RING_NOTES_MAX, RINGS_MAX, StoreError
from proxy_pkg.store.layout import RING_ENDS, RING_NAMES, RING_WORDS, RINGS_AT, WORD
from proxy_pkg.store.region import Region, hash_of


class Rings:
    """The rings of a region. Call all of it with the region's lock held."""

    def __init__(self, region: Region) -> None:
        self._words = region.words
        self._bytes = region.bytes

    def append(self, ring: str, notes: Sequence[bytes]) -> None:
        """Put notes at the end. Raises StoreError for a ring too many."""
        number = self._number(hash_of(ring), create=True)
        end = self._words[RING_ENDS + number]
        for note in notes[-RING_NOTES_MAX:]:
            at = self._place(number, end)
            self._words[at] = 0  # a kill in the middle leaves an empty note, which readers skip
            self._bytes[(at + 1) * WORD : (at + 1) * WORD + len(note)] = note
            self._words[at] = len(note)
            end += 1
            self._words[RING_ENDS + number] = end

    def recent(self, ring: str, count: int) -> list[bytes]:
        """The last notes, newest first."""
        number = self._number(hash_of(ring), create=False)
        if number < 0:
            return []
        end = self._words[RING_ENDS + number]
        found = []
        for index in range(end - 1, max(-1, end - 1 - min(count, RING_NOTES_MAX)), -1):
            at = self._place(number, index)
            length = min(self._words[at], NOTE_BYTES_MAX)
            if length > 0:
                found.append(bytes(self._bytes[(at + 1) * WORD : (at + 1) * WORD + length]))
        return found

    def _number(self, name: int, *, create: bool) -> int:
        for number in range(RINGS_MAX):
            held = self._words[RING_NAMES + number]
            if held == name:
                return number
            if held == 0 and create:
                self._words[RING_NAMES + number] = name
                return number
        if create:
            raise StoreError(f"more than {RINGS_MAX} rings", "size")
        return -1

    def _place(self, number: int, index: int) -> int:
        return RINGS_AT + (number * RING_NOTES_MAX + index % RING_NOTES_MAX) * RING_WORDS
