"""Facts to look for in what is sent: those that a text has of its own, and whether a reader can see one."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from random import Random
from typing import Any

from msgspec import Struct

from bench.compression_corpus import READS
from tests.compressors.inverse_tables import json_values
from tests.compressors.screen import seen

FACTS_MAX = 120
SHINGLE_WORDS = 7


class Fact(Struct, frozen=True):
    """Texts that mean something only together: all of `parts` on the same line or in the same record.

    `lines` is how many lines in a row may hold them; 0 if white space is just white space, as on a web page.
    """

    parts: tuple[str, ...]
    lines: int = 1


class View:
    """A text, or the values of a JSON text, prepared for looking."""

    def __init__(self, value: Any) -> None:
        self._value = value

    @cached_property
    def _squeezed(self) -> str:
        return " ".join(self._value.split())

    @cached_property
    def _lines(self) -> frozenset[str]:
        return frozenset(" ".join(line.split()) for line in self._value.split("\n"))

    @cached_property
    def _leaves(self) -> frozenset[str]:
        return frozenset(leaves(self._value))

    @cached_property
    def _records(self) -> list[frozenset[str]]:
        return [frozenset(leaves(record)) for record in records(self._value)] or [self._leaves]

    def shows(self, fact: Fact) -> bool:
        """Whether a reader finds the fact."""
        if not isinstance(self._value, str):
            return self._has_values(fact)
        if any(char in part for part in fact.parts for char in "\x1b\r\b"):
            fact = Fact(tuple(map(seen, fact.parts)), fact.lines)
        squeezed = [" ".join(part.split()) for part in fact.parts]
        if fact.lines == 0:
            return all(_within(part, self._squeezed) for part in squeezed)
        if len(squeezed) == 1 and squeezed[0] in self._lines:
            return True
        return any(all(_within(part, near) for part in fact.parts) for near in self._near(fact))

    def _has_values(self, fact: Fact) -> bool:
        if len(fact.parts) > 1:
            return any(record.issuperset(fact.parts) for record in self._records)
        try:
            meant = json_values(fact.parts[0])
        except ValueError:
            meant = None
        if isinstance(meant, dict | list):  # a line that is a record by itself
            return any(record == meant for record in records(self._value))
        return fact.parts[0] in self._leaves

    def _near(self, fact: Fact) -> Iterator[str]:
        """The lines around each place where the first part stands."""
        text: str = self._value
        at = text.find(fact.parts[0])
        while at >= 0:
            start, end = at, at
            for _ in range(fact.lines):
                start = text.rfind("\n", 0, start) if start > 0 else -1
                end = text.find("\n", end + 1) if end >= 0 else -1
            yield text[start + 1 : end if end >= 0 else len(text)]
            at = text.find(fact.parts[0], at + 1)


def _within(part: str, text: str) -> bool:
    """Whether `part` stands in `text` as a whole, not as a piece of a longer word or number."""
    at = text.find(part)
    while at >= 0:
        end = at + len(part)
        joins_before = at > 0 and text[at - 1].isalnum() and part[0].isalnum()
        joins_after = end < len(text) and text[end].isalnum() and part[-1].isalnum()
        if not joins_before and not joins_after:
            return True
        at = text.find(part, at + 1)
    return False


def records(value: Any) -> Iterator[Any]:
    """The elements of all arrays in a value; records one a line count as an array."""
    pending = [value]
    while pending:
        inside = pending.pop()
        if isinstance(inside, list | tuple):
            yield from inside
            pending += inside
        elif isinstance(inside, dict):
            pending += inside.values()


def leaves(value: Any) -> Iterator[str]:
    """All values in a value that hold no others, as text."""
    pending = [value]
    while pending:
        inside = pending.pop()
        if isinstance(inside, dict):
            pending += inside.values()
        elif isinstance(inside, list | tuple):
            pending += inside
        else:
            yield str(inside)


def natural(kind: str, text: str) -> list[Fact]:
    """Facts that `text` has of its own, at most FACTS_MAX of them picked evenly by a fixed seed."""
    found = list(dict.fromkeys(NATURAL.get(kind, _lines)(text)))
    return found if len(found) <= FACTS_MAX else Random(0).sample(found, FACTS_MAX)


def _matching(pattern: str) -> Callable[[str], Iterable[Fact]]:
    find = re.compile(pattern).search
    return lambda text: [Fact((line.strip(),)) for line in text.split("\n") if line.strip() and find(line)]


def _error_lines(text: str) -> list[Fact]:
    """The first line of each kind of error, digits apart."""
    distinct = {re.sub("[0-9]+", "0", fact.parts[0]): fact for fact in reversed(list(_ERRORS(text)))}
    return list(distinct.values())


def _hits(text: str) -> list[Fact]:
    found = re.findall(r"^((?:[A-Za-z]:)?[^\s:]+:[0-9]+):", text, re.MULTILINE)
    return [Fact((place,)) for place in found] or list(_lines(text))


def _values(text: str) -> list[Fact]:
    found = re.findall(r':\s*(?:"([^"\\\n]{3,80})"|(-?[0-9][0-9.eE+-]{2,}))', text)
    return [Fact((string or number,)) for string, number in found]


def _cells(text: str) -> list[Fact]:
    cells = (cell.strip(' "') for line in text.split("\n") for cell in re.split("[,;\t]", line))
    return [Fact((cell,)) for cell in cells if len(cell) > 2]


def _shingles(text: str) -> list[Fact]:
    found = []
    for paragraph in re.findall(r"<(?:p|li|h[1-6])(?:\s[^>]*)?>([^<>&]{40,})<", text):
        words = paragraph.split()
        found += [words[at : at + SHINGLE_WORDS] for at in range(0, len(words) - SHINGLE_WORDS + 1, SHINGLE_WORDS)]
    return [Fact((" ".join(words),), lines=0) for words in found]


_lines = _matching(r"\w{3}")
_ERRORS = _matching(r"(?i)\b(?:error|fatal|critical|panic|exception|fail(?:ed|ure)?|warn(?:ing)?)\b|\" 5[0-9]{2} ")
_FAILURES = r'FAIL|^E  |AssertionError|"Action":"fail"|panic|\berror\b|^=+ .* =+$|^[^\s:]+:[0-9]+:[0-9]+: '
_SIGNATURES = (
    r"^\s*(?:pub |async |export |static |private |public )*(?:def|class|fn|func|function|impl|struct|enum|module)\s"
)
NATURAL: dict[str, Callable[[str], Iterable[Fact]]] = {
    READS: _lines,
    "JSON": _values,
    "logs": _error_lines,
    "search": _hits,
    "diffs": _matching(r"^(?:[+-]|diff |rename |@@)"),
    "tests and builds": _matching(_FAILURES),
    "HTML": _shingles,
    "CSV": _cells,
    "code": _matching(_SIGNATURES),
    "prose": _matching(r"[0-9]"),
}
"""What has to survive, by kind: lines of other kinds count as they are."""
