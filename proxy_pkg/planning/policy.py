"""Span and rules become a verdict, with a reason. Pure: the same text of the same tool call is decided the same."""

from collections import Counter
from typing import Final, Protocol

from msgspec import Struct

from proxy_pkg.compressors import asked, unedited
from proxy_pkg.compressors.contract import Compressor, Reducer
from proxy_pkg.compressors.detect import Kind, detect
from proxy_pkg.compressors.producers import (
    NO_MORE,
    Tools,
    may_lose_lines,
    numbers_lines,
    prints_file,
    prints_no_file,
    runs_shell,
    shell_command,
    stays_exact,
)
from proxy_pkg.compressors.table import REDUCERS, reduce_and_run_chain, run_chain, weakest_grade
from proxy_pkg.model import Grade, Producer, Verdict
from proxy_pkg.planning.draft import TEXT_CHARS_MIN
from proxy_pkg.planning.references import may_refer


class Tokens(Protocol):
    """Estimates the tokens of a text (tokens/count.py): `count` with care, `gauge` by a sample.

    Both agree on texts of at most `sample_chars` characters.
    """

    def count(self, text: str) -> int: ...
    def gauge(self, text: str, sample_chars: int = ...) -> int: ...


EXACT_TOOL, FEW_TOKENS, FOR_PROGRAM = "exact_tool", "few_tokens", "for_program"
IMITATES: Final = "planned_before"
NEVER_CHANGED = frozenset((EXACT_TOOL, FEW_TOKENS, FOR_PROGRAM))
"""Reasons for which a text has to stay as it is: no reference takes a line from it either."""

LINES_MAX = 1 << 15
"""A text of more lines is left alone: work and memory of compressors go by lines as well as by characters."""

_REDUCED_TOKENS_MIN = 2000  # lines that go have to be fetched again: not worth it in a small text
_REDUCED_PERCENT_MIN = 5
_REDUCED_AT_ONCE_PERCENT = 40  # hardly any lossless form would be as short, so none is made to compare

# Samples to weigh by, and three times the error that is usual for the small savings that they tell.
_ROUGH_SAMPLES = ((3072, 15), (6144, 8))
_FIRST_CHARS = _ROUGH_SAMPLES[0][0]
_FINE_CHARS, _FINE_ERROR_PERCENT = 24_576, 2
_CAREFUL_CHARS = 49_152
_KEPT_CHARS = 1536


_CHANGES_BYTES = frozenset((Kind.JSON, Kind.GO_TEST, Kind.MARKUP, Kind.TERMINAL))
"""Kinds with a form that does not come back byte for byte."""
_ALL_GRADES = frozenset(Grade)
_EXACT = frozenset((Grade.INVERTIBLE,))
_ON_SCREEN = _EXACT | {Grade.PRESENTATION}


class Rules(Struct, frozen=True):
    """What of the settings bears on a verdict; all of it is the same on every worker."""

    margin_percent: int
    block_bytes_max: int
    references: bool = True
    reduces: bool = False
    """Lines and records may go, each gap marked: only where what went can be had again."""
    tools: Tools = NO_MORE
    """Tools, beside those that are known, whose results are files, come from a shell, or are never changed."""
    tokens_min: int = 0
    """Texts of fewer tokens are never changed."""


Form = tuple[str, tuple[Compressor | Reducer, ...]]
"""A text to send instead, and the steps that made it."""

Weights = tuple[int, int] | None
"""Tokens before and after, where they are known well enough."""


def decide(text: str, producer: Producer, rules: Rules, tokens: Tokens) -> Verdict:
    """Whether `text`, a result of `producer`, is sent in a shorter form, and which.

    Never raises: a compressor that fails leaves the text as it is.
    """
    if len(text) < TEXT_CHARS_MIN:
        return kept("small", text, tokens)
    if producer.for_program:
        return kept(FOR_PROGRAM, text, tokens)
    if len(text) > rules.block_bytes_max or text.count("\n") > LINES_MAX:
        return kept("too_large", text, tokens)
    if not _is_unicode(text):
        return kept("lone_surrogate", text, tokens)
    if why := _why_exact(text, producer, rules, tokens):
        return kept(why, text, tokens)
    kind = ""
    try:
        kind = detect(text, producer, rules.tools).kind
        grades = _grades(kind, producer, rules)
        shorter, known = (
            _reduced(text, kind, producer, rules, tokens)
            if rules.reduces
            else (_lossless(text, kind, grades, producer, rules), None)
        )
    except Exception:  # noqa: BLE001  # no fault of a compressor may reach the request
        return kept("compressor_failed", text, tokens, kind)
    if shorter is None:
        return kept("nothing_to_gain", text, tokens, kind)
    new_text, steps = shorter
    before, after = known or weighed(text, new_text, rules, tokens)
    if after * 100 > before * (100 - rules.margin_percent):
        return Verdict("below_margin", kind, tokens_before=before, tokens_after=before)
    return Verdict(
        reason="smaller",
        kind=kind,
        compressor="+".join(step.name for step in steps),
        grade=weakest_grade(steps),
        text=new_text,
        tokens_before=before,
        tokens_after=after,
    )


