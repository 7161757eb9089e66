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

    def key(self, *parts: bytes) -> int: ...
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
        text = place.text.text
        key = _memo_key(place)
        decided = memos.verdicts.get(key)
        if decided is None:
            verdict = _decide(place, rules, tokens, deadline_ns, ways, watch)
            decided = Decided(place.producer, verdict, literal(verdict))
            memos.verdicts.put(key, decided, len(text) + len(decided.literal or b""))
        place.settle(decided)
    refer(draft, rules, tokens, memos)


def leave_alone(draft: Draft, memos: Memos, ways: Ways | None = None) -> None:
    """Leave alone, at once and for good, what is pending and new to all workers: there is no time for it.

    What was sent shorter before stays pending.
    """
    pending = []
    for place in draft.pending:
        text, key = place.text.text, _memo_key(place)
        decided = memos.verdicts.get(key)
        if decided is None:
            if ways is not None and ways.first(_key(place, ways), LEFT_ALONE) == SHORTENED:
                pending.append(place)
                continue
            decided = Decided(place.producer, Verdict("busy"), None)
            memos.verdicts.put(key, decided, len(text))
        place.settle(decided)
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


def _key(place: Place, ways: Ways) -> int:
    parts = place.text.text, place.producer.name
    return ways.key(*(part.encode("utf-8", "surrogatepass") for part in parts))


def _decide(place: Place, rules: Rules, tokens: Tokens, deadline_ns: int, ways: Ways | None, watch: Watch) -> Verdict:
    key = 0
    way: int | None = None
    if ways is not None:
        key = _key(place, ways)
        way = ways.get(key)
    if way is None and monotonic_ns() > deadline_ns:
        way = LEFT_ALONE if ways is None else ways.first(key, LEFT_ALONE)
    if way == LEFT_ALONE:
        return Verdict("deadline")
    watch.begin(key, has_form=way == SHORTENED)
    try:
        verdict = decide(place.text.text, place.producer, rules, tokens)
    finally:
        watch.end()
    if ways is None:
        return verdict
    if verdict.reason == "compressor_failed":
        ways.first(key, LEFT_ALONE)  # it might not fail again, nor elsewhere
    elif verdict.text is not None and ways.first(key, SHORTENED) == LEFT_ALONE:
        return Verdict("deadline")
    return verdict
