"""A line above tables that says in words what their headers say in signs."""

import re

START = "[In tables: "
SAVED_CHARS_MIN = 1000
"""A table that saves fewer has no line that explains only what reads by itself."""
HEADERS_MAX = 200
"""So many headers are looked through for signs."""

_HEADER = re.compile(r"[\[{][0-9]+ (?!\w+ left out: )[^\n:]{1,120}: [^\n]*")
_CONSTANTS = "(a=b) is b in all rows"
_SIGNS = (
    (re.compile(r"[,:] ?\([^{}\n]*?="), _CONSTANTS),
    (re.compile(r"(?<![^,: ])[^+,\n]+ or (?!as above)"), '"a or b" is b where the cell is empty'),
    (re.compile(r"[ ,]\+[^,\n]+ or "), '"+a or b" is b but in rows that end with a=other'),
    (re.compile(r" or as above"), '"as above" is the value in the row above'),
    (re.compile(r"\{#\}"), "{#} is in the # line above the rows"),
    (re.compile(r"\{\}|\{[^{}#\n]+\}[^{}\n]*[,)]"), "{} is the cell and {a} the value of a"),
)


def with_legend(result: str, saved_chars: int) -> str:
    """Return `result`, which holds tables, below a line that explains their signs."""
    headers = "\n".join(match[0] for match, _ in zip(_HEADER.finditer(result), range(HEADERS_MAX), strict=False))
    used = [words for sign, words in _SIGNS if sign.search(headers)]
    if saved_chars < SAVED_CHARS_MIN and used == [_CONSTANTS]:
        return result
    return f"{START}{'; '.join(used)}]\n{result}" if used else result
