"""What an answer says that it cost: read from a copy of its beginning and its end, after it was relayed.

While an answer passes, references to its chunks are kept and nothing else is done; bounded, whatever its length.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from proxy_pkg.protocols.grammar import UsageMap
from proxy_pkg.wire.encoding import EncodingError, decode
from proxy_pkg.wire.tellings import Place, from_end, from_start

HEAD_BYTES: Final = 8 << 10
TAIL_BYTES: Final = 32 << 10
CODED_BYTES_MAX: Final = 256 << 10
"""A longer answer with a content coding is not read: its end means nothing without its beginning."""
DECODED_BYTES_MAX: Final = 4 << 20
_HELD_BYTES: Final = HEAD_BYTES + 2 * TAIL_BYTES
_QUICK_BYTES: Final = 8 << 10

_NUMBER_MAX: Final = 10**10


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


class Copy:
    """The first and the last bytes of an answer.

    Whoever relays it appends each chunk to `parts`, and calls `cut` where the bytes so far, which it counts anyway,
    are more than `cut_at_bytes`: that is all that is done while an answer passes.
    """

    __slots__ = ("_coded", "_head", "_is_too_long", "cut_at_bytes", "parts")

    def __init__(self, content_encoding: str = "") -> None:
        self._coded = content_encoding
        self._head = b""
        self._is_too_long = False
        self.parts: list[bytes] = []
        self.cut_at_bytes = CODED_BYTES_MAX if content_encoding else _HELD_BYTES

    @property
    def is_quick(self) -> bool:
        """Whether `text` takes microseconds, and not a millisecond or more."""
        return not self._coded or sum(map(len, self.parts)) <= _QUICK_BYTES

    @property
    def tail(self) -> bytes:
        """The last four bytes or more, as far as there are any."""
        return b"".join(self.parts[-4:])

    def cut(self, bytes_so_far: int) -> None:
        """Let go of what is neither the beginning nor the end."""
        self.cut_at_bytes = bytes_so_far + TAIL_BYTES
        if self._coded:
            self._is_too_long = True
            self.parts.clear()
            return
        held = b"".join(self.parts)
        self._head = self._head or held[:HEAD_BYTES]
        self.parts = [held[-TAIL_BYTES:]]

    def text(self) -> bytes:
        """What was kept, decoded; empty if that cannot be read."""
        if self._is_too_long:
            return b""
        if self._coded:
            return _decoded(b"".join(self.parts), self._coded)
        if not self._head and len(self.parts) == 1:
            return self.parts[0]
        return b"".join((self._head, *self.parts))


def _decoded(data: bytes, coding: str) -> bytes:
    try:
        return decode(data, coding, DECODED_BYTES_MAX)
    except EncodingError:
        return b""


def usage_in(data: bytes, places: UsageMap, *, ends: bool = True) -> Usage | None:
    """The usage told in `data`, parts of an answer, None without any. `ends` says whether the answer came to its end.

    APIs tell it at the end, and some of it at the beginning alone; between these, counts grow. Of what is told twice
    the last counts.
    """
    place = place_of(places)
    told: dict[str, int] = {}
    for objects in (from_end(data, place, ends=ends), from_start(data, place, ends=ends)):
        for found in objects:
            numbers = _numbers(found, places)
            if numbers:
                told = numbers | told
                break
    if not told:
        return None
    return _usage(told, places)


def place_of(places: UsageMap) -> Place:
    """Where the usage stands, and what is told beside it."""
    return Place(places.key, places.wrapped, places.in_list, places.coded_at)


def _usage(told: Mapping[str, int], places: UsageMap) -> Usage:
    read, write, fresh = told.get("cache_read", 0), told.get("cache_write", 0), told.get("input", 0)
    output = max(told.get("output", 0), told.get("total", 0) - fresh)
    if places.input_has_cached:
        fresh = max(0, fresh - read - write)
    return Usage(
        input=fresh + told.get("apart_input", 0),
        cache_read=read + told.get("apart_cache_read", 0),
        cache_write=write + told.get("apart_cache_write", 0),
        output=output + told.get("apart_output", 0),
        cache_write_1h=min(write, told.get("cache_write_1h", 0)) + told.get("apart_cache_write_1h", 0),
    )


def _numbers(found: Mapping[str, Any], places: UsageMap) -> dict[str, int]:
    """The counts in an object, those of what is paid apart with "apart_" before their name."""
    numbers = _counts(found, places)
    if places.apart is not None and numbers:
        key, types = places.apart
        parts = found.get(key)
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and part.get("type") in types:
                for name, count in _counts(part, places).items():
                    numbers[f"apart_{name}"] = numbers.get(f"apart_{name}", 0) + count
    return numbers


def _counts(found: Mapping[str, Any], places: UsageMap) -> dict[str, int]:
    counts = {}
    for name, paths, several_are_one in (
        ("input", places.input, False),
        ("output", places.output, False),
        ("cache_read", places.cache_read, True),
        ("cache_write", places.cache_write, True),
        ("cache_write_1h", places.cache_write_1h, True),
        ("total", places.total, True),
    ):
        if there := [count for path in paths if (count := _count_at(found, path)) is not None]:
            counts[name] = there[0] if several_are_one else sum(there)
    return counts


def _count_at(found: Mapping[str, Any], path: tuple[str, ...]) -> int | None:
    value = found.get(path[0])
    for key in path[1:]:
        value = value.get(key) if type(value) is dict else None
    return value if type(value) is int and 0 <= value < _NUMBER_MAX else None
