"""A line above tables that says in words what their headers say in signs, where it is small beside what they save."""

import re

START = "[In tables: "
SAVED_CHARS_MIN = 1000
HEADERS_MAX = 200
"""So many headers are looked through for signs."""

_HEADER = re.compile(r"[\[{][0-9]+ (?!\w+ left out: )[^\n:]{1,120}: [^\n]*")
_SIGNS = (
    (re.compile(r"[,:] ?\([^{}\n]*?="), "(a=b) is b in all rows"),
    (re.compile(r"(?<![^,: ])[^+,\n]+ or (?!as above)"), '"a or b" is b where the cell is empty'),
    (re.compile(r"[ ,]\+[^,\n]+ or "), '"+a or b" is b but in rows that end with a=other'),
    (re.compile(r" or as above"), '"as above" is the value in the row above'),
    (re.compile(r"\{#\}"), "{#} is in the # line above the rows"),
    (re.compile(r"\{\}|\{[^{}#\n]+\}[^{}\n]*[,)]"), "{} is the cell and {a} the value of a"),
)


def with_legend(result: str, saved_chars: int) -> str:
    """Return `result`, which holds tables, below a line that explains their signs if so many characters allow it."""
    if saved_chars < SAVED_CHARS_MIN:
        return result
    headers = "\n".join(match[0] for match, _ in zip(_HEADER.finditer(result), range(HEADERS_MAX), strict=False))
    used = [words for sign, words in _SIGNS if sign.search(headers)]
    return f"{START}{'; '.join(used)}]\n{result}" if used else result