def _why_exact(text: str, producer: Producer, rules: Rules, tokens: Tokens) -> str:
    """Why a text must stay as it is whatever it says; empty if it need not."""
    if stays_exact(producer, rules.tools):
        return EXACT_TOOL
    if not may_refer(text):
        return IMITATES
    return FEW_TOKENS if rules.tokens_min and tokens.gauge(text) < rules.tokens_min else ""


def traits(producer: Producer, rules: Rules) -> tuple[object, ...]:
    """All that `decide` reads of a tool call: for calls that agree in it, the verdict on a text is the same."""
    if rules.reduces:
        return (producer.digest,)
    tools = rules.tools
    return (
        producer.for_program,
        stays_exact(producer, tools),
        prints_file(producer, tools),
        unedited.origin(producer, tools),
        numbers_lines(producer, tools),
        bool(shell_command(producer, tools)),
        prints_no_file(producer, tools),
        runs_shell(producer, tools),
    )


def _grades(kind: str, producer: Producer, rules: Rules) -> frozenset[Grade]:
    """What a form of this result may promise: what may be a file's text has to come back byte for byte.

    What a terminal makes of escape sequences is the one exception where a shell ran the command: a line without them
    stays as it is, and an edit quotes such lines.
    """
    if kind not in _CHANGES_BYTES or prints_no_file(producer, rules.tools):
        return _ALL_GRADES
    if kind != Kind.TERMINAL or prints_file(producer, rules.tools):
        return _EXACT
    return _ON_SCREEN if runs_shell(producer, rules.tools) else _EXACT


def _lossless(text: str, kind: str, grades: frozenset[Grade], producer: Producer, rules: Rules) -> Form | None:
    return run_chain(kind, text, grades, unquotes=prints_no_file(producer, rules.tools))


def _reduced(text: str, kind: str, producer: Producer, rules: Rules, tokens: Tokens) -> tuple[Form | None, Weights]:
    """What is left of `text` after its reducer, if that is clearly shorter than the lossless form; else that form."""
    if kind not in REDUCERS or not may_lose_lines(producer, rules.tools):
        return run_chain(kind, text, _grades(kind, producer, rules)), None
    before = tokens.gauge(text, _FIRST_CHARS)
    if before < _REDUCED_TOKENS_MIN:
        return run_chain(kind, text), None
    reduced = reduce_and_run_chain(kind, text, asked.terms(producer.arguments, producer.question))
    if reduced is None:
        return run_chain(kind, text), None
    after = tokens.gauge(reduced[0], _FIRST_CHARS)
    if after * 100 <= before * _REDUCED_AT_ONCE_PERCENT:
        return reduced, (before, after)
    lossless = run_chain(kind, text)
    most = tokens.gauge(text if lossless is None else lossless[0])
    is_shorter = tokens.gauge(reduced[0]) * 100 <= most * (100 - _REDUCED_PERCENT_MIN)
    return reduced if is_shorter else lossless, None


def weighed(text: str, new_text: str, rules: Rules, tokens: Tokens) -> tuple[int, int]:
    """The tokens of a text and of what may be sent instead; told with more care where the choice hangs on it."""
    for sample_chars, error_percent in _ROUGH_SAMPLES:
        before, after = tokens.gauge(text, sample_chars), tokens.gauge(new_text, sample_chars)
        is_counted = max(len(text), len(new_text)) <= sample_chars
        if is_counted or _is_clear(before, after, rules, error_percent):
            return before, after
    old, new = _only_here(text, new_text)
    if len(old) + len(new) > _FINE_CHARS:
        before, after = tokens.gauge(text, _FINE_CHARS), tokens.gauge(new_text, _FINE_CHARS)
        if _is_clear(before, after, rules, _FINE_ERROR_PERCENT):
            return before, after
    return before, before - tokens.gauge(old, _CAREFUL_CHARS) + tokens.gauge(new, _CAREFUL_CHARS)


def _is_clear(before: int, after: int, rules: Rules, error_percent: float) -> bool:
    """Whether a saving is further from the margin than what it may be wrong by."""
    return abs(100 * (before - after) - rules.margin_percent * before) > error_percent * before


def _only_here(text: str, new_text: str) -> tuple[str, str]:
    """The lines of each of two texts that the other has not, or has fewer times."""
    lines, new_lines = Counter(text.split("\n")), Counter(new_text.split("\n"))
    return "\n".join((lines - new_lines).elements()), "\n".join((new_lines - lines).elements())


def kept(reason: str, text: str, tokens: Tokens, kind: str = "") -> Verdict:
    """The verdict on a text that stays: nothing hangs on its tokens, so a small sample will do."""
    estimate = tokens.gauge(text, _KEPT_CHARS)
    return Verdict(reason, kind, tokens_before=estimate, tokens_after=estimate)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
