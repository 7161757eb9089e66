"""How a line that stands for a longer one is told from all others: by the sign that it begins with.

`" name|9"` is such a line, its sign a blank, with a number behind its last bar; `" name"` has none. A name begins with
a letter, a digit or one of NAME_OPENS. The header of a form says by example what such lines were.
"""

import re
from collections.abc import Iterable

HEADER = '[below, "'
"""How each header begins."""
BLANK = " "
SIGNS = BLANK + "+*=~^"
"""The first that no other line begins with is taken; a blank costs nothing, for most words have one in their token."""
NAME_OPENS = "_#@$&<(./'\"`-"

_NUMBERED = re.compile(r"(?P<name>.*)\|(?P<number>[0-9]+(?:\.[0-9]+)?)")


def free(others: Iterable[str], signs: str = SIGNS) -> str:
    """Return the first of `signs` that none of the other lines has, empty if there is none."""
    taken = {line[0] for line in others if line and line[0] in signs and is_signed(line, line[0])}
    return next((sign for sign in signs if sign not in taken), "")


def is_signed(line: str, sign: str) -> bool:
    """Tell whether `line` begins with `sign` and a name."""
    return line.startswith(sign) and _opens_name(line[1:2])


def signed(sign: str, name: str, number: str = "") -> str:
    """Return the line for a name and perhaps a number, empty where it could be misread."""
    if not _opens_name(name[:1]) or (not number and _NUMBERED.fullmatch(name)):
        return ""
    return f"{sign}{name}|{number}" if number else sign + name


def read(line: str) -> tuple[str, str]:
    """Return the name and the number, perhaps empty, of a line that `signed` returned."""
    found = _NUMBERED.fullmatch(line, 1)
    return (found["name"], found["number"]) if found else (line[1:], "")


def _opens_name(char: str) -> bool:
    return char.isalnum() or (char != "" and char in NAME_OPENS)
