"""Which lines of a draft's new texts become references, and what is sent for such a text."""

from collections.abc import Sequence

from proxy_pkg.compressors.hits import shows_one_file
from proxy_pkg.compressors.table import run_chain
from proxy_pkg.model import Grade, Verdict
from proxy_pkg.planning.draft import Decided, Draft, Memos, Place
from proxy_pkg.planning.policy import NEVER_CHANGED, Rules, Tokens, weighed
from proxy_pkg.planning.references import (
    WINDOW_LINES,
    Form,
    Lines,
    Run,
    Seen,
    may_be_named,
    may_refer,
    name_of,
    with_references,
)
from proxy_pkg.planning.rewrite import literal

NUMBERED, SEARCH = "numbered", "search"
_TOKENS_SAVED_MIN = 20
_TEXTS_CHARS_MAX = 4 << 20  # a million tokens, more than models take; looking through more would take seconds


def refer(draft: Draft, rules: Rules, tokens: Tokens, memos: Memos) -> None:
    """Let lines that stand in earlier texts become references, in the texts that are new since the known prefix.

    Pure: it looks at the texts before each one and at nothing else. The draft must be settled.
    """
    if not draft.places or not draft.may_refer or not rules.references or draft.abandoned:
        return
    seen = draft.seen or Seen()
    seen.truncate(draft.known)
    chars = sum(len(place.text.text) for place in draft.places[: len(seen)])
    for number in range(len(seen), len(draft.places)):
        place = draft.places[number]
        chars += len(place.text.text)
        if chars > _TEXTS_CHARS_MAX:
            break  # on every later turn at the same place
        decided = place.decided
        assert decided is not None, "refer before settle"
        lines = _shown_lines(place, decided)
        may_change = number >= draft.known and decided.verdict.reason not in NEVER_CHANGED
        if lines is not None and may_change and may_refer(place.text.text):
            runs = seen.find(lines)
            if runs:
                decided = place.decided = _referring(draft, number, lines, runs, seen, rules, tokens, memos)
        seen.add(lines if lines is not None and _is_citable(place, lines) else None, decided.runs)
    draft.seen = seen


def _shown_lines(place: Place, decided: Decided) -> Lines | None:
    """The text as lines if it is sent line by line as it is, but for line numbers; else None."""
    verdict, text = decided.verdict, place.text.text
    if text.count("\n") < WINDOW_LINES or verdict.reason == "too_large":
        return None
    form = Form.NUMBERED if verdict.kind == NUMBERED else Form.COUNTED
    if form is Form.COUNTED and shows_one_file(text):
        form = Form.HITS
    if verdict.text is not None and not decided.runs and verdict.compressor != _THINS.get(form):
        return None
    return place.item.lines(place.index, form)


def _is_citable(place: Place, lines: Lines) -> bool:
    """Whether a reference can say which text it means, and which of its lines."""
    return place.text.index == 0 and may_be_named(place.text.call) and lines.has_clear_labels


def _names(draft: Draft, number: int, runs: Sequence[Run]) -> dict[int, str]:
    """What references in text `number` call the texts that `runs` point at."""
    earlier = [each.text.call for each in draft.places[:number]]
    names = {}
    for source in {run.source for run in runs}:
        place = draft.places[source]
        firsts = [each for each in draft.places[: source + 1] if each.text.index == 0]
        again = sum(each.text.call == place.text.call for each in firsts)
        names[source] = name_of(place.text.call, again, place.producer, earlier)
    return names


def _referring(
    draft: Draft,
    number: int,
    lines: Lines,
    runs: Sequence[Run],
    seen: Seen,
    rules: Rules,
    tokens: Tokens,
    memos: Memos,
) -> Decided:
    """What to send for a text with references in it; what was decided without them, if that is not clearly more."""
    place = draft.places[number]
    alone = place.decided
    assert alone is not None, "refer before settle"
    names = _names(draft, number, runs)
    text = place.text.text
    key = (text, alone.verdict.kind, tuple(runs), tuple(names.items()))
    decided = memos.verdicts.get(key)
    if decided is None:
        verdict = _verdict(text, alone.verdict, with_references(lines, runs, seen, names), rules, tokens)
        decided = alone if verdict is None else Decided(place.producer, verdict, literal(verdict), tuple(runs))
        memos.verdicts.put(key, decided, len(text) + len(decided.literal or b""))
    return decided


def _verdict(text: str, alone: Verdict, referring: str, rules: Rules, tokens: Tokens) -> Verdict | None:
    chained = run_chain(alone.kind, referring) if alone.kind in _THINS.values() else None
    shorter = referring if chained is None else chained[0]
    before, after = weighed(text, shorter, rules, tokens)
    now = before if alone.text is None else alone.tokens_after
    if now - after < _TOKENS_SAVED_MIN or after * 100 > now * (100 - rules.margin_percent):
        return None
    return Verdict(
        reason="smaller",
        kind=alone.kind,
        compressor="reference" if chained is None else f"reference+{alone.kind}",
        grade=Grade.INVERTIBLE,
        text=shorter,
        tokens_before=before,
        tokens_after=after,
    )


_THINS = {Form.NUMBERED: NUMBERED, Form.HITS: SEARCH}
"""The compressor that takes nothing but line numbers from a text of this form."""
