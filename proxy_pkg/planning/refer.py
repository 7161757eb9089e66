"""Which lines of a draft's new texts become references, and what is sent for such a text."""

from collections.abc import Sequence

from proxy_pkg.compressors.table import run_chain
from proxy_pkg.model import Grade, Verdict
from proxy_pkg.planning.draft import Decided, Draft, Memos, Place
from proxy_pkg.planning.policy import Rules, Tokens, weighed
from proxy_pkg.planning.references import RUN_LINES_MIN, Lines, Run, Seen, may_refer, with_references
from proxy_pkg.planning.rewrite import literal

NUMBERED = "numbered"
_TOKENS_SAVED_MIN = 30


def refer(draft: Draft, rules: Rules, tokens: Tokens, memos: Memos) -> None:
    """Let lines that stand in earlier texts become references, in the texts that are new since the known prefix.

    Pure: it looks at the texts before each one and at nothing else. The draft must be settled.
    """
    if not draft.places or not draft.may_refer or not rules.references or draft.abandoned:
        return
    seen = draft.seen or Seen()
    seen.truncate(draft.known)
    for number in range(len(seen), len(draft.places)):
        place = draft.places[number]
        decided = place.decided
        assert decided is not None, "refer before settle"
        lines = _shown_lines(place, decided)
        if lines is not None and number >= draft.known and may_refer(place.text.text):
            runs = seen.find(lines)
            if runs:
                decided = place.decided = _referring(draft, place, lines, runs, seen, rules, tokens, memos)
        # A result without an id of its own could not be named.
        seen.add(lines if place.text.call and place.index == 0 else None, decided.runs)
    draft.seen = seen


def _shown_lines(place: Place, decided: Decided) -> Lines | None:
    """The text as lines if it is sent line by line as it is, but for line numbers; else None."""
    verdict = decided.verdict
    if verdict.text is not None and not decided.runs and verdict.compressor != NUMBERED:
        return None
    if place.text.text.count("\n") < RUN_LINES_MIN:
        return None
    return place.item.lines(place.index, verdict.kind == NUMBERED)


def _referring(
    draft: Draft,
    place: Place,
    lines: Lines,
    runs: Sequence[Run],
    seen: Seen,
    rules: Rules,
    tokens: Tokens,
    memos: Memos,
) -> Decided:
    """What to send for a text with references in it; what was decided without them, if that is not clearly more."""
    alone = place.decided
    assert alone is not None, "refer before settle"
    names = {run.source: draft.places[run.source].name for run in runs}
    text = place.text.text
    key = (text, alone.verdict.kind, tuple(runs), tuple(names.items()))
    decided = memos.verdicts.get(key)
    if decided is None:
        verdict = _verdict(text, alone.verdict, with_references(lines, runs, seen, names), rules, tokens)
        decided = alone if verdict is None else Decided(place.producer, verdict, literal(verdict), tuple(runs))
        memos.verdicts.put(key, decided, len(text) + len(decided.literal or b""))
    return decided


def _verdict(text: str, alone: Verdict, referring: str, rules: Rules, tokens: Tokens) -> Verdict | None:
    chained = run_chain(alone.kind, referring) if alone.kind == NUMBERED else None
    shorter = referring if chained is None else chained[0]
    before, after = weighed(text, shorter, rules, tokens)
    now = before if alone.text is None else alone.tokens_after
    if now - after < _TOKENS_SAVED_MIN or after * 100 > now * (100 - rules.margin_percent):
        return None
    return Verdict(
        reason="smaller",
        kind=alone.kind,
        compressor="reference" if chained is None else f"reference+{NUMBERED}",
        grade=Grade.INVERTIBLE,
        text=shorter,
        tokens_before=before,
        tokens_after=after,
    )
