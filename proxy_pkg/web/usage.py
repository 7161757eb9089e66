"""What an answer says that it cost: read from a copy of its beginning and its end, after it was relayed.

While an answer passes, references to its chunks are kept and nothing else is done; bounded, whatever its length.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from proxy_pkg.protocols.grammar import UsageMap
from proxy_pkg.wire.encoding import EncodingError, decode
from proxy_pkg.wire.scan import ends_at

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


def usage_in(data: bytes, places: UsageMap) -> Usage | None:
    """The usage told in `data`, parts of an answer, None without any.

    APIs tell it at the end, and some of it at the beginning alone; between these, counts grow. Of what is told twice
    the last counts.
    """
    told: dict[str, int] = {}
    for found in ends_at(data, places.key):
        for name, paths in (
            ("input", places.input),
            ("cache_read", places.cache_read),
            ("cache_write", places.cache_write),
            ("output", places.output),
        ):
            if name not in told and (number := _sum_at(found, paths)) is not None:
                told[name] = number
    if not told:
        return None
    cache_read = told.get("cache_read", 0)
    fresh = told.get("input", 0)
    if places.input_has_cache_reads:
        fresh = max(0, fresh - cache_read)
    return Usage(fresh, cache_read, told.get("cache_write", 0), told.get("output", 0))


def _sum_at(found: Mapping[str, Any], paths: tuple[tuple[str, ...], ...]) -> int | None:
    """The sum of the counts at `paths`, None where there are none."""
    total = None
    for path in paths:
        value = found.get(path[0])
        for key in path[1:] if len(path) > 1 else ():
            value = value.get(key) if type(value) is dict else None
        if type(value) is int and 0 <= value < _NUMBER_MAX:
            total = value if total is None else total + value
    return total
