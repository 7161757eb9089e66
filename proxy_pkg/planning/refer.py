"""Which lines of a draft's new texts become references, and what is sent for such a text."""

from collections.abc import Collection, Sequence
from hashlib import blake2b
from time import monotonic_ns

from msgspec.structs import replace

from proxy_pkg.compressors.hits import shows_one_file
from proxy_pkg.compressors.json_wrapper import inside, line_breaks
from proxy_pkg.compressors.table import run_chain
from proxy_pkg.model import DIGEST_BYTES, Grade, Verdict
from proxy_pkg.planning.draft import Decided, Draft, Place
from proxy_pkg.planning.equal import with_same
from proxy_pkg.planning.labels import Form
from proxy_pkg.planning.origin import origin, read_files
from proxy_pkg.planning.policy import NEVER_CHANGED, weighed
from proxy_pkg.planning.quoting import is_quoted, quotable
from proxy_pkg.planning.references import (
    Lines,
    Names,
    Run,
    Seen,
    may_be_named,
    may_have_runs,
    may_point,
    may_refer,
    with_references,
)
from proxy_pkg.planning.rewrite import literal
from proxy_pkg.planning.terms import LEFT_ALONE, SHORTENED, Terms, references_key

NUMBERED, SEARCH = "numbered", "search"
_TOKENS_SAVED_MIN = 20
# A million tokens, more than models take; looking through more would take seconds.
_TEXTS_CHARS_MAX = 4 << 20
_TEXTS_LINES_MAX = 100_000
_NOT_SHOWN = frozenset(("too_large", "too_many", "planned_before"))


def refer(draft: Draft, terms: Terms, until_ns: int) -> bool:
    """Let lines that stand in earlier texts become references, in the texts that are new since the known prefix.

    Pure but for time: it looks at the texts before each one and at nothing else. The draft must be settled. False if
    it stopped at `until_ns`: another call goes on from there.
    """
    if not draft.places or not draft.may_refer or not terms.rules.references or draft.abandoned:
        return True
    seen = draft.seen = draft.seen or Seen()
    if draft.names is None:
        seen.truncate(draft.known)
    names = draft.names = draft.names or Names()
    for place in draft.places[len(names) : len(seen)]:
        _name(place, names, terms)
    chars, lines = _extent(draft.places[: len(seen)])
    for number in range(len(seen), len(draft.places)):
        text = draft.places[number].text
        chars, lines = chars + len(text.text), lines + line_breaks(text.text)
        if chars > _TEXTS_CHARS_MAX or lines > _TEXTS_LINES_MAX or draft.abandoned:
            break  # on every later turn at the same place
        if number >= draft.known and _is_late(draft, number, terms):
            break
        _take_in(draft, number, seen, names, terms)
        if monotonic_ns() > until_ns:
            return False
    return True


def _extent(places: Sequence[Place]) -> tuple[int, int]:
    return sum(len(place.text.text) for place in places), sum(line_breaks(place.text.text) for place in places)


def _name(place: Place, names: Names, terms: Terms) -> None:
    changed = origin(place.producer, terms.rules.tools).changed if place.text.index == 0 else ()
    names.add(place.text.call, place.text.index, changed)


def _take_in(draft: Draft, number: int, seen: Seen, names: Names, terms: Terms) -> None:
    """Look for text `number` in what was seen, unless that was done on an earlier turn, and let later ones see it."""
    place = draft.places[number]
    decided = place.decided
    assert decided is not None, "refer before settle"
    lines = _shown_lines(place, decided)
    believes = origin(place.producer, terms.rules.tools).words
    refers = may_refer(place.text.text)
    if number >= draft.known and place.may_change and refers and decided.verdict.reason not in NEVER_CHANGED:
        target = _equal_to(draft, number, seen, believes, terms)
        runs: Sequence[Run] = () if lines is None else seen.find(lines, believes)
        if target is not None and not (lines is not None and _is_whole(runs, lines)):
            run = Run(0, line_breaks(place.text.text) + 1, target, 0)
            decided = place.decided = _in_its_way(draft, number, None, (run,), seen, names, terms)
        elif lines is not None and runs:
            if is_quoted(decided.verdict.kind, place.producer, terms.rules.tools):
                runs = quotable(place.text.text, lines, runs, seen)
            if runs:
                decided = place.decided = _in_its_way(draft, number, lines, runs, seen, names, terms)
    is_citable = refers and not place.producer.for_program and may_be_named(place.text.call)
    shown = lines if lines is not None and is_citable and lines.has_clear_labels else None
    output = place.item.output(place.index) if is_citable and _is_output(place, decided) else b""
    seen.add(shown, decided.runs, believes, output)
    _name(place, names, terms)


def _is_whole(runs: Sequence[Run], lines: Lines) -> bool:
    """Whether one reference stands for all lines but those that have to stay."""
    return len(runs) == 1 and runs[0].length + len(lines.fixed) >= len(lines.raw)


def _is_output(place: Place, decided: Decided) -> bool:
    """Whether a text's output is sent with it, in some form."""
    return place.may_change and not decided.runs and decided.verdict.reason not in _NOT_SHOWN


