"""Tests that passed as ctest prints them: two lines for each, which say the same but for the test's name and time.

    [below, " cart_adds|0.01" was "      Start  1: cart_adds" and " 1/60 Test  #1: cart_adds ..   Passed    0.01 sec", \
each number one more than in the result above; " #9 a|0.01" was the second line alone, of test 9]
     cart_adds|0.01
     cart_removes|0.00

A result tells of a test that passed or failed. Dots fill all names up to the same width. signs.py says how the lines
are told apart.
"""

import re
from collections.abc import Iterator

from msgspec import Struct

from proxy_pkg.compressors import signs

TESTS_MIN = 4
FORM = (
    signs.HEADER + '{sign}{name}|{time}" was "{start}" and "{result}", {note}; '
    '"{sign}#9 a|0.01" was the second line alone, of test 9]'
)
NOTE = "each number one more than in the result above"

_START = re.compile(r" {6}Start +(?P<number>[0-9]{1,9}): (?P<name>\S+)")
_RESULT = re.compile(r" *(?P<count>[0-9]{1,9})/(?P<tests>[0-9]{1,9}) Test +#(?P<number>[0-9]{1,9}): (?P<name>\S+) ")
_PASSED = re.compile(_RESULT.pattern + r"(?P<dots>\.+)   Passed +(?P<time>[0-9.]+) sec")
_ALONE = re.compile(r"#([0-9]{1,9}) (\S+)")


class Form(Struct, frozen=True):
    """How many tests there are, and how wide are their numbers, and their names with the dots behind them."""

    tests: str
    number_width: int
    name_width: int

    def start(self, number: int, name: str) -> str:
        """Return what is printed when a test starts."""
        return f"      Start {number:>{self.number_width}}: {name}"

    def result(self, count: int, number: int, name: str, time: str) -> str:
        """Return what is printed when a test has passed, the one numbered `number`, after `count` - 1 others."""
        dots = "." * (self.name_width - len(name))
        place = f"#{number}".rjust(self.number_width + 1)
        return f"{count:>{self.number_width}}/{self.tests} Test {place}: {name} {dots}   Passed {time:>7} sec"


def left_out(text: str) -> str | None:
    """Return `text` with a name for each test that passed, None where they are few or would not follow."""
    if text.count("   Passed ") < TESTS_MIN:
        return None
    lines = text.split("\n")
    passed = [_PASSED.fullmatch(line) for line in lines]
    first = next((match for match in passed if match), None)
    sign = signs.free(line for line, match in zip(lines, passed, strict=True) if not match and not _START.match(line))
    if first is None or not sign:
        return None
    form = Form(first["tests"], len(first["tests"]), len(first["name"] + first["dots"]))
    shown = list(_shown(lines, passed, form, sign))
    if len(lines) - len(shown) < TESTS_MIN and sum(signs.is_signed(line, sign) for line in shown) < TESTS_MIN:
        return None
    return "\n".join((_header(first, form, sign), *shown)) if list(_written(shown, form, sign)) == lines else None


def _shown(lines: list[str], passed: list[re.Match[str] | None], form: Form, sign: str) -> Iterator[str]:
    count, pending = 1, ""
    for line, match in zip(lines, passed, strict=True):
        short = ""
        if match and match[0] == form.result(count, int(match["number"]), match["name"], match["time"]):
            is_pair = pending == form.start(count, match["name"]) and int(match["number"]) == count
            name = match["name"] if is_pair else f"#{int(match['number'])} {match['name']}"
            short = signs.signed(sign, name, match["time"])
            pending = "" if short and is_pair else pending
        if pending:
            yield pending
        pending = line if _START.fullmatch(line) else ""
        if not pending:
            yield short or line
        count = _after(line, count)
    if pending:
        yield pending


def _after(line: str, count: int) -> int:
    """Return the number of the next result, where that of one at `line` would be `count`."""
    result = _RESULT.match(line)
    return int(result["count"]) + 1 if result else count


def _header(first: re.Match[str], form: Form, sign: str) -> str:
    count, name, time = int(first["count"]), first["name"], first["time"]
    return FORM.format(
        sign=sign, name=name, time=time, start=form.start(count, name), result=form.result(count, count, name, time),
        note=NOTE,
    )  # fmt: skip


def _written(shown: list[str], form: Form, sign: str) -> Iterator[str]:
    """Yield the lines as they were printed."""
    count = 1
    for line in shown:
        if not signs.is_signed(line, sign):
            count = _after(line, count)
            yield line
            continue
        name, time = signs.read(line)
        alone = _ALONE.fullmatch(name)
        if alone:
            yield form.result(count, int(alone[1]), alone[2], time)
        else:
            yield form.start(count, name)
            yield form.result(count, count, name, time)
        count += 1
