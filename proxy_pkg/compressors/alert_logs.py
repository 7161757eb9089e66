"""Logs in which most lines report that something is wrong: times and the words after them as columns.

What each line says stands as it was, behind its last separator. records.py describes the form; the columns are
`time`, `word1` and so on, and `text`, which is the rest of the line.
"""

import re
from collections.abc import Iterator

from proxy_pkg.compressors.alerts import alerts
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.folding import is_folded
from proxy_pkg.compressors.legend import START
from proxy_pkg.compressors.logs import looks_like
from proxy_pkg.compressors.records import OWN_HEADER, ROWS_MIN, Form, tabled
from proxy_pkg.model import Grade

ALERTS_SHARE_MIN = 0.5
"""Where fewer lines are alerts, the form of other logs saves more."""
SAMPLE_LINES = 120
WORDS_MAX = 5
SAVED_SHARE = 20
"""A table that saves less than one character in so many is not worth its header."""

_TIME = (
    r"(?P<time>\[?(?:\d{4}[-/.]\d\d[-/.]\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z| ?[-+]\d\d:?\d\d)?"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?|[EWIF]\d{4} \d\d:\d\d:\d\d\.\d+"
    r"|\d\d:\d\d:\d\d(?:[.,]\d+)?|\d{10}(?:\.\d+|\d{3})?| *\d+\.\d{3,9})\]?:?)"
)

_LAST = r"\S*[]:|>-]|\([^\s()]*\)|[A-Z]{3,9}"
"""The last word before the text: a level, or something that ends as headings do."""


def _forms() -> Iterator[Form]:
    for time, printed in ((_TIME, "{time}"), ("", "")):
        for count in range(0 if time else 1, WORDS_MAX + 1):
            names = [f"word{number}" for number in range(1, count + 1)]
            words = [rf"(?P<{name}>\S+)" for name in names[:-1]] + [rf"(?P<{name}>{_LAST})" for name in names[-1:]]
            pattern = " +".join([time] * bool(time) + words) + r" (?P<text>.+)"
            slots = [printed] * bool(time) + [f"{{{name}:<}}" for name in names] + ["{text}"]
            yield Form("log", re.compile(pattern), " ".join(slots), uncut=frozenset(("text",)))


FORMS = tuple(_forms())
"""With and without a time, for different numbers of words before the text."""


def compress(text: str) -> str | None:
    """Return the log `text` as a table, None where it is none, few of its lines are alerts or little is saved."""
    if OWN_HEADER.match(text) or text.startswith(START) or is_folded(text) or not looks_like(text[: 1 << 15]):
        return None
    lines = text.split("\n")
    if sum(alerts(text, lines)) < ALERTS_SHARE_MIN * len(lines):
        return None
    sample = lines[:SAMPLE_LINES]
    tried = ((_length(sample, form), number) for number, form in enumerate(FORMS))
    for _, number in sorted(pair for pair in tried if pair[0])[:2]:
        result = tabled(lines, FORMS[number])
        if result and len(result) * SAVED_SHARE < len(text) * (SAVED_SHARE - 1):
            return result
    return None


def _length(lines: list[str], form: Form) -> int:
    """Return how long the table of `lines` in `form` is, 0 if there is none."""
    if sum(map(bool, map(form.pattern.fullmatch, lines))) < ROWS_MIN:
        return 0
    return len(tabled(lines, form) or "")


ALERT_LOGS = Compressor("alert-logs", Grade.INVERTIBLE, compress)
