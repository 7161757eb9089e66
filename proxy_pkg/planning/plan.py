"""A draft becomes a plan: the replacements to splice in, and what was decided on the way.

Three steps, so that the heavy one can run elsewhere: `draw` (draft.py) reads the body and looks up what is known,
`settle` decides what is new, `compose` puts both together.
"""

from time import monotonic_ns
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from proxy_pkg.model import Replacement, Verdict
from proxy_pkg.planning.density import density_of
from proxy_pkg.planning.draft import TEXT_CHARS_MIN, Decided, Draft, Memos, Place
from proxy_pkg.planning.policy import Rules, Tokens, decide, kept, traits
from proxy_pkg.planning.refer import refer
from proxy_pkg.planning.rewrite import literal
from proxy_pkg.planning.terms import LEFT_ALONE, SHORTENED, Mark, Terms, Ways
from proxy_pkg.planning.watch import NEVER_NS, NO_WATCH, Watch

PLANNED_BEFORE: Final = "planned_before"
"""The reason for a text that another server of ours has planned already."""
_TWINS_MAX = 4


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
    until_ns: int = NEVER_NS,
) -> bool:
    """Decide what is pending. A text that is new to all workers when `deadline_ns` (monotonic) has passed is left
    alone, and stays so; one that was sent shorter before is made shorter again, however late it is.

    False if it stopped at `until_ns`, after the text at hand: another call goes on from there.
    """
    terms = Terms(rules, tokens, memos, deadline_ns, ways, watch)
    while draft.settled < len(draft.pending):
        if draft.abandoned:
            return True
        place = draft.pending[draft.settled]
        decided = _decided(place, draft, terms)
        if draft.abandoned:
            return True
        _settle(place, decided, draft)
        draft.settled += 1
        if monotonic_ns() > until_ns:
            return False
    return refer(draft, terms, until_ns)


def leave_alone(draft: Draft, memos: Memos, tokens: Tokens, ways: Ways | None = None, reason: str = "busy") -> None:
    """Leave alone, at once and for good, what is pending and new to all workers: there is no time for it.

    What was sent shorter before stays pending.
    """
    pending, density = [], density_of(draft, tokens)
    for place in draft.pending[draft.settled :]:
        if not place.may_change:
            _settle(place, _left(place, _why_unchanged(place), density), draft)
            continue
        mark = None if ways is None else Mark(place, draft.opening, ways)
        decided = memos.verdicts.peek(place.key)
        if mark is not None and mark.way == LEFT_ALONE:
            decided = _left(place, reason, density)
        elif decided is not None:
            decided = _in_its_way(decided, mark)
        elif mark is not None and mark.first(LEFT_ALONE) == SHORTENED:
            pending.append(place)
            continue
        else:
            decided = _left(place, reason, density)
            if mark is None:
                draft.fresh[place.key] = decided
        _settle(place, decided, draft)
    draft.pending = pending
    draft.settled = 0


def _settle(place: Place, decided: Decided, draft: Draft) -> None:
    place.settle(decided, draft.opening)
    draft.reread[place.item.key] = place.item


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


def _decided(place: Place, draft: Draft, terms: Terms) -> Decided:
    if not place.may_change:
        return _unchanged(place, terms.tokens)
    mark = None if terms.ways is None else Mark(place, draft.opening, terms.ways)
    known = draft.fresh.get(place.key) or terms.memos.verdicts.peek(place.key) or _of_a_twin(place, draft, terms)
    if mark is not None and mark.way == LEFT_ALONE:
        return _left(place, "deadline", density_of(draft, terms.tokens))
    if known is not None:
        return _in_its_way(known, mark)
    if (mark is None or mark.way is None) and monotonic_ns() > terms.deadline_ns:
        if mark is None:
            draft.fresh[place.key] = _left(place, "deadline", density_of(draft, terms.tokens))
        if mark is None or mark.first(LEFT_ALONE) == LEFT_ALONE:
            return _left(place, "deadline", density_of(draft, terms.tokens))
    terms.watch.begin(mark.everywhere if mark else 0, has_form=mark is not None and mark.way == SHORTENED)
    try:
        verdict = decide(place.text.text, place.producer, terms.rules, terms.tokens)
    finally:
        terms.watch.end()
    decided = Decided(place.producer.digest, verdict, literal(verdict))
    draft.fresh[place.key] = decided
    draft.alike.setdefault(place.digest, []).append((place.producer, decided))
    return _in_its_way(decided, mark)


def _of_a_twin(place: Place, draft: Draft, terms: Terms) -> Decided | None:
    """What was decided for the same text of a call that differs in nothing that a verdict depends on."""
    twins = draft.alike.get(place.digest)
    if not twins:
        return None
    wanted = traits(place.producer, terms.rules)
    for producer, decided in twins[:_TWINS_MAX]:
        if traits(producer, terms.rules) == wanted:
            return Decided(place.producer.digest, decided.verdict, decided.literal)
    return None


def _in_its_way(decided: Decided, mark: Mark | None) -> Decided:
    """What was decided about a text by itself, unless its conversation has it another way."""
    verdict = decided.verdict
    if mark is None:
        return decided
    if verdict.reason == "compressor_failed":
        mark.first(LEFT_ALONE)  # it might not fail again, nor elsewhere
        return decided
    if verdict.text is not None and mark.first(SHORTENED) == LEFT_ALONE:
        before = verdict.tokens_before
        return Decided(decided.producer, Verdict("deadline", tokens_before=before, tokens_after=before), None)
    return decided


def _left(place: Place, reason: str, density: float) -> Decided:
    tokens = round(len(place.text.text) * density)
    return Decided(place.producer.digest, Verdict(reason, tokens_before=tokens, tokens_after=tokens), None)


def _unchanged(place: Place, tokens: Tokens) -> Decided:
    """What holds for a text that never changes. No memo and no mark is asked or told of it."""
    return Decided(place.producer.digest, kept(_why_unchanged(place), place.text.text, tokens), None)


def _why_unchanged(place: Place) -> str:
    if len(place.text.text) < TEXT_CHARS_MIN:
        return "small"
    return PLANNED_BEFORE if place.was_planned else "too_many"
