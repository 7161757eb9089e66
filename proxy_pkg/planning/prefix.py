"""Conversations that were read before: a body that begins with one is read from where that one ends.

Agents send the same bytes again with each turn and add to their end, so comparing bytes replaces nearly all
reading. It changes no result: what was read is a pure function of the bytes that are compared.
"""

from collections.abc import Sequence
from threading import Lock
from typing import Generic, TypeVar

from msgspec import Struct

from proxy_pkg.model import Producer
from proxy_pkg.planning.references import Seen

PlaceT = TypeVar("PlaceT")


class Prefix(Struct, Generic[PlaceT], frozen=True):
    """The first bytes of a body, up to the end of an item, and what was read in them."""

    items_path: tuple[str, ...]
    data: bytes
    head_forgets: bool
    may_refer: bool
    places: Sequence[PlaceT]
    calls: Sequence[tuple[str, Producer]]
    doubts: Sequence[str]
    opening: bytes
    question: str | None
    cost: int
    held_bytes: int
    """What its places and calls keep in memory."""
    seen: list[Seen]
    """The index of its lines, as far as it was made. Whoever reads on takes it; for a second one it is made anew."""

    def take_seen(self) -> Seen | None:
        return self.seen.pop() if self.seen else None

    @property
    def size_bytes(self) -> int:
        return len(self.data) + self.held_bytes + sum(seen.size_bytes for seen in self.seen)


class Prefixes(Generic[PlaceT]):
    """The prefixes of the conversations seen last, bounded in bytes. Threads may share it."""

    def __init__(self, bytes_max: int, entries_max: int = 64) -> None:
        self._bytes_max = bytes_max
        self._entries_max = entries_max
        self._entries: list[Prefix[PlaceT]] = []
        self._lock = Lock()

    def longest(self, body: bytes, items_path: tuple[str, ...]) -> Prefix[PlaceT] | None:
        """The longest known prefix of `body`. Looking costs what comparing bytes costs, up to where they differ."""
        best: Prefix[PlaceT] | None = None
        for entry in self._entries:
            if (
                (best is None or len(entry.data) > len(best.data))
                and entry.items_path == items_path
                and body.startswith(entry.data)
            ):
                best = entry
        return best

    def takes(self, size_bytes: int) -> bool:
        """Whether a prefix of that size would be kept: no other need be made."""
        return size_bytes <= self._bytes_max // 4

    def remember(self, prefix: Prefix[PlaceT]) -> None:
        """Keep `prefix`, in place of those that it extends; the ones seen longest ago are forgotten."""
        if not self.takes(prefix.size_bytes):
            return
        with self._lock:
            kept = [entry for entry in self._entries if not prefix.data.startswith(entry.data)]
            kept.append(prefix)
            held = sum(entry.size_bytes for entry in kept)
            while held > self._bytes_max or len(kept) > self._entries_max:
                held -= kept.pop(0).size_bytes
            # A new list, so that a thread that looks goes on in the old one.
            self._entries = kept

    def __len__(self) -> int:
        return len(self._entries)