def _equal_to(draft: Draft, number: int, seen: Seen, believes: str | None, terms: Terms) -> int | None:
    """The text with the same output that a text can be sent as a reference to, if there is one.

    What an edit could quote of the text as it would be sent otherwise, it can quote of that one.
    """
    place = draft.places[number]
    decided = place.decided
    assert decided is not None, "refer before settle"
    if decided.verdict.reason in _NOT_SHOWN or not (output := place.item.output(place.index)):
        return None
    target = seen.equal(output, believes)
    if target is None:
        return None
    there = draft.places[target].decided
    assert there is not None, "refer before settle"
    shown, own = there.verdict, decided.verdict
    if shown.grade == Grade.LOSSY:  # which lines went hangs on what each call asked for
        return target if shown.text == own.text else None
    if shown.text is None or shown.compressor in _THINS.values():
        return target
    if shown.compressor == own.compressor and shown.kind == own.kind:
        return target
    is_quoted_here = is_quoted(own.kind, place.producer, terms.rules.tools)
    return None if is_quoted_here else target


def _is_late(draft: Draft, number: int, terms: Terms) -> bool:
    """Whether there is no time for text `number` and what follows. No line of these is a reference from now on, but
    for texts that were sent with references before; then the lines before them have to be known.
    """
    if terms.ways is None or monotonic_ns() <= terms.deadline_ns:
        return False
    if draft.is_late is None:
        ways, opening = terms.ways, draft.opening
        held = [
            ways.first(references_key(place, opening, ways), LEFT_ALONE)
            for place in draft.places[number:]
            if place.may_change and may_point(place.text.text)
        ]
        draft.is_late = SHORTENED not in held
    return draft.is_late


def _in_its_way(
    draft: Draft, number: int, lines: Lines | None, runs: Sequence[Run], seen: Seen, names: Names, terms: Terms
) -> Decided:
    """What to send for a text that could have references, as its conversation has had it before."""
    place, ways = draft.places[number], terms.ways
    alone = place.decided
    assert alone is not None, "refer before settle"
    key = 0 if ways is None else references_key(place, draft.opening, ways)
    way = None if ways is None else ways.get(key)
    if way == LEFT_ALONE:
        return alone
    terms.watch.begin(key, has_form=way == SHORTENED)
    try:
        decided = _referring(draft, number, lines, runs, seen, names, terms)
    finally:
        terms.watch.end()
    if decided is alone or ways is None or ways.first(key, SHORTENED) == SHORTENED:
        return decided
    return alone


def _shown_lines(place: Place, decided: Decided) -> Lines | None:
    """The text as lines if it is sent line by line as it is, but for line numbers; else None."""
    verdict, text = decided.verdict, place.text.text
    if not may_have_runs(text) or verdict.reason in _NOT_SHOWN:
        return None
    form = Form.NUMBERED if verdict.kind == NUMBERED else Form.COUNTED
    if form is Form.COUNTED and shows_one_file(text if (held := inside(text)) is None else held.output):
        form = Form.HITS
    if verdict.text is not None and not decided.runs and verdict.compressor != _THINS.get(form):
        return None
    return place.item.lines(place.index, form)


def _referring(
    draft: Draft, number: int, lines: Lines | None, runs: Sequence[Run], seen: Seen, names: Names, terms: Terms
) -> Decided:
    """What to send for a text with references in it, without `lines` one to an equal output; what was decided without
    them, if that is not clearly more.
    """
    place = draft.places[number]
    alone = place.decided
    assert alone is not None, "refer before settle"
    named = {}
    for source in {run.source for run in runs}:
        cited = draft.places[source]
        named[source] = names.of(source, cited.text.call, cited.producer, cited.text.index)
    files = read_files(place.producer, terms.rules.tools)
    anew = {source for source in named if names.changed_since(source, files)} if files else set()
    text = place.text.text
    target = draft.places[runs[0].source].decided if lines is None else None
    grade = Grade.INVERTIBLE if target is None else target.verdict.grade or Grade.INVERTIBLE
    key = _key(place, alone.verdict, runs, named, anew, "" if lines is not None else f"same {grade}")
    decided = draft.fresh.get(key) or terms.memos.verdicts.peek(key)
    if decided is None:
        source = runs[0].source
        referring = (
            with_same(text, named[source], anew=source in anew)
            if lines is None
            else with_references(lines, runs, seen, named, anew)
        )
        kind = "" if lines is None else alone.verdict.kind
        verdict = _verdict(text, alone.verdict, referring, terms, kind)
        decided = alone
        if verdict is not None:
            verdict = replace(verdict, grade=grade)
            decided = Decided(alone.producer, verdict, literal(verdict), tuple(runs))
        draft.fresh[key] = decided
    return decided if decided.runs else alone


def _key(
    place: Place, alone: Verdict, runs: Sequence[Run], named: dict[int, str], anew: Collection[int], form: str
) -> bytes:
    """What a text with these references is found by."""
    digest = blake2b(place.key, digest_size=DIGEST_BYTES)
    told = f"{alone.kind}\0{alone.tokens_after}\0{sorted(named.items())!r}{sorted(anew)!r}{form}"
    digest.update(told.encode("utf-8", "surrogatepass"))
    for run in runs:
        digest.update(b"%d,%d,%d,%d;" % (run.start, run.length, run.source, run.line))
    return digest.digest()


def _verdict(text: str, alone: Verdict, referring: str, terms: Terms, kind: str) -> Verdict | None:
    """The verdict on a text with references, thinned as `kind` is; None if it saves too little."""
    rules = terms.rules
    chained = run_chain(kind, referring) if kind in _THINS.values() else None
    shorter = referring if chained is None else chained[0]
    before, after = weighed(text, shorter, rules, terms.tokens)
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
