"""Which lines complain: of errors, failures and warnings, in whatever place and with whatever words."""

import re
from bisect import bisect_right
from collections.abc import Iterator

_STEMS = (
    "err", "fatal", "crit", "panic", "exception", "fail", "warn", "severe", "emerg", "alert", "abort",
    "traceback (", "caused by:", "segfault", "core dumped", "out of memory",
)  # fmt: skip
_WORD = re.compile(
    r"""(?<!\w)(?i:errors?|err|fatal|critical|crit|panic(?:ked)?|exceptions?|fail(?:ed|s|ures?)?|warn(?:ings?)?
        |severe|emerg(?:ency)?|alert|caused\ by|segfault|core\ dumped|out\ of\ memory|abort(?:ed)?)(?!\w)
    |Traceback\ \(
    |(?<=[A-Za-z])(?:Error|Exception|Warning|Failure|Failed)(?!\w)""",
    re.VERBOSE,
)
_STRONG = re.compile(
    r"""(?<![\w/=-])(?:ERR(?:OR)?|FATAL|CRIT(?:ICAL)?|SEVERE|PANIC|EMERG(?:ENCY)?|ALERT|FAIL(?:ED|URE)?)(?![\w=/-]|\.\w)
    |(?:(?<=[:=]")|(?<=[:=]\ "))(?i:error|fatal|critical|panic|emergency|alert)(?=")
    |(?<!\w)(?i:error|err|fatal|critical|crit|panic|emerg|alert)(?=[\]>:])
    |(?<=level=)(?i:error|fatal|critical|panic)\b
    |Traceback\ \(|panicked\ at""",
    re.VERBOSE,
)
_STATUS = re.compile(r'" 5[0-9]{2} ')
"""How a web server's log tells of a request that failed."""


def complaints(text: str, starts: list[int]) -> dict[int, bool]:
    """The lines of `text`, which begin at `starts`, that complain: by number, true where a level or outcome says so."""
    found: dict[int, bool] = {}
    for place, is_strong in _places(text):
        line = bisect_right(starts, place) - 1
        found[line] = is_strong or found.get(line, False)
    return found


def _places(text: str) -> Iterator[tuple[int, bool]]:
    small = text.lower()
    if len(small) != len(text):
        # A letter or two of the world grow when made small, and places would no longer fit.
        small = text
    for stem in _STEMS:
        at = small.find(stem)
        while at >= 0:
            if _WORD.match(text, at):
                yield at, _STRONG.match(text, at) is not None
            at = small.find(stem, at + len(stem))
    if '" 5' in text:
        yield from ((match.start(), True) for match in _STATUS.finditer(text))
