"""Steps of a build that are numbered in brackets, as ninja (`[7/140]`) and cmake's makefiles (`[ 12%]`) print them.

    [below, " a|7" was "[7/140] a", " a" the same with the next number]
     Building C object CMakeFiles/cart.dir/cart_adds.c.o
    FAILED: CMakeFiles/cart.dir/cart_removes.c.o
     Linking C static library libcart.a

The next number is one more than in the step above, and 1 in the first; of a share it is the same as there, and 0 in
the first. signs.py says how the lines are told apart.
"""

import re
from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from proxy_pkg.compressors import signs

STEPS_MIN = 6
HEADER = signs.HEADER + '{sign}a|7" was "{seven}a", "{sign}a" the same with the {next}]'
NEXT = {1: "next number", 0: "number above"}

_STEP = re.compile(r"\[(?P<number> *[0-9]{1,6})(?P<of>/[0-9]{1,6}|%)\] (?P<name>\S.*)")


class Form(Struct, frozen=True):
    """What stands behind the number of a step, how wide the number is, and how far each is from the one above."""

    of: str
    width: int
    by: int

    def lead(self, number: int) -> str:
        """Return what is printed before a step."""
        return f"[{number:>{self.width}}{self.of}] "


def left_out(text: str) -> str | None:
    """Return `text` with steps behind a sign, None where they are few or would not follow."""
    if "\n[" not in text:
        return None
    lines = text.split("\n")
    steps = [_STEP.fullmatch(line) if line[:1] == "[" else None for line in lines]
    found = Counter(step["of"] for step in steps if step)
    if found.total() < STEPS_MIN:
        return None
    of = min(found, key=lambda of: (-found[of], of))
    sign = signs.free(line for line, step in zip(lines, steps, strict=True) if not step or step["of"] != of)
    numbers = [step["number"] for step in steps if step and step["of"] == of]
    width = len(numbers[0]) if any(number[0] == " " for number in numbers) else 0
    form = Form(of, width, int(of != "%"))
    shown = list(_shown(lines, steps, form, sign)) if sign else lines
    if sum(map(str.__ne__, shown, lines)) < STEPS_MIN or list(_written(shown, form, sign)) != lines:
        return None
    return "\n".join((HEADER.format(sign=sign, seven=form.lead(7), next=NEXT[form.by]), *shown))


def _shown(lines: list[str], steps: list[re.Match[str] | None], form: Form, sign: str) -> Iterator[str]:
    number = 0
    for line, step in zip(lines, steps, strict=True):
        if step is None or step["of"] != form.of:
            yield line
            continue
        before, number = number, int(step["number"])
        short = signs.signed(sign, step["name"], "" if number == before + form.by else str(number))
        yield short if short and line.startswith(form.lead(number)) else line


def _written(shown: list[str], form: Form, sign: str) -> Iterator[str]:
    """Yield the lines as they were printed."""
    number = 0
    for line in shown:
        if signs.is_signed(line, sign):
            name, jump = signs.read(line)
            number = int(jump) if jump else number + form.by
            yield form.lead(number) + name
            continue
        step = _STEP.fullmatch(line)
        number = int(step["number"]) if step and step["of"] == form.of else number
        yield line
