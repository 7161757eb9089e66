"""Twins: rows that are the same in nearly all columns, where a number of one is many times that of the other.

How unusual such a number is no column tells by itself: in one that spans many decades every number is usual. Rows
are compared only where a quarter of their columns has the same cells, and few other rows have those (locality
sensitive hashing by bands: Leskovec, Rajaraman, Ullman: Mining of massive datasets, chapter 3).
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import log2
from operator import ne

BANDS = 4
GROUP_MAX = 6
"""What more rows have in common tells none of them apart."""
COLUMNS_MIN = 3
DIFFERENT_MAX = 2
"""Twins differ in no more columns: a name, and the number."""
DOUBLINGS_MIN = 3.0

_NUMBER = re.compile(r"(?<![\w.:/+-])-?([0-9]{1,15}(?:\.[0-9]{1,9})?)(?![\w:/-]|\.\w)")

Cell = str | bytes
Row = Sequence[str] | Sequence[bytes]


def twins(columns: Sequence[Row]) -> dict[int, float]:
    """The rows of a table, given by column, that have a twin, and by how many doublings their numbers are apart.

    Those first whose numbers are farthest apart; the smaller number of two counts half.
    """
    if len(columns) < COLUMNS_MIN:
        return {}
    rows: list[Row] = list(zip(*columns, strict=True))
    found: dict[int, float] = {}
    for one, other in _pairs(columns):
        doublings = _doublings(rows[one], rows[other])
        if abs(doublings) >= DOUBLINGS_MIN:
            large, small = (one, other) if doublings > 0 else (other, one)
            found[large] = max(abs(doublings), found.get(large, 0.0))
            found[small] = max(abs(doublings) / 2, found.get(small, 0.0))
    return dict(sorted(found.items(), key=lambda row: (-row[1], row[0])))


def _pairs(columns: Sequence[Row]) -> list[tuple[int, int]]:
    """Rows one after the other among the few that have the same cells in a band of columns."""
    found: set[tuple[int, int]] = set()
    for number in range(min(BANDS, len(columns))):
        keys = list(zip(*columns[number::BANDS], strict=True))
        few = {key for key, count in Counter(keys).items() if 1 < count <= GROUP_MAX}
        groups: dict[Row, list[int]] = {key: [] for key in few}
        for row, key in enumerate(keys) if few else ():
            if key in few:
                groups[key].append(row)
        for rows in groups.values():
            found.update(pairwise(rows))
    return sorted(found)


def _doublings(one: Row, other: Row) -> float:
    """By how many doublings a number of one row is larger than that of the other; 0 where they differ in too much."""
    if sum(map(ne, one, other)) > DIFFERENT_MAX:
        return 0.0
    pairs: Iterator[tuple[Cell, Cell]] = zip(one, other, strict=True)
    different = [(_text(cell), _text(its)) for cell, its in pairs if cell != its]
    return max((doublings for cell, its in different for doublings in _steps(cell, its)), key=abs, default=0.0)


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell.decode("latin-1")


def _steps(cell: str, other: str) -> Iterator[float]:
    """For each number, by how many doublings it is larger in `cell`, if the cells differ in numbers only."""
    if _NUMBER.sub("0", cell) != _NUMBER.sub("0", other):
        return
    for number, its in zip(_NUMBER.findall(cell), _NUMBER.findall(other), strict=True):
        yield log2((float(number) or 1.0) / (float(its) or 1.0))
