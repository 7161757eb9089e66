"""A body and its map become a plan: the replacements to splice in, and what was found on the way.

Three steps, so that the heavy one can run elsewhere: `draw` reads the body and looks up what is known, `settle`
decides what is new, `compose` puts both together.
"""

from collections.abc import Hashable, Mapping
from time import monotonic_ns
from typing import Protocol

from msgspec import Struct

from proxy_pkg.model import Producer, Replacement, Verdict
from proxy_pkg.planning.find import Outline, Text, is_worth_reading, outline
from proxy_pkg.planning.memo import Memo
from proxy_pkg.planning.policy import Count, Rules, decide
from proxy_pkg.planning.prefix import Prefix, Prefixes
from proxy_pkg.planning.rewrite import literal
from proxy_pkg.protocols.grammar import Conversation
from proxy_pkg.wire.scan import split

Calls = Mapping[str, Producer]
"""Tool calls by their ids."""

NO_CALLS: Calls = {}
_UNKNOWN = Producer()
_ITEMS_THAT_CHANGE = 3


LEFT_ALONE, SHORTENED = 0, 1


class Ways(Protocol):
    """What all workers know of texts sent before: which of the two ways each took first (store/marks.py)."""

    def key(self, *parts: bytes) -> int: ...
    def get(self, key: int) -> int | None: ...
    def first(self, key: int, way: int) -> int: ...


class Decided(Struct, frozen=True):
    """A verdict, the tool call it was made for, and the bytes to send instead of the text, if any."""

    producer: Producer
    verdict: Verdict
    literal: bytes | None


class Item:
    """One item of a conversation as it was read, and what was decided about each of its texts."""

    __slots__ = ("decided", "outline")

    def __init__(self, found: Outline) -> None:
        self.outline = found
        self.decided: list[Decided | None] = [None] * len(found.texts)


class Place(Struct):
    """A text in a body: the item it stands in, which of its texts, where the item begins, and its tool call."""

    item: Item
    index: int
    offset: int
    producer: Producer
    decided: Decided | None = None

    @property
    def text(self) -> Text:
        return self.item.outline.texts[self.index]

    def recall(self) -> bool:
        """Take over what was decided on an earlier turn; False if that was for another tool call, or never."""
        decided = self.item.decided[self.index]
        if decided is None or (decided.producer is not self.producer and decided.producer != self.producer):
            return False
        self.decided = decided
        return True

    def settle(self, decided: Decided) -> None:
        self.decided = self.item.decided[self.index] = decided


class Draft(Struct):
    """A body's texts in order, those not yet decided, and why items were left unread."""

    body: bytes
    items_key: str
    places: list[Place]
    pending: list[Place]
    doubts: list[str]
    calls: list[tuple[str, Producer]]
    marks: list[tuple[int, int, int, int]]
    """Ends of items that were read now: the offset, and how many places, doubts and calls came up to it."""
    abandoned: bool = False
    """Nobody waits for it any more; what is still pending need not be decided."""

    @property
    def pending_chars(self) -> int:
        return sum(len(place.text.text) for place in self.pending)


