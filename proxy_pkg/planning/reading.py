"""A body becomes a draft, item by item: what it says, and what is known of each text from earlier turns.

Reading can be stopped between two items and gone on with, so that bodies take turns. How much of a body is read at all
is counted in what it costs, never in time: a conversation grows at its end alone, so what is beyond the bound on one
turn is beyond it on every turn, on every worker.
"""

from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from time import monotonic_ns
from typing import Final

from proxy_pkg.model import DIGEST_BYTES
from proxy_pkg.planning.callers import NO_CALLS, Callers, Calls
from proxy_pkg.planning.draft import TEXT_CHARS_MIN, TEXTS_MAX, Draft, Item, Memos, Place
from proxy_pkg.planning.edits import forgets
from proxy_pkg.planning.find import ITEM_BYTES_MAX, Text, is_worth_reading, outline, question_in
from proxy_pkg.planning.opening import ITEMS_READ_MAX, first_call, opening
from proxy_pkg.planning.prefix import Prefix
from proxy_pkg.planning.watch import NEVER_NS
from proxy_pkg.protocols.grammar import Conversation
from proxy_pkg.wire.scan import cut

COST_MAX: Final = 120_000_000
"""What reading one body may count; about nanoseconds. Two thousand calls of usual size take half of it."""
_ITEM_COST, _OTHER_ITEM_COST = 12_000, 3_000
_BYTE_COST, _ESCAPE_COST, _SURROGATE_COST, _VALUE_COST = 3, 8, 50, 20
_SAMPLE_BYTES: Final = 256 << 10
_TAIL_BYTES: Final = 64 << 10
"""What is looked at behind the items where these were not read to their end."""


def draw(
    body: bytes, conversation: Conversation, memos: Memos, earlier: Calls = NO_CALLS, *, asking: bool = False
) -> Draft:
    """Read `body` and look up what is known of it. Raises ScanError where the body cannot be cut."""
    reading = Reading(body, conversation, memos, earlier, asking=asking)
    reading.go_on()
    return reading.draft


class Reading:
    """A body that is being read."""

    def __init__(
        self, body: bytes, conversation: Conversation, memos: Memos, earlier: Calls = NO_CALLS, *, asking: bool = False
    ) -> None:
        """`earlier` are tool calls, by id, that were made before the body's own first item. With `asking`, each tool
        call is told together with what the user said before it; `memos` must then be used so only.

        Raises ScanError where the body cannot be cut, and so does `go_on`.
        """
        self._body = body
        self._conversation = conversation
        self._memos = memos
        self._earlier = earlier
        self._asking = asking
        self._is_cut_short = False
        # With earlier calls the same bytes may mean other tools, so such a body is neither looked up nor remembered.
        known = None if earlier else memos.prefixes.longest(body, conversation.path)
        self._begin(known)

    def go_on(self, until_ns: int = NEVER_NS) -> bool:
        """Read on. False if it stopped at `until_ns` (monotonic), after the item at hand; then `draft` is not whole."""
        while True:
            for part in self._parts:
                if not self._take(part):
                    break
                if monotonic_ns() > until_ns:
                    return False
            if self._ended():
                return True

    def _begin(self, known: Prefix[Place] | None) -> None:
        body, conversation = self._body, self._conversation
        after = 0 if known is None else len(known.data)
        self._offset, self._parts = cut(body, *conversation.path, after=after)
        self._first: list[bytes] = []
        if known is None:
            head_forgets = forgets(conversation, body[: self._offset])
            self.draft = Draft(body, conversation.path, head_forgets, question="" if self._asking else None)
        else:
            self.draft = Draft(
                body=body,
                items_path=conversation.path,
                head_forgets=known.head_forgets,
                places=list(known.places),
                doubts=list(known.doubts),
                calls=list(known.calls),
                opening=known.opening,
                question=known.question,
                known=len(known.places),
                lender=known,
                seen=known.take_seen(),
                cost=known.cost,
            )
        self._callers = Callers({**self._earlier, **dict(self.draft.calls)}, conversation)

    def _take(self, part: bytes) -> bool:
        """Read one item; False if it is beyond what is read of a body."""
        draft, conversation = self.draft, self._conversation
        is_worth = is_worth_reading(part, conversation)
        cost = draft.cost + _cost(part, is_worth=is_worth)
        if cost > COST_MAX or len(draft.places) >= TEXTS_MAX:
            draft.doubts.append("too_many")
            self._is_cut_short = True
            return False
        draft.cost = cost
        if draft.question is not None:
            draft.question = question_in(part, conversation) or draft.question
        if is_worth:
            _place(_read(part, conversation, self._memos), self._offset, self._callers, draft)
        self._offset += len(part)
        counts = len(draft.places), len(draft.doubts), len(draft.calls)
        draft.marks.append((self._offset, *counts, draft.question, draft.cost, self._callers.is_even))
        if not draft.opening:
            self._open(part, is_worth=is_worth)
        return True

    def _open(self, part: bytes, *, is_worth: bool) -> None:
        """Note how the conversation opens, as soon as that can be told."""
        draft, conversation = self.draft, self._conversation
        if len(self._first) <= ITEMS_READ_MAX:
            self._first.append(part)
        call = first_call(self._earlier, draft.calls)
        if call is None or not (is_worth or len(self._first) > ITEMS_READ_MAX):
            return
        first: Iterator[bytes] = iter(self._first)
        if draft.lender is not None:
            _, first = cut(self._body, *conversation.path)
        draft.opening = opening(first, call, conversation)

    def _ended(self) -> bool:
        """What follows from the whole body. False if it has to be read again, without what was known of it."""
        draft, conversation = self.draft, self._conversation
        # Elsewhere these signs stand in the words of a tool, so where the end was not reached it is looked at alone.
        rest = max(self._offset, len(draft.body) - _TAIL_BYTES) if self._is_cut_short else self._offset
        draft.may_refer = not (draft.head_forgets or forgets(conversation, draft.body[rest:]))
        if draft.lender is not None and draft.may_refer != draft.lender.may_refer:
            self._is_cut_short = False
            self._begin(None)
            return False
        if not draft.opening and self._earlier:
            draft.opening = opening(self._first, first_call(self._earlier, draft.calls), conversation)
        draft.recall()
        draft.newest = len(draft.places) if self._is_cut_short else _newest(draft)
        # Nor with results of calls that stand elsewhere: another caller's may be others.
        if self._earlier or (draft.missing and conversation.answer is not None):
            draft.marks.clear()
        return True


