"""What an answer says that it cost: read from a copy of its beginning and its end, after it was relayed.

While an answer passes, references to its chunks are kept and nothing else is done; bounded, whatever its length.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from proxy_pkg.protocols.grammar import UsageMap
from proxy_pkg.wire.encoding import EncodingError, decode
from proxy_pkg.wire.scan import objects_at

HEAD_BYTES: Final = 8 << 10
TAIL_BYTES: Final = 32 << 10
CODED_BYTES_MAX: Final = 256 << 10
"""A longer answer with a content coding is not read: its end means nothing without its beginning."""
DECODED_BYTES_MAX: Final = 4 << 20
_QUICK_BYTES: Final = 8 << 10

_DIGITS_MAX: Final = 10


class Usage(Struct, frozen=True):
    """Tokens as the provider counted them. `input` are those that the cache neither served nor took in."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0

    @property
    def input_total(self) -> int:
        """All tokens that the request was long."""
        return self.input + self.cache_read + self.cache_write


class Copy:
    """The first and the last bytes of an answer, taken as it passes."""

    __slots__ = ("_coded", "_head", "_head_bytes", "_held_bytes", "_held_bytes_max", "_parts", "is_long")

    def __init__(self, content_encoding: str = "") -> None:
        self._coded = content_encoding
        self._head: list[bytes] = []
        self._head_bytes = 0
        self._parts: deque[bytes] = deque()
        self._held_bytes = 0
        self._held_bytes_max = CODED_BYTES_MAX if content_encoding else HEAD_BYTES + 2 * TAIL_BYTES
        self.is_long = False
        """Whether bytes of it are gone."""

    @property
    def is_quick(self) -> bool:
        """Whether `text` takes microseconds, and not a millisecond or more."""
        return not self._coded or self._held_bytes <= _QUICK_BYTES

    def take(self, chunk: bytes) -> None:
        """Keep what may matter of the next chunk."""
        self._parts.append(chunk)
        self._held_bytes += len(chunk)
        if self._held_bytes > self._held_bytes_max:
            self._let_go()

    def text(self) -> bytes:
        """What was kept, decoded; empty if that cannot be read."""
        if not self._coded:
            if self._held_bytes > HEAD_BYTES + TAIL_BYTES or self._head:
                self._let_go()
            return b"".join((*self._head, *self._parts))
        if self.is_long:
            return b""
        try:
            return decode(b"".join(self._parts), self._coded, DECODED_BYTES_MAX)
        except EncodingError:
            return b""

    def _let_go(self) -> None:
        parts = self._parts
        while self._head_bytes < HEAD_BYTES and parts and not self._coded:
            self._head.append(parts.popleft())
            self._head_bytes += len(self._head[-1])
            self._held_bytes -= len(self._head[-1])
        while parts and self._held_bytes - len(parts[0]) >= (0 if self._coded else TAIL_BYTES):
            self._held_bytes -= len(parts.popleft())
            self.is_long = True


def usage_in(data: bytes, places: UsageMap) -> Usage | None:
    """The usage told in `data`, parts of an answer, None without any. Of what is told twice the last counts."""
    fields = (
        ("input", places.input),
        ("cache_read", places.cache_read),
        ("cache_write", places.cache_write),
        ("output", places.output),
    )
    told: dict[str, int] = {}
    for found in objects_at(data, places.key):
        for name, paths in fields:
            if (number := _sum_at(found, paths)) is not None:
                told[name] = number
    if not told:
        return None
    cache_read = told.get("cache_read", 0)
    fresh = told.get("input", 0)
    if places.input_has_cache_reads:
        fresh = max(0, fresh - cache_read)
    return Usage(fresh, cache_read, told.get("cache_write", 0), told.get("output", 0))


def _sum_at(found: Mapping[str, Any], paths: tuple[tuple[str, ...], ...]) -> int | None:
    """The sum of the counts at `paths`, None where there are none. Numbers come as text."""
    total = None
    for path in paths:
        value: Any = found
        for key in path:
            value = value.get(key) if type(value) is dict else None
        if type(value) is str and value.isdecimal() and len(value) <= _DIGITS_MAX:
            total = (total or 0) + int(value)
    return total
