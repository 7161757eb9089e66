"""On what terms texts are decided: the settings, the time there is, and which way each text went before."""

from typing import Protocol

from msgspec import Struct

from proxy_pkg.planning.draft import Memos, Place
from proxy_pkg.planning.policy import Rules, Tokens
from proxy_pkg.planning.watch import Watch

LEFT_ALONE, SHORTENED = 0, 1
_REFERENCES = b"references"
_CONVERSATION = b"conversation"


class Ways(Protocol):
    """What all workers know of texts sent before: which of the two ways each took first (store/decision_table.py)."""

    def key(self, group: bytes, *parts: bytes, caller: int = 0) -> int: ...
    def get(self, key: int) -> int | None: ...
    def first(self, key: int, way: int) -> int: ...


class CallersWays:
    """The marks of one caller, a small number: they count as its own where room runs short. What holds for all
    conversations is nobody's own.
    """

    def __init__(self, ways: Ways, caller: int) -> None:
        self._ways = ways
        self._caller = caller
        self.get = ways.get
        self.first = ways.first

    def key(self, group: bytes, *parts: bytes, caller: int = 0) -> int:
        return self._ways.key(group, *parts, caller=(caller or self._caller) if group else 0)


class Terms(Struct, frozen=True):
    """What one request's texts are decided by. `deadline_ns` is monotonic."""

    rules: Rules
    tokens: Tokens
    memos: Memos
    deadline_ns: int
    ways: Ways | None
    watch: Watch


def key_of(place: Place, opening: bytes, ways: Ways) -> int:
    """The key of a text as a result of its tool, in the conversation that opens so; in all with an empty opening."""
    return ways.key(opening, place.digest, _named(place))


class Mark:
    """Which way a text went first. Each conversation has its own, since only its own turns have to agree: a text that
    one had no time for can be shortened in the next. What must never be tried again is marked for all of them.
    """

    def __init__(self, place: Place, opening: bytes, ways: Ways) -> None:
        self._ways = ways
        self.key = key_of(place, opening, ways)
        self.everywhere = key_of(place, b"", ways) if opening else self.key
        self.way = ways.get(self.key)
        if self.way is None and opening and ways.get(self.everywhere) == LEFT_ALONE:
            self.first(LEFT_ALONE)

    def first(self, way: int) -> int:
        """Mark the text with `way`, unless it is marked; returns the way that now holds."""
        self.way = self._ways.first(self.key, way)
        return self.way


def references_key(place: Place, opening: bytes, ways: Ways) -> int:
    """The key of whether lines of a text are references, in the conversation that opens so.

    An equal text further on has its own: the first of them has nothing to point at, and says nothing of the others.
    """
    return ways.key(opening, place.digest, _named(place), place.rank.to_bytes(4), _REFERENCES)


def conversation_key(opening: bytes, ways: Ways) -> int:
    """The key of the conversation itself. SHORTENED once any text of it was sent shorter, LEFT_ALONE once it could not
    be read in time (docs/decisions/reading-in-time.md); whichever was first holds.
    """
    return ways.key(opening, _CONVERSATION)


def is_left_alone(opening: bytes, ways: Ways | None) -> bool:
    """Whether the conversation that opens so could not be read in time once, so that it is left as it is."""
    return bool(ways is not None and opening and ways.get(conversation_key(opening, ways)) == LEFT_ALONE)


def _named(place: Place) -> bytes:
    return place.producer.name.encode("utf-8", "surrogatepass")
