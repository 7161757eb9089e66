"""Span and rules become a verdict, with a reason. Pure: the same text of the same tool call is decided the same."""

from typing import Protocol

from msgspec import Struct

from proxy_pkg.compressors.detect import detect
from proxy_pkg.compressors.table import run_chain, weakest_grade
from proxy_pkg.model import Producer, Verdict


class Tokens(Protocol):
    """Estimates the tokens of a text (tokens/count.py): `count` with care, `gauge` in bounded time.

    Both agree on texts of at most `exact_chars_max` characters.
    """

    exact_chars_max: int

    def count(self, text: str) -> int: ...
    def gauge(self, text: str) -> int: ...


_TEXT_CHARS_MIN = 160  # below this no form can win by the margin and a header's worth of tokens

_GAUGE_ERROR_PERCENT = 12  # twice the largest error that was seen of a saving


class Rules(Struct, frozen=True):
    """What of the settings bears on a verdict; all of it is the same on every worker."""

    margin_percent: int
    block_bytes_max: int
    references: bool = True


def decide(text: str, producer: Producer, rules: Rules, tokens: Tokens) -> Verdict:
    """Whether `text`, a result of `producer`, is sent in a shorter form, and which.

    Never raises: a compressor that fails leaves the text as it is.
    """
    if len(text) < _TEXT_CHARS_MIN:
        return _kept("small", text)
    if len(text) > rules.block_bytes_max:
        return _kept("too_large", text)
    if not _is_unicode(text):
        return _kept("lone_surrogate", text)
    kind = ""
    try:
        kind = detect(text, producer).kind
        shorter = run_chain(kind, text)
    except Exception:  # noqa: BLE001  # no fault of a compressor may reach the request
        return _kept("compressor_failed", text, kind)
    if shorter is None:
        return _kept("nothing_to_gain", text, kind)
    new_text, steps = shorter
    before, after = weighed(text, new_text, rules, tokens)
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


def weighed(text: str, new_text: str, rules: Rules, tokens: Tokens) -> tuple[int, int]:
    """The tokens of a text and of what may be sent instead; counted with care where the choice hangs on it."""
    before, after = tokens.gauge(text), tokens.gauge(new_text)
    saved_percent = 100 * (before - after) / max(before, 1)
    is_gauged = max(len(text), len(new_text)) > tokens.exact_chars_max
    if is_gauged and abs(saved_percent - rules.margin_percent) < _GAUGE_ERROR_PERCENT:
        return tokens.count(text), tokens.count(new_text)
    return before, after


def _kept(reason: str, text: str, kind: str = "") -> Verdict:
    # A text that stays is not worth counting exactly: four characters to a token.
    tokens = len(text) // 4
    return Verdict(reason, kind, tokens_before=tokens, tokens_after=tokens)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
