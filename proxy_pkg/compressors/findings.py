"""Findings under the path of their file, in columns, as eslint and stylelint print them: a row for each.

records.py describes the form.
"""

import re

from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.legend import START
from proxy_pkg.compressors.records import OWN_HEADER, Form, tabled
from proxy_pkg.model import Grade

FINDINGS_MIN = 4
SHARE_MIN = 0.5
"""So much of the lines with text must be findings."""
SAVED_SHARE = 20
"""A table that saves less than one character in so many is not worth its header."""

FORMS = (
    Form(
        "eslint",
        re.compile(
            r" {2,12}(?P<line>\d+):(?P<column>\d+) +(?P<severity>error|warning|info) {2,}+"
            r"(?P<message>\S++(?: \S++)*+) {2,}+(?P<rule>[\w@/-]+)"
        ),
        "  {line:>}:{column:<}  {severity:<}  {message:<}  {rule}",
    ),
    Form(
        "stylelint",
        re.compile(
            r" {2,12}(?P<line>\d+):(?P<column>\d+) +(?P<mark>[✖⚠ℹ×]) {2,}+"
            r"(?P<message>\S++(?: \S++)*+) {2,}+(?P<rule>[\w@/-]+)"
        ),
        "  {line:>}:{column:<}  {mark}  {message:<}  {rule}",
    ),
)


def looks_like(sample: str) -> str:
    """Return why `sample` is a list of findings under paths, empty if it is not."""
    if sample.count("\n  ") < FINDINGS_MIN:
        return ""
    lines = [line for line in sample.split("\n") if line]
    for form in FORMS:
        found = sum(map(bool, map(form.pattern.fullmatch, lines)))
        if found >= FINDINGS_MIN and found >= SHARE_MIN * len(lines):
            return f"{found} of the first {len(lines)} lines are findings as {form.noun} prints them"
    return ""


def compress(text: str) -> str | None:
    """Return the findings in `text` as a table, None where there are none or the table is not clearly shorter."""
    if OWN_HEADER.match(text) or text.startswith(START) or not looks_like(text[: 1 << 15]):
        return None
    lines = text.split("\n")
    result = min((table for form in FORMS if (table := tabled(lines, form))), key=len, default=text)
    return result if len(result) * SAVED_SHARE < len(text) * (SAVED_SHARE - 1) else None


FINDINGS = Compressor("findings", Grade.INVERTIBLE, compress)
