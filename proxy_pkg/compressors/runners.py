"""Lines of test runners and installers that say much the same, a row for each: unittest, pytest-xdist, Surefire, pip.

Only what went well becomes a row. Lines that tell of a failure, those beside them and all others stay as they were.
records.py describes the form.
"""

import re

from proxy_pkg.compressors.builds import shown_whole
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.folding import is_folded
from proxy_pkg.compressors.records import OWN_HEADER, ROWS_MIN, Form, tabled
from proxy_pkg.model import Grade

SAVED_SHARE = 10
"""A table that saves less than one character in so many leaves the text to other forms."""

FORMS = {
    " ... ok\n": (
        Form(
            "unittest",
            re.compile(r"(?P<test>\w+) \((?P<class>[\w.]+)\.(?P=test)\) \.\.\. (?P<outcome>ok|skipped .+)"),
            "{test} ({class}.{test}) ... {outcome}",
        ),
        Form(
            "unittest",
            re.compile(r"(?P<test>\w+) \((?P<class>[\w.]+)\) \.\.\. (?P<outcome>ok|skipped .+)"),
            "{test} ({class}) ... {outcome}",
        ),
    ),
    "[gw": (
        Form(
            "xdist",
            re.compile(
                r"\[gw(?P<worker>\d+)\] \[ *(?P<percent>\d+)%\] (?P<outcome>PASSED|SKIPPED|XFAIL) "
                r"(?P<file>[^\s:]+)::(?P<test>.*\S) "
            ),
            "[gw{worker}] [{percent:>3}%] {outcome} {file}::{test} ",
        ),
        Form(
            "xdist",
            re.compile(
                r"\[gw(?P<worker>\d+)\] (?P<outcome>PASSED|SKIPPED|XFAIL) (?P<file>[^\s:]+)::(?P<test>.*\S)(?P<end> ?)"
            ),
            "[gw{worker}] {outcome} {file}::{test}{end}",
        ),
    ),
    "Tests run: ": (
        Form(
            "Surefire",
            re.compile(
                r"\[INFO\] Tests run: (?P<run>\d+), Failures: 0, Errors: 0, Skipped: (?P<skipped>\d+), "
                r"Time elapsed: (?P<seconds>[\d.]+) s (?P<mark>-- in|- in) (?P<class>\S+)"
            ),
            "[INFO] Tests run: {run}, Failures: 0, Errors: 0, Skipped: {skipped}, "
            "Time elapsed: {seconds} s {mark} {class}",
        ),
    ),
    "Requirement already satisfied: ": (
        Form(
            "pip",
            re.compile(
                r"Requirement already satisfied: (?P<package>.+?) in (?P<place>\S+) "
                r"(?P<for>(?:\(from .*\) )?)\((?P<version>\S+)\)"
            ),
            "Requirement already satisfied: {package} in {place} {for}({version})",
        ),
    ),
}
"""By a piece of text that each of their lines has."""


def looks_like(sample: str) -> str:
    """Return why `sample` has lines of a test runner or an installer that can be rows, empty if it has not."""
    for sign, forms in FORMS.items():
        if sample.count(sign) < ROWS_MIN:
            continue
        for form in forms:
            found = sum(map(bool, map(form.pattern.fullmatch, sample.split("\n"))))
            if found >= ROWS_MIN:
                return f"{found} lines as {form.noun} prints them"
    return ""


def compress(text: str) -> str | None:
    """Return `text` with its most common lines of a known form as rows, None where they are few or save little."""
    if OWN_HEADER.match(text) or is_folded(text):
        return None
    best = ""
    lines: list[str] = []
    whole = bytearray()
    for sign, forms in FORMS.items():
        if text.count(sign) < ROWS_MIN:
            continue
        if not lines:
            lines = text.split("\n")
            whole = shown_whole(text, lines)
        for form in forms:
            result = tabled(lines, form, whole)
            if result and (not best or len(result) < len(best)):
                best = result
    return best if best and len(best) * SAVED_SHARE < len(text) * (SAVED_SHARE - 1) else None


RUNNERS = Compressor("runners", Grade.INVERTIBLE, compress)
