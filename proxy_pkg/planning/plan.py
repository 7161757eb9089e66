"""A draft becomes a plan: the replacements to splice in, and what was decided on the way.

Three steps, so that the heavy one can run elsewhere: `draw` (draft.py) reads the body and looks up what is known,
`settle` decides what is new, `compose` puts both together.
"""

from time import monotonic_ns
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from proxy_pkg.model import Replacement, Verdict
from proxy_pkg.planning.draft import Decided, Draft, Memos, Place
from proxy_pkg.planning.policy import Rules, Tokens, decide
from proxy_pkg.planning.refer import refer
from proxy_pkg.planning.rewrite import literal
from proxy_pkg.planning.watch import NO_WATCH, Watch

LEFT_ALONE, SHORTENED = 0, 1


class Ways(Protocol):
    """What all workers know of texts sent before: which of the two ways each took first (store/marks.py)."""

    def key(self, group: bytes, *parts: bytes) -> int: ...
    def get(self, key: int) -> int | None: ...
    def first(self, key: int, way: int) -> int: ...


class Plan(Struct, frozen=True):
    """What should happen to a body. Token figures are estimates over the tool results that it holds."""

    replacements: tuple[Replacement, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    doubts: tuple[str, ...] = ()
    opening: bytes = b""
    """Tells the conversation from others; empty before its first tool call."""

    @property
    def tokens_before(self) -> int:
        return sum(verdict.tokens_before for verdict in self.verdicts)

    @property
    def tokens_after(self) -> int:
        return sum(verdict.tokens_after for verdict in self.verdicts)


def left_alone(plan: Plan, reason: str) -> Plan:
    """The plan with every text staying as it is, for `reason`."""
    verdicts = (
        replace(verdict, reason=reason, compressor="", grade=None, text=None, tokens_after=verdict.tokens_before)
        for verdict in plan.verdicts
    )
    return Plan((), tuple(verdicts), plan.doubts, plan.opening)


def settle(
    draft: Draft,
    rules: Rules,
    tokens: Tokens,
    memos: Memos,
    deadline_ns: int,
    ways: Ways | None = None,
    watch: Watch = NO_WATCH,
) -> None:
    """Decide what is pending. A text that is new to all workers when `deadline_ns` (monotonic) has passed is left
    alone, and stays so; one that was sent shorter before is made shorter again, however late it is.
    """
    for place in draft.pending:
        if draft.abandoned:
            return
        place.settle(_decided(place, draft.opening, rules, tokens, memos, deadline_ns, ways, watch), draft.opening)
    refer(draft, rules, tokens, memos)


def leave_alone(draft: Draft, memos: Memos, ways: Ways | None = None) -> None:
    """Leave alone, at once and for good, what is pending and new to all workers: there is no time for it.

    What was sent shorter before stays pending.
    """
    pending = []
    for place in draft.pending:
        mark = None if ways is None else Mark(place, draft.opening, ways)
        decided = memos.verdicts.get(_memo_key(place))
        if mark is not None and mark.way == LEFT_ALONE:
            decided = _left(place, "busy")
        elif decided is not None:
            decided = _in_its_way(decided, mark)
        elif mark is not None and mark.first(LEFT_ALONE) == SHORTENED:
            pending.append(place)
            continue
        else:
            decided = _left(place, "busy")
            if mark is None:
                memos.verdicts.put(_memo_key(place), decided, len(place.text.text))
        place.settle(decided, draft.opening)
    draft.pending = pending


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
    return Plan(tuple(replacements), tuple(verdicts), tuple(draft.doubts), draft.opening)


def _memo_key(place: Place) -> tuple[str, str, str, str]:
    producer = place.producer
    return place.text.text, producer.name, repr(producer.arguments), producer.question


def key_of(place: Place, opening: bytes, ways: Ways) -> int:
    """The key of a text as a result of its tool, in the conversation that opens so; in all with an empty opening."""
    return ways.key(opening, place.digest, place.producer.name.encode("utf-8", "surrogatepass"))


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


def _decided(
    place: Place,
    opening: bytes,
    rules: Rules,
    tokens: Tokens,
    memos: Memos,
    deadline_ns: int,
    ways: Ways | None,
    watch: Watch,
) -> Decided:
    mark = None if ways is None else Mark(place, opening, ways)
    key = _memo_key(place)
    known = memos.verdicts.get(key)
    if mark is not None and mark.way == LEFT_ALONE:
        return _left(place, "deadline")
    if known is not None:
        return _in_its_way(known, mark)
    if (mark is None or mark.way is None) and monotonic_ns() > deadline_ns:
        if mark is None:
            memos.verdicts.put(key, _left(place, "deadline"), len(place.text.text))
        if mark is None or mark.first(LEFT_ALONE) == LEFT_ALONE:
            return _left(place, "deadline")
    watch.begin(mark.everywhere if mark else 0, has_form=mark is not None and mark.way == SHORTENED)
    try:
        verdict = decide(place.text.text, place.producer, rules, tokens)
    finally:
        watch.end()
    decided = Decided(place.producer, verdict, literal(verdict))
    memos.verdicts.put(key, decided, len(place.text.text) + len(decided.literal or b""))
    return _in_its_way(decided, mark)


def _in_its_way(decided: Decided, mark: Mark | None) -> Decided:
    """What was decided about a text by itself, unless its conversation has it another way."""
    verdict = decided.verdict
    if mark is None:
        return decided
    if verdict.reason == "compressor_failed":
        mark.first(LEFT_ALONE)  # it might not fail again, nor elsewhere
        return Decided(decided.producer, Verdict(verdict.reason), None)
    if verdict.text is not None and mark.first(SHORTENED) == LEFT_ALONE:
        return Decided(decided.producer, Verdict("deadline"), None)
    return decided


def _left(place: Place, reason: str) -> Decided:
    return Decided(place.producer, Verdict(reason), None)
