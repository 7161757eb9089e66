"""What an answer says that it cost: read from a copy of its beginning and its end, after it was relayed.

While an answer passes, references to its chunks are kept and nothing else is done; bounded, whatever its length.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

from msgspec import Struct

from proxy_pkg.protocols.grammar import UsageMap
from proxy_pkg.wire.encoding import EncodingError, Reader
from proxy_pkg.wire.tellings import Tellings

HEAD_BYTES: Final = 8 << 10
TAIL_BYTES: Final = 32 << 10
DECODED_BYTES_MAX: Final = 2 << 20
"""An answer is not read whose coding makes more of one piece, which has TAIL_BYTES and a chunk."""
_UNREADABLE: Final = "?"
_HELD_BYTES: Final = HEAD_BYTES + 2 * TAIL_BYTES

_NUMBER_MAX: Final = 10**10
_REPORTED_BY_ALL: Final = frozenset(("input", "output", "cache_read", "cache_write"))


class Usage(Struct, frozen=True):
    """Tokens as the provider counted them. `input` are those that the cache neither served nor took in."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    cache_write_1h: int = 0
    """Those of `cache_write` that the cache keeps an hour."""

    @property
    def input_total(self) -> int:
        """All tokens that the request was long."""
        return self.input + self.cache_read + self.cache_write


class Watch(Protocol):
    """Is shown all of an answer as it comes (web/shared_calls.py)."""

    def feed(self, data: bytes) -> None: ...
    def end(self) -> None: ...


class Copy:
    """The first and the last bytes of an answer, without its content coding.

    Whoever relays it appends each chunk to `parts`, and calls `cut` where the bytes so far, which it counts anyway,
    are more than `cut_at_bytes`: that is all that is done while an answer passes. A coding is undone piece by piece,
    so that the end of an answer can be read however long it is, and wherever it breaks off.
    """

    __slots__ = (
        "_ahead_bytes",
        "_coded",
        "_decoded",
        "_head",
        "_reader",
        "_shown_bytes",
        "_watch",
        "cut_at_bytes",
        "parts",
    )

    def __init__(self, content_encoding: str = "", watch: Watch | None = None) -> None:
        """`watch` is shown all bytes, decoded, one time each."""
        self._watch = watch
        self._shown_bytes = 0
        """Of what is in `parts`."""
        self._coded = content_encoding
        self._reader: Reader | None = None
        self._head = b""
        self._decoded = b""
        self._ahead_bytes = 0
        """Bytes that were read before they were in `parts`."""
        self.parts: list[bytes] = []
        self.cut_at_bytes = TAIL_BYTES if content_encoding else _HELD_BYTES

    @property
    def tail(self) -> bytes:
        """The last four bytes or more, as far as there are any."""
        return b"".join(self.parts[-4:])

    def cut(self, bytes_so_far: int) -> None:
        """Let go of what is neither the beginning nor the end."""
        self.cut_at_bytes = bytes_so_far + TAIL_BYTES
        if self._coded:
            self._read()
            return
        held = b"".join(self.parts)
        self._head = self._head or held[:HEAD_BYTES]
        self.parts = [held[-TAIL_BYTES:]]
        if self._watch is not None:
            self._watch.feed(held[self._shown_bytes :])
            self._shown_bytes = len(self.parts[0])

    def end(self, ahead: bytes = b"") -> None:
        """Show the watch the rest of the answer, with the chunk `ahead` that is to be appended next."""
        watch = self._watch
        if watch is None:
            return
        if self._coded:
            self._read(ahead)
        else:
            watch.feed(b"".join((*self.parts, ahead))[self._shown_bytes :])
        self._watch = None
        watch.end()

    def text(self, ahead: bytes = b"") -> bytes:
        """What was kept, decoded, with the chunk `ahead` that is to be appended next; empty if it cannot be read."""
        if not self._coded:
            return b"".join((self._head, *self.parts, ahead))
        self._read(ahead)
        return self._head + self._decoded

    def _read(self, ahead: bytes = b"") -> None:
        """Decode what has come since the last time."""
        data = b"".join((*self.parts, ahead))
        self.parts.clear()
        data, self._ahead_bytes = data[self._ahead_bytes :], max(0, self._ahead_bytes - len(data)) + len(ahead)
        if not data or self._coded == _UNREADABLE:
            return
        try:
            self._reader = self._reader or Reader(self._coded)
            piece = self._reader.feed(data, DECODED_BYTES_MAX)
        except EncodingError:
            self._coded, self._reader, self._head, self._decoded = _UNREADABLE, None, b"", b""
            return
        if self._watch is not None:
            self._watch.feed(piece)
        decoded = self._decoded + piece
        if len(decoded) > _HELD_BYTES:
            self._head = self._head or decoded[:HEAD_BYTES]
            decoded = decoded[-TAIL_BYTES:]
        self._decoded = decoded