def _newest(draft: Draft) -> int:
    """The first place of the newest message."""
    ends = [draft.known, *(mark[1] for mark in draft.marks)]
    at = len(ends) - 1
    # The results of a message may be several items; before them stands the call, an item without results.
    while at > 0 and ends[at] > ends[at - 1]:
        at -= 1
    return ends[at]


def _cost(part: bytes, *, is_worth: bool) -> int:
    """What reading an item counts, a pure function of its bytes; of a long one, of what its beginning looks like."""
    sample = part[:_SAMPLE_BYTES]
    escapes = sample.count(b"\\")
    values = max(0, sample.count(b'"') - escapes) + sample.count(b",") // 4
    if is_worth and len(part) <= ITEM_BYTES_MAX:
        has_surrogates = b"\\ud" in sample or b"\\uD" in sample
        letters = _BYTE_COST * len(sample) + (_SURROGATE_COST if has_surrogates else _ESCAPE_COST) * escapes
    else:  # it is passed, and not read
        letters = len(sample) // 2
    inside = letters + _VALUE_COST * values
    if len(part) > len(sample):
        inside = inside * len(part) // len(sample)
    return inside + (_ITEM_COST if is_worth else _OTHER_ITEM_COST)


def _read(part: bytes, conversation: Conversation, memos: Memos) -> Item:
    if len(part) > ITEM_BYTES_MAX:  # left unread: its digest would take longer than that
        return Item(b"", outline(part, conversation))
    key = _item_key(part, conversation)
    item = memos.items.get(key)
    if item is None:
        item = Item(key, outline(part, conversation))
        memos.items.put(key, item, item.size_bytes)
    return item


def _item_key(part: bytes, conversation: Conversation) -> bytes:
    digest = blake2b(part, digest_size=DIGEST_BYTES, person=_person(conversation.signs))
    return digest.digest()


@cache
def _person(signs: tuple[bytes, ...]) -> bytes:
    """Tells the grammars apart: equal bytes may mean other things in another one."""
    return blake2b(repr(signs).encode(), digest_size=blake2b.PERSON_SIZE).digest()


def _place(item: Item, offset: int, callers: Callers, draft: Draft) -> None:
    found = item.outline
    if found.doubt:
        draft.doubts.append(found.doubt)
    draft.calls += found.calls
    callers.make(found.calls)
    answers = callers.answer(found.answers)
    question = draft.question or ""
    last = draft.places[-1] if draft.places else None
    rank = 0 if last is None else last.rank + _counts(last.text)
    for index, text in enumerate(found.texts[: TEXTS_MAX - len(draft.places)]):
        if text.call and text.answer < 0 and text.call not in callers.producers:
            draft.missing.append(len(draft.places))
        draft.places.append(Place(item, index, offset, callers.of(text, question, answers), rank, text.is_ours))
        rank += _counts(text)


def _counts(text: Text) -> bool:
    """Whether a text is one of those that may change."""
    return len(text.text) >= TEXT_CHARS_MIN
