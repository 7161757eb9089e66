"""A body and its map become a plan: the replacements to splice in, and what was found on the way.

Three steps, so that the heavy one can run elsewhere: `draw` reads the body and looks up what is known, `settle`
decides what is new, `compose` puts both together.
"""

from collections.abc import Hashable
from time import monotonic_ns

from msgspec import Struct

from proxy_pkg.model import Producer, Replacement, Verdict
from proxy_pkg.planning.find import Outline, Text, is_worth_reading, outline
from proxy_pkg.planning.memo import Memo
from proxy_pkg.planning.policy import Count, Rules, decide
from proxy_pkg.planning.rewrite import literal
from proxy_pkg.protocols.grammar import Conversation
from proxy_pkg.wire.scan import split

_UNKNOWN = Producer()


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

    places: list[Place]
    pending: list[Place]
    doubts: list[str]
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
    """What this worker remembers: items by their bytes, verdicts by text and tool call."""

    def __init__(self, bytes_max: int) -> None:
        self.items: Memo[Item] = Memo(bytes_max * 3 // 4)
        self.verdicts: Memo[Decided] = Memo(bytes_max // 4)


def draw(body: bytes, conversation: Conversation, memos: Memos) -> Draft:
    """Read `body` and look up what is known of it. Raises ScanError where the body cannot be cut."""
    offset, parts = split(body, conversation.items)
    draft = Draft([], [], [])
    producers: dict[str, Producer] = {}
    for part in parts:
        if is_worth_reading(part, conversation):
            key = (conversation.signs, part)
            item = memos.items.get(key) or _read(key, part, conversation, memos)
            _place(item, offset, producers, draft)
        offset += len(part)
    return draft


def settle(draft: Draft, rules: Rules, count: Count, memos: Memos, deadline_ns: int) -> None:
    """Decide what is pending. What `deadline_ns` (monotonic) cuts off is left alone, and says so."""
    for place in draft.pending:
        if draft.abandoned:
            return
        text = place.text.text
        key = (text, place.producer.name, repr(place.producer.arguments))
        decided = memos.verdicts.get(key)
        if decided is None:
            late = monotonic_ns() > deadline_ns
            verdict = Verdict("deadline") if late else decide(text, place.producer, rules, count)
            decided = Decided(place.producer, verdict, literal(verdict))
            memos.verdicts.put(key, decided, len(text) + len(decided.literal or b""))
        place.settle(decided)


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
    producers.update(found.calls)
    for index, text in enumerate(found.texts):
        producer = producers.get(text.call) or (Producer(text.tool) if text.tool else _UNKNOWN)
        place = Place(item, index, offset, producer)
        draft.places.append(place)
        if not place.recall():
            draft.pending.append(place)