def usage_in(data: bytes, places: UsageMap, *, ends: bool = True) -> Usage | None:
    """The usage told in `data`, parts of an answer, None without any. `ends` says whether the answer came to its end.

    APIs tell it at the end, and some of it at the beginning alone; between these, counts grow. Of what is told twice
    the last counts.
    """
    tellings = Tellings(data, places, ends=ends)
    counts: dict[str, int] = {}
    last = tellings.last()
    while last and not (counts := _numbers(last[1], places)):
        last = tellings.last(last[0])
    if last is None:
        return None
    first = tellings.first(-1, last[0]) if places.is_split and not _is_full(counts) else None
    while first and not (numbers := _numbers(first[1], places)):
        first = tellings.first(first[0], last[0])
    return _usage(numbers | counts if first else counts, places)


def _is_full(counts: Mapping[str, int]) -> bool:
    """Whether an earlier event has nothing to add."""
    if not counts.keys() >= _REPORTED_BY_ALL:
        return False
    return not counts["cache_write"] or "cache_write_1h" in counts


def _usage(counts: Mapping[str, int], places: UsageMap) -> Usage:
    read, write, fresh = counts.get("cache_read", 0), counts.get("cache_write", 0), counts.get("input", 0)
    output, write_1h = counts.get("output", 0), counts.get("cache_write_1h", 0)
    if places.total:
        output = max(output, counts.get("total", 0) - fresh)
    if places.input_has_cached:
        fresh = max(0, fresh - read - write)
    if "apart" in counts:
        fresh += counts.get("apart_input", 0)
        read += counts.get("apart_cache_read", 0)
        write += counts.get("apart_cache_write", 0)
        write_1h += counts.get("apart_cache_write_1h", 0)
        output += counts.get("apart_output", 0)
    return Usage(fresh, read, write, output, min(write, write_1h))


def _numbers(found: Mapping[str, Any], places: UsageMap) -> dict[str, int]:
    """The counts in an object, those of what is paid apart with "apart_" before their name, and how many "apart"."""
    numbers = _counts(found, places)
    if places.apart is not None and numbers:
        key, types = places.apart
        parts = found.get(key)
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and part.get("type") in types:
                numbers["apart"] = numbers.get("apart", 0) + 1
                for name, count in _counts(part, places).items():
                    numbers[f"apart_{name}"] = numbers.get(f"apart_{name}", 0) + count
    return numbers


def _counts(found: Mapping[str, Any], places: UsageMap) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, adds, key, inner in _fields(places):
        value = found.get(key)
        if inner:
            value = value.get(inner) if type(value) is dict else None
        if type(value) is int and 0 <= value < _NUMBER_MAX:
            if name not in counts:
                counts[name] = value
            elif adds:
                counts[name] += value
    return counts


@lru_cache(maxsize=32)
def _fields(places: UsageMap) -> tuple[tuple[str, bool, str, str], ...]:
    """(what it counts, whether several of it add up, its key, a key inside that or "") of all numbers."""
    return tuple(
        (name, adds, path[0], path[1] if len(path) > 1 else "")
        for name, adds, paths in (
            ("input", True, places.input),
            ("output", True, places.output),
            ("cache_read", False, places.cache_read),
            ("cache_write", False, places.cache_write),
            ("cache_write_1h", False, places.cache_write_1h),
            ("total", False, places.total),
        )
        for path in paths
    )