class Plan(Struct, frozen=True):
    """What should happen to a body. Token figures are estimates over the tool results that it holds."""

    replacements: tuple[Replacement, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def tokens_before(self) -> int:
        return sum(verdict.tokens_before for verdict in self.verdicts)

    @property
    def tokens_after(self) -> int:
        return sum(verdict.tokens_after for verdict in self.verdicts)


class Memos:
    """What this worker remembers: conversations, items by their bytes, verdicts by text and tool call."""

    def __init__(self, bytes_max: int) -> None:
        self.items: Memo[Item] = Memo(bytes_max // 2)
        self.verdicts: Memo[Decided] = Memo(bytes_max // 4)
        self.prefixes: Prefixes[Place] = Prefixes(bytes_max // 4)


def draw(body: bytes, conversation: Conversation, memos: Memos, earlier: Calls = NO_CALLS) -> Draft:
    """Read `body` and look up what is known of it. Raises ScanError where the body cannot be cut.

    `earlier` are tool calls, by id, that were made before the body's own first item.
    """
    draft = Draft(body, conversation.items, [], [], [], [], [])
    # With earlier calls the same bytes may mean other tools, so such a body is neither looked up nor remembered.
    known = None if earlier else memos.prefixes.longest(body, conversation.items)
    if known is None:
        offset, parts = split(body, conversation.items)
    else:
        draft.places += known.places
        draft.doubts += known.doubts
        draft.calls += known.calls
        offset, parts = _split_rest(body, len(known.data), conversation.items)
    producers = {**earlier, **dict(draft.calls)}
    for part in parts:
        if is_worth_reading(part, conversation):
            key = (conversation.signs, part)
            item = memos.items.get(key) or _read(key, part, conversation, memos)
            _place(item, offset, producers, draft)
        offset += len(part)
        if not earlier:
            draft.marks.append((offset, len(draft.places), len(draft.doubts), len(draft.calls)))
    return draft


def _split_rest(body: bytes, offset: int, key: str) -> tuple[int, list[bytes]]:
    """Split what follows the item that ends at `offset`, as if an array began there.

    The parts keep their comma and blanks, as those of a whole body do.
    """
    opening = b'{"%s":[{}' % key.encode()
    _, parts = split(opening + body[offset:], key)
    return offset, parts[1:]


def settle(draft: Draft, rules: Rules, count: Count, memos: Memos, deadline_ns: int, ways: Ways | None = None) -> None:
    """Decide what is pending. A text that is new to all workers when `deadline_ns` (monotonic) has passed is left
    alone, and stays so; one that was sent shorter before is made shorter again, however late it is.
    """
    for place in draft.pending:
        if draft.abandoned:
            return
        text = place.text.text
        key = (text, place.producer.name, repr(place.producer.arguments))
        decided = memos.verdicts.get(key)
        if decided is None:
            verdict = _decide(place, rules, count, deadline_ns, ways)
            decided = Decided(place.producer, verdict, literal(verdict))
            memos.verdicts.put(key, decided, len(text) + len(decided.literal or b""))
        place.settle(decided)


def _decide(place: Place, rules: Rules, count: Count, deadline_ns: int, ways: Ways | None) -> Verdict:
    text, producer = place.text.text, place.producer
    key = 0
    way: int | None = None
    if ways is not None:
        key = ways.key(text.encode("utf-8", "surrogatepass"), producer.name.encode("utf-8", "surrogatepass"))
        way = ways.get(key)
    if way is None and monotonic_ns() > deadline_ns:
        way = LEFT_ALONE if ways is None else ways.first(key, LEFT_ALONE)
    if way == LEFT_ALONE:
        return Verdict("deadline")
    verdict = decide(text, producer, rules, count)
    if verdict.text is not None and ways is not None and ways.first(key, SHORTENED) == LEFT_ALONE:
        return Verdict("deadline")
    return verdict


def remember(draft: Draft, memos: Memos) -> None:
    """Keep the settled draft for the next turn, but for its newest items.

    Clients move their cache marks with each turn, so these come back with other bytes.
    """
    if len(draft.marks) <= _ITEMS_THAT_CHANGE:
        return
    offset, places, doubts, calls = draft.marks[-1 - _ITEMS_THAT_CHANGE]
    memos.prefixes.remember(
        Prefix(
            items_key=draft.items_key,
            data=draft.body[:offset],
            places=draft.places[:places],
            calls=draft.calls[:calls],
            doubts=draft.doubts[:doubts],
        )
    )


def compose(draft: Draft) -> Plan:
    """The plan of a draft in which everything is settled."""
    replacements: list[Replacement] = []
    verdicts: list[Verdict] = []
    for place in draft.places:
        decided = place.decided
        assert decided is not None, "compose before settle"
        verdicts.append(decided.verdict)
        if decided.literal is not None:
            text = place.text
            replacements.append(Replacement(place.offset + text.start, place.offset + text.end, decided.literal))
    replacements.sort(key=lambda replacement: replacement.start)
    return Plan(tuple(replacements), tuple(verdicts), tuple(draft.doubts))


def _read(key: Hashable, part: bytes, conversation: Conversation, memos: Memos) -> Item:
    found = outline(part, conversation)
    item = Item(found)
    memos.items.put(key, item, len(part) + sum(2 * len(text.text) for text in found.texts))
    return item


def _place(item: Item, offset: int, producers: dict[str, Producer], draft: Draft) -> None:
    found = item.outline
    if found.doubt:
        draft.doubts.append(found.doubt)
    draft.calls += found.calls
    producers.update(found.calls)
    for index, text in enumerate(found.texts):
        producer = producers.get(text.call) or (Producer(text.tool) if text.tool else _UNKNOWN)
        place = Place(item, index, offset, producer)
        draft.places.append(place)
        if not place.recall():
            draft.pending.append(place)
