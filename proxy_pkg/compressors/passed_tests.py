"""Tests that passed, as jest, vitest, mocha and PHPUnit draw them below their suites: their names alone.

    [below, " a|9" was "✓ a (9 ms)", a test that passed, 2 blanks deeper than the heading above]
      Cart
     adds two items
     rejects an empty list|12
        ✕ rounds a price

A heading is the last line above that is neither empty nor such a test; where it is itself a line of a test, one that
begins with a mark or a number and a bracket, the tests below it stand as deep as it. Or the header says how deep all
stand: `, 1 blank deep`. The number is a time as the header shows it. signs.py
says how the lines are told apart; another sign than a blank would save nothing.
"""

import re
from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from proxy_pkg.compressors import signs

LINES_MIN = 6
DEEPER, DEEP = "deeper than the heading above", "deep"

_TEST = re.compile(
    r"(?P<lead> *)(?P<mark>[✓✔√]) (?P<name>\S(?:.*?\S)?)"
    r"(?:(?P<open> [(\[]?)(?P<time>[0-9]+(?:\.[0-9]+)?)(?P<close> ?m?s[)\]]?))?"
)
_OF_A_TEST = re.compile(r" *(?:[✓✔√✕×✗✘○✎↓-]|[0-9]+\)) ")


class Form(Struct, frozen=True):
    """How a test that passed is printed: its mark, what stands around its time, and how far in.

    `deeper` counts blanks from the heading's, `deep` from the edge where it is 0 or more.
    """

    mark: str
    before_time: str
    after_time: str
    deeper: int
    deep: int = -1

    def depth_below(self, line: str, depth: int) -> int:
        """Return how deep a test below `line` stands, where one below the line before it stood `depth` deep."""
        if self.deep >= 0 or not line or line.isspace():
            return depth
        lead = len(line) - len(line.lstrip(" "))
        return lead if _OF_A_TEST.match(line) else lead + self.deeper


def left_out(text: str) -> str | None:
    """Return `text` with names for the tests that passed, None where they are few or would not follow."""
    if not any(mark in text for mark in "✓✔√"):
        return None
    lines = text.split("\n")
    tests = [_TEST.fullmatch(line) for line in lines]
    sign = signs.free((line for line, test in zip(lines, tests, strict=True) if not test), signs.BLANK)
    form = _form(lines, tests) if sign else None
    if form is None:
        return None
    shown = list(_shown(lines, tests, form, sign))
    changed = sum(map(str.__ne__, shown, lines))
    if changed < LINES_MIN or list(_written(shown, form, sign)) != lines:
        return None
    return "\n".join((_header(form, sign), *shown))


def _form(lines: list[str], tests: list[re.Match[str] | None]) -> Form | None:
    """Return the form that most tests have, None where they are few."""
    found = [test for test in tests if test]
    if len(found) < LINES_MIN:
        return None
    marks = Counter(test["mark"] for test in found)
    times = Counter((test["open"], test["close"]) for test in found if test["time"])
    around = min(times, key=lambda pair: (-times[pair], pair), default=(" (", " ms)"))
    near, deep = _depths(lines, tests)
    deeper, deepest = (min(depths, key=lambda depth: (-depths[depth], depth)) for depths in (near, deep))
    is_near = near[deeper] >= deep[deepest]
    return Form(min(marks, key=lambda mark: (-marks[mark], mark)), *around, deeper, -1 if is_near else deepest)


def _depths(lines: list[str], tests: list[re.Match[str] | None]) -> tuple[Counter[int], Counter[int]]:
    """Return how often tests stand how much deeper than the heading above, and how deep."""
    near, deep = Counter((2,)), Counter[int]()
    lead, is_test, beside = 0, False, 0
    for line, test in zip(lines, tests, strict=True):
        if test:
            depth = len(test["lead"])
            deep[depth] += 1
            if is_test:
                beside += depth == lead
            elif depth >= lead:
                near[depth - lead] += 1
        elif line and not line.isspace():
            lead, is_test = len(line) - len(line.lstrip(" ")), _OF_A_TEST.match(line) is not None
    near[min(near, key=lambda depth: (-near[depth], depth))] += beside
    return near, deep


def _shown(lines: list[str], tests: list[re.Match[str] | None], form: Form, sign: str) -> Iterator[str]:
    depth = max(form.deep, 0)
    for line, test in zip(lines, tests, strict=True):
        short = _short(test, form, sign) if test and len(test["lead"]) == depth else ""
        if not short:
            depth = form.depth_below(line, depth)
        yield short or line


def _short(test: re.Match[str], form: Form, sign: str) -> str:
    """Return the line for a test, empty where it is printed otherwise or could be misread."""
    if test["mark"] != form.mark:
        return ""
    if test["time"] and (test["open"], test["close"]) == (form.before_time, form.after_time):
        return signs.signed(sign, test["name"], test["time"])
    return signs.signed(sign, test[0][test.start("name") :])


def _header(form: Form, sign: str) -> str:
    blanks = form.deeper if form.deep < 0 else form.deep
    place = f"{blanks} blank{'' if blanks == 1 else 's'} " + (DEEPER if form.deep < 0 else DEEP)
    example = f"{form.mark} a{form.before_time}9{form.after_time}"
    return f'{signs.HEADER}{sign}a|9" was "{example}", a test that passed, {place}]'


def _written(shown: list[str], form: Form, sign: str) -> Iterator[str]:
    """Yield the lines as they were printed."""
    depth = max(form.deep, 0)
    for line in shown:
        if not signs.is_signed(line, sign):
            depth = form.depth_below(line, depth)
            yield line
            continue
        name, time = signs.read(line)
        yield " " * depth + f"{form.mark} {name}" + (f"{form.before_time}{time}{form.after_time}" if time else "")
