"""A body as it was read: its texts in order, and what is known of each from earlier turns."""

from hashlib import blake2b
from sys import getsizeof
from typing import Final
from weakref import ref

from msgspec import Struct

from proxy_pkg.compressors.json_wrapper import line_breaks
from proxy_pkg.model import DIGEST_BYTES, Producer, Verdict
from proxy_pkg.planning.callers import call_bytes
from proxy_pkg.planning.equal import output_digest
from proxy_pkg.planning.find import Outline, Text
from proxy_pkg.planning.labels import Form
from proxy_pkg.planning.memo import Memo
from proxy_pkg.planning.prefix import Prefix, Prefixes
from proxy_pkg.planning.references import Lines, Names, Run, Seen

_ITEMS_THAT_CHANGE = 3
_BODY_BYTES_MIN = 4096  # a shorter body is read again as fast as it is looked up

TEXT_CHARS_MIN: Final = 160
"""Below this no form can win by the margin and a header's worth of tokens: such a text never changes."""
TEXTS_MAX: Final = 8192
"""Texts of one body that are looked at. A conversation grows at its end alone, so what is beyond stays as it is."""
CANDIDATES_MAX: Final = 2048
"""Texts of one body that may change, likewise: as many as the marks have room for (store/decision_table.py)."""

# What objects take in memory beside the characters that they hold, as measured.
_ITEM_BYTES, _TEXT_BYTES, _DECIDED_BYTES, _RUN_BYTES, _PLACE_BYTES = 900, 450, 450, 160, 160


class Decided(Struct, frozen=True):
    """A verdict, the digest of the tool call it was made for, and the bytes to send instead of the text, if any."""

    producer: bytes
    verdict: Verdict
    literal: bytes | None
    runs: tuple[Run, ...] = ()
    """Lines of the text that became references to earlier texts."""

    @property
    def size_bytes(self) -> int:
        """What it takes in memory."""
        text = 0 if self.verdict.text is None else getsizeof(self.verdict.text)
        return _DECIDED_BYTES + text + len(self.literal or b"") + _RUN_BYTES * len(self.runs)


class Item:
    """One item of a conversation as it was read, and what was decided about each of its texts by itself.

    `decided` also says in which conversation (its opening): elsewhere the same text may have gone another way.
    """

    __slots__ = ("_digests", "_lines", "_outputs", "_read_bytes", "decided", "key", "outline")

    def __init__(self, key: bytes, found: Outline) -> None:
        self.key = key
        self.outline = found
        self._read_bytes = _ITEM_BYTES
        self._read_bytes += sum(_TEXT_BYTES + len(text.call) + getsizeof(text.text) for text in found.texts)
        self._read_bytes += sum(map(call_bytes, found.calls))
        self.decided: list[tuple[Decided, bytes] | None] = [None] * len(found.texts)
        self._lines: dict[tuple[int, Form], ref[Lines]] = {}
        self._digests: dict[int, bytes] = {}
        self._outputs: dict[int, bytes] = {}

    def lines(self, index: int, form: Form) -> Lines:
        """One of its texts as lines, split once for as long as an index holds them."""
        held = self._lines.get((index, form))
        if held is None or (lines := held()) is None:
            lines = Lines(self.outline.texts[index].text, form)
            self._lines[index, form] = ref(lines)
        return lines

    def digest(self, index: int) -> bytes:
        """What one of its texts is told from others by, made once."""
        if (digest := self._digests.get(index)) is None:
            text = self.outline.texts[index].text.encode("utf-8", "surrogatepass")
            digest = self._digests[index] = blake2b(text, digest_size=DIGEST_BYTES).digest()
        return digest

    def output(self, index: int) -> bytes:
        """What the output in one of its texts is told from others by (equal.py), made once."""
        if (digest := self._outputs.get(index)) is None:
            digest = self._outputs[index] = output_digest(self.outline.texts[index].text)
        return digest

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, with what was decided about its texts."""
        return self._read_bytes + sum(held[0].size_bytes for held in self.decided if held is not None)


class Place(Struct):
    """A text in a body: the item it stands in, which of its texts, where the item begins, and its tool call.

    `decided` is what holds for the text by itself, until references were looked for.
    """

    item: Item
    index: int
    offset: int
    producer: Producer
    rank: int = 0
    """How many texts that may change stand before it in the body."""
    was_planned: bool = False
    """It bears marks of our forms: another server of ours has planned it, or it imitates them."""
    decided: Decided | None = None

    @property
    def may_change(self) -> bool:
        """Whether its length, its place and what became of it before let it change at all."""
        return len(self.text.text) >= TEXT_CHARS_MIN and self.rank < CANDIDATES_MAX and not self.was_planned

    @property
    def key(self) -> bytes:
        """What its verdict is found by: a pure function of text and tool call."""
        return self.digest + self.producer.digest

    @property
    def text(self) -> Text:
        return self.item.outline.texts[self.index]

    @property
    def digest(self) -> bytes:
        return self.item.digest(self.index)

    def recall(self, opening: bytes) -> bool:
        """Take over what was decided on an earlier turn; False if that was for another tool call, in another
        conversation, or never.
        """
        self.decided = None
        decided, where = self.item.decided[self.index] or (None, b"")
        if decided is None or where != opening:
            return False
        if decided.producer != self.producer.digest:
            return False
        self.decided = decided
        return True

    def settle(self, decided: Decided, opening: bytes) -> None:
        self.decided = decided
        self.item.decided[self.index] = decided, opening


class Draft(Struct):
    """A body's texts in order, those not yet decided, and why items were left unread."""

    body: bytes
    items_path: tuple[str, ...]
    head_forgets: bool
    """What stands before the items tells the API to drop old results."""
    places: list[Place] = []
    pending: list[Place] = []
    settled: int = 0
    """How many of the pending are decided by now."""
    doubts: list[str] = []
    calls: list[tuple[str, Producer]] = []
    opening: bytes = b""
    """Tells this conversation from others, on every turn of it (opening.py); empty before its first tool call."""
    question: str | None = None
    """What the user said last, None where nobody asks for it."""
    missing: list[int] = []
    """Places whose results name a call that is not in the body."""
    known: int = 0
    """Places before this one were settled on an earlier turn, references included."""
    newest: int = 0
    """Places from this one on are in the newest message, which no server has sent before."""
    lender: Prefix["Place"] | None = None
    """The known conversation that the draft reads on from, and took the index of."""
    seen: Seen | None = None
    names: Names | None = None
    """What references call the texts, as far as they were looked at."""
    is_late: bool | None = None
    """Whether the time was over before lines that repeat were looked for to the end; None if it was not asked."""
    may_refer: bool = True
    fresh: dict[bytes, Decided] = {}
    """What was decided now, by keys of the memo. A thread that may be broken off writes here, and to no memo."""
    alike: dict[bytes, list[tuple[Producer, Decided]]] = {}
    """What was decided now, by texts: of calls that differ in nothing that matters, one is enough."""
    reread: dict[bytes, Item] = {}
    """Items that something was decided about now."""
    density: float | None = None
    """Tokens to a character of what is pending, once that was asked."""
    abandoned: bool = False
    """Nobody waits for it any more; what is still pending need not be decided."""
    cost: int = 0
    """What reading it so far counts (reading.py)."""
    marks: list[tuple[int, int, int, int, str | None, int, bool]] = []
    """Ends of items that were read now: the offset, how many places, doubts and calls came up to it, the question, the
    cost, and whether reading may be gone on with from there.
    """

    def recall(self) -> None:
        """Take over what was decided on earlier turns; the rest is pending."""
        self.pending = [place for place in self.places[self.known :] if not place.recall(self.opening)]

    @property
    def pending_chars(self) -> int:
        """How much text is to be decided."""
        return sum(len(place.text.text) for place in self.pending[self.settled :])

    @property
    def unindexed_chars(self) -> int:
        """How much text is to be looked through for lines that repeat."""
        known = self.known if self.seen is not None else 0
        return sum(len(place.text.text) for place in self.places[known:])

    @property
    def unindexed_lines(self) -> int:
        """How many lines these have."""
        known = self.known if self.seen is not None else 0
        return sum(line_breaks(place.text.text) for place in self.places[known:])


