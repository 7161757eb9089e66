"""The numbers that readers know lines by, and whether each of them means one line.

Lines without numbers are counted. A text that holds other numbers before its lines, or says `line 21:` before one
that is not the 21st, could be read by those, so no line of it is pointed at.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise

from proxy_pkg.compressors import numbered

_CLAIMS_SHARE_MAX = 0.25
_CLAIMS_IN_A_ROW_MAX = 3
_HIT = re.compile(r"([1-9]\d{0,8})([:-])")
_NUMBER = re.compile(r"[ \t]{0,12}[\[(#]?L?([0-9]{1,9})(?:[\])]? ?(?:[→\t|│)\]>-]|[.:](?![0-9]))| {1,4}(?=\S))")
_SAID = re.compile(
    r"[ \t]{0,12}[\[(#/*<>-]{0,4} ?(?:lines?|ln\.?|row|l\.) ?(?:no\.?|number|#)? ?([0-9]{1,9})"
    r"(?=[\])]? ?(?:[→\t:|│.)\]>=,-]|$))",
    re.IGNORECASE,
)
"""A number before a line, and one in words."""


class Form(StrEnum):
    """How the lines of a text are numbered."""

    COUNTED = ""
    """They carry no numbers."""
    NUMBERED = "numbered"
    """A file read: a number before each line, in one of the ways that tools write it."""
    HITS = "hits"
    """Lines of one file as grep -n shows them: a number, and `:` for a hit or `-` for context."""


class Labelled:
    """Lines as a reader knows them: `labels`, `bodies` without them, and the lines that have to stay, by index.

    A label is 0 where a line has no number although others have one. `is_clear`: each label means one line, and
    nothing else that stands before lines could be taken for it.
    """

    __slots__ = ("bodies", "fixed", "is_clear", "labels")

    def __init__(self, raw: list[str], form: Form) -> None:
        self.fixed: Collection[int] = ()
        self.labels: Sequence[int] = range(1, len(raw) + 1)
        self.bodies = raw
        if form is Form.COUNTED:
            self.is_clear = not _claims_others(raw)
            return
        self.labels, self.bodies = _SPLITS[form](raw)
        numbers = filter(None, self.labels)
        self.is_clear = all(one < other for one, other in pairwise(numbers)) and not any(
            _SAID.match(line) for label, line in zip(self.labels, raw, strict=True) if not label
        )
        if form is Form.HITS:
            self.fixed = {at for at, line in enumerate(raw) if self.labels[at] and _is_hit(line)}


def _claims_others(raw: list[str]) -> bool:
    """Whether numbers before lines disagree with the count. Dates and times are no such numbers: they stay the same
    from line to line, or jump.
    """
    rising = in_a_row = before = 0
    disagrees = False
    for place, line in enumerate(raw, 1):
        if (said := _SAID.match(line)) is not None and int(said[1]) != place:
            return True
        found = _NUMBER.match(line)
        number = int(found[1]) if found else 0
        if not number:
            in_a_row = 0
            continue
        rising += 0 < before < number
        in_a_row = in_a_row + 1 if number == before + 1 else 1
        disagrees = disagrees or number != place
        if in_a_row > _CLAIMS_IN_A_ROW_MAX and number != place:
            return True
        before = number
    return disagrees and rising > _CLAIMS_SHARE_MAX * len(raw)


def _split_hits(lines: list[str]) -> tuple[list[int], list[str]]:
    found = list(map(_HIT.match, lines))
    labels = [int(hit[1]) if hit else 0 for hit in found]
    return labels, [line[hit.end() :] if hit else line for line, hit in zip(lines, found, strict=True)]


def _is_hit(line: str) -> bool:
    found = _HIT.match(line)
    return found is not None and found[2] == ":"


_SPLITS: Mapping[Form, Callable[[list[str]], tuple[list[int], list[str]]]] = {
    Form.NUMBERED: numbered.split,
    Form.HITS: _split_hits,
}
