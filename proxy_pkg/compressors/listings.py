"""Directory listings as `ls -l` and `find -ls` print them, of one directory or of several: a row for each entry.

records.py describes the form.
"""

import re

from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.legend import START
from proxy_pkg.compressors.records import OWN_HEADER, ROWS_MIN, Form, tabled
from proxy_pkg.model import Grade

SAMPLE_LINES = 100
SHARE_MIN = 0.5
"""So much of the lines with text must be entries."""
SAVED_SHARE = 20
"""A table that saves less than one character in so many is not worth its header."""

_MODE = r"(?P<mode>[-dlbcpsDC][-r][-w][-xsS][-r][-w][-xsS][-r][-w][-xtT][.+@]?)"
_DATE = (
    r"(?P<date>(?:[A-Z][a-z]{2} [ \d]\d|[ \d]\d [A-Z][a-z]{2}) (?:\d\d:\d\d(?::\d\d \d{4})?| \d{4})"
    r"|\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d(?:\.\d+)? [-+]\d{4})?)"
)
_ENTRY = (
    rf"{_MODE} +(?P<links>\d+) +(?P<owner>[^\s,]+) +(?P<group>[^\s,]+) +(?P<size>[\d.]+[KMGTP]?) {_DATE} (?P<name>\S.*)"
)
_SHORT_ENTRY = rf"{_MODE} +(?P<links>\d+) +(?P<owner>[^\s,]+) +(?P<size>[\d.]+[KMGTP]?) {_DATE} (?P<name>\S.*)"

FORMS = (
    Form(
        "ls",
        re.compile(_ENTRY),
        "{mode} {links:>} {owner:<} {group:<} {size:>} {date} {name}",
    ),
    Form("ls", re.compile(_SHORT_ENTRY), "{mode} {links:>} {owner:<} {size:>} {date} {name}"),
    Form(
        "find",
        re.compile(r" *(?P<inode>\d+) +(?P<blocks>\d+) " + _ENTRY),
        "{inode:>} {blocks:>} {mode} {links:>} {owner:<} {group:<} {size:>} {date} {name}",
    ),
)


def looks_like(sample: str) -> str:
    """Return why `sample` is a directory listing, empty if it is not."""
    lines = [line for line in sample.split("\n", SAMPLE_LINES)[:SAMPLE_LINES] if line]
    for form in FORMS:
        found = sum(map(bool, map(form.pattern.fullmatch, lines)))
        if found >= ROWS_MIN and found >= SHARE_MIN * len(lines):
            return f"{found} of the first {len(lines)} lines are entries as {form.noun} prints them"
    return ""


def compress(text: str) -> str | None:
    """Return the listing `text` as a table, None where it is none or the table is not clearly shorter."""
    if OWN_HEADER.match(text) or text.startswith(START) or not looks_like(text[: 1 << 15]):
        return None
    lines = text.split("\n")
    found = (tabled(lines, form) for form in FORMS)
    result = min((table for table in found if table), key=len, default=text)
    return result if len(result) * SAVED_SHARE < len(text) * (SAVED_SHARE - 1) else None


LISTING = Compressor("listing", Grade.INVERTIBLE, compress)
