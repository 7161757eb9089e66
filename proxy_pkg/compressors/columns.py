"""A column of a table on its way to print, and how the header writes it.

    name                      each row has a cell
    (name=value)              the same in all rows: no cell
    (name={id}.html)          made from the value of the column id: no cell
    name=https://e.org/{}     {} stands for the cell
    name={#}{}                {#} stands for a part of the last line that begins with #
    name or value             an empty cell means this value
    name or as above          an empty cell means the value in the row above
    +name or value            most rows have this value; others end with a cell name=value

A value or a form that could be misread is a JSON string; a form then has an f before it.
"""

import re
from collections.abc import Callable, Iterable
from itertools import islice
from json.encoder import encode_basestring  # noqa: TID251  quotes without \u escapes
from operator import ne

SEPARATOR_WEIGHT = 3
"""What a cell costs beside its characters, in characters: about a token."""
REPEATED = "as above"
OWN, HEAD = "{}", "{#}"

BARE_PART = re.compile(r"[^\s\",.;:=+#(){}\[\]\x00-\x1f\x7f]+")
BARE_NAME = re.compile(rf"{BARE_PART.pattern}(?:\.{BARE_PART.pattern})*")
_BARE_VALUE = re.compile(r"[^\s,\"(){}\[\]\x00-\x1f\x7f](?:[^,(){}\[\]\x00-\x1f\x7f]*[^\s,(){}\[\]\x00-\x1f\x7f])?")
_BARE_FORM = re.compile(r"(?![\s\"]|f\")[^,()\[\]\x00-\x1f\x7f]*(?<!\s)")

Spell = Callable[[Iterable[str]], list[str]]


class Column:
    """A column under work: `cells` as they would print now, and what the header says of them.

    `words` are the strings that the cells stand for, empty where a cell is `hole`, the one value that is no
    string; there are none where other values occur too. `is_text` is False where words are the digits of
    numbers, which forms may use but not make. `spell` writes words as cells of a column without other values.
    `is_mixed` tells that equal cells may stand for unequal values, as the form has other columns in it.
    `changes` is how many cells differ from the one above.
    `plain` are the cells and `words` the strings of whole values, `rests` what the present cells stand for.
    `absent` is what an empty cell becomes where empty means something else, None if it has to stay empty.
    """

    __slots__ = (
        "absent",
        "cells",
        "changes",
        "fallback",
        "form",
        "heads",
        "hole",
        "is_mixed",
        "is_named",
        "is_shown",
        "is_text",
        "name",
        "plain",
        "rests",
        "spell",
        "words",
    )

    def __init__(
        self,
        name: str,
        cells: list[str],
        words: list[str] | None = None,
        *,
        hole: str | None = None,
        is_text: bool = True,
        spell: Spell = list,
        absent: str | None = None,
    ) -> None:
        self.name = name
        self.cells = cells
        self.words = self.rests = words or []
        self.plain = cells
        self.hole = hole
        self.is_text = is_text
        self.spell = spell
        self.absent = absent
        self.form = ""
        self.fallback = ""
        self.heads: list[str] = []
        self.changes: int = sum(map(ne, cells, islice(cells, 1, None)))
        self.is_shown = True
        self.is_named = False
        self.is_mixed = False

    def value(self, cell: str) -> str:
        """Return a whole value, written as `cell` would be, as the header writes it."""
        is_json = self.absent is not None and cell[:1] in ('"', "[", "{")
        if is_json or (_BARE_VALUE.fullmatch(cell) and cell != REPEATED and cell[:2] != 'f"'):
            return cell
        return encode_basestring(cell)

    def rewrite(self, rests: list[str], form: str) -> None:
        """Let the cells hold `rests`, what `form` leaves of the words; holes become empty cells."""
        spelled = self.spell(rests)
        if self.hole is not None:
            spelled = ["" if cell == self.hole else new for cell, new in zip(self.cells, spelled, strict=True)]
            self.fallback = self.hole
        self.cells, self.rests, self.form = spelled, rests, form

    def item(self) -> str:
        """Return what the header says of this column."""
        text = f"{self.name}={self.form}" if self.form else self.name
        if self.is_named:
            return f"+{text} or {self.fallback}"
        if not self.is_shown:
            return f"({text})"
        return f"{text} or {self.fallback}" if self.fallback else text


def weight(cells: list[str]) -> int:
    """Return what `cells` cost in print, in characters; an empty one costs next to nothing."""
    return len("".join(cells)) + SEPARATOR_WEIGHT * (len(cells) - cells.count(""))


def form(parts: Iterable[str | Column | None]) -> str:
    """Return the form of literals, the columns between them and None for the cell; empty if a literal has a brace."""
    written = []
    for part in parts:
        if isinstance(part, str) and ("{" in part or "}" in part):
            return ""
        written.append(part if isinstance(part, str) else f"{{{part.name}}}" if part else OWN)
    text = "".join(written)
    return text if _BARE_FORM.fullmatch(text) and " or " not in text else "f" + encode_basestring(text)