class Memos:
    """What this worker remembers: conversations, items by their bytes, verdicts by text and tool call."""

    def __init__(self, bytes_max: int) -> None:
        self.items: Memo[Item] = Memo(bytes_max // 4)
        self.verdicts: Memo[Decided] = Memo(bytes_max // 4)
        self.prefixes: Prefixes[Place] = Prefixes(bytes_max // 2)


def note(draft: Draft, memos: Memos) -> None:
    """Keep what was decided so far, even if the draft itself comes to nothing."""
    for key, decided in tuple(draft.fresh.items()):
        memos.verdicts.put(key, decided, decided.size_bytes)
    for item in tuple(draft.reread.values()):
        memos.items.put(item.key, item, item.size_bytes)


def remember(draft: Draft, memos: Memos) -> None:
    """Keep the settled draft for the next turn, but for its newest items.

    Clients move their cache marks with each turn, so these come back with other bytes.
    """
    note(draft, memos)
    old = draft.marks[: max(0, len(draft.marks) - _ITEMS_THAT_CHANGE)]
    while old and not old[-1][-1]:
        old.pop()
    if not old or len(draft.body) < _BODY_BYTES_MIN:
        if draft.lender is not None and draft.seen is not None:
            draft.lender.seen.append(draft.seen)  # too little is new to be kept: the index goes back
        return
    offset, places, doubts, calls, question, cost, _ = old[-1]
    first = 0 if draft.lender is None else draft.known
    held_bytes = 0 if draft.lender is None else draft.lender.held_bytes
    held_bytes += sum(map(_place_bytes, draft.places[first:places]))
    held_bytes += sum(map(call_bytes, draft.calls[0 if draft.lender is None else len(draft.lender.calls) : calls]))
    if not memos.prefixes.takes(offset + held_bytes):
        return
    memos.prefixes.remember(
        Prefix(
            items_path=draft.items_path,
            data=draft.body[:offset],
            head_forgets=draft.head_forgets,
            may_refer=draft.may_refer,
            places=draft.places[:places],
            calls=draft.calls[:calls],
            doubts=draft.doubts[:doubts],
            opening=draft.opening if calls else b"",
            question=question,
            cost=cost,
            held_bytes=held_bytes,
            seen=[] if draft.seen is None else [draft.seen],
        )
    )


def _place_bytes(place: Place) -> int:
    """What a place keeps in memory; an item counts with the first of its places."""
    return _PLACE_BYTES + (place.item.size_bytes if place.index == 0 else 0)
