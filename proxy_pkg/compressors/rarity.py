"""How unusual each cell of a column is, by its rank: how many cells of the column are at least as unusual.

A rank means the same in all columns, whatever they hold, so ranks of several columns can be compared: rank 1 is
the one cell that stands out, and half the column's length says nothing. Cells are unusual in several ways:

- their value is rare among values that repeat;
- their number is far from the median, measured by the median of such distances (MAD), which outliers cannot move;
- their number is far from both of its neighbours', as a spike is, or a place out of order;
- they differ from the cell above, in a column that seldom changes.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from math import isfinite
from operator import ne, sub

MEDIANS_MIN = 2.05
"""Evenly spread numbers reach 2 medians of distances: what lies farther away is the tail of something."""
SPIKE_MEDIANS_MIN = 3.0
CLEAR_MEDIANS = 5.0
CERTAIN_MEDIANS = 10.0
CLEAR_SHARE = 50
"""Rare values, or changes, are a clear sign if one row in so many has one, or fewer."""
CERTAIN, CLEAR, UNCLEAR = 1, 2, 4
"""What the ranks of signs are multiplied by: in every column something has to be the farthest and the rarest."""
UNITS_SAMPLED = 16
TIMES = (946_684_800, 2_208_988_800)
"""The years 2000 to 2040 in seconds of Unix time."""

_QUANTITY = re.compile(r"\s*[<>~$€£]?([-+]?[0-9][0-9,]*(?:\.[0-9]+)?) ?(%|[a-zA-Zµ]{1,3}|[a-zA-Z]{1,3}/s)?\s*")
_SCALES = {
    "": 1.0, "%": 1.0, "b": 1.0,
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0,
    "k": 1e3, "ki": 2.0**10, "kb": 1e3, "kib": 2.0**10, "mi": 2.0**20, "mb": 1e6, "mib": 2.0**20,
    "g": 1e9, "gi": 2.0**30, "gb": 1e9, "gib": 2.0**30, "t": 1e12, "ti": 2.0**40, "tb": 1e12, "tib": 2.0**40,
}  # fmt: skip
"""What a unit behind a number stands for; `m` is minutes or millions, whichever, as long as a column means one."""

Ranks = dict[int, int]
"""Row -> rank, for the unusual rows alone."""


def ranks(cells: Sequence[str], most: int) -> Ranks:
    """The rows of a column whose cell is unusual, with the best rank that each has; no rank above `most`."""
    counts = Counter(cells)
    if len(counts) < 2:
        return {}
    found = [_weighed(one, len(cells)) for one in (_rare(cells, counts, most), _changed(cells, most))]
    rows = [row for row, cell in enumerate(cells) if cell] if "" in counts else range(len(cells))
    values = numbers([cells[row] for row in rows] if "" in counts else cells)
    if values and len(values) > 2 and not _are_times(values):
        found += [_at(rows, _far(values, most)), _at(rows, _spikes(values, most))]
    return merged(found)


def merged(found: Sequence[Ranks]) -> Ranks:
    """The best rank of each row."""
    best: Ranks = {}
    for one in found:
        for row, rank in one.items():
            if rank < best.get(row, rank + 1):
                best[row] = rank
    return best


def numbers(cells: Sequence[str]) -> list[float] | None:
    """The numbers that `cells` are, those with units as multiples of the unit; None if one of them is none."""
    try:
        values = list(map(float, cells))
    except ValueError:
        if not all(map(_QUANTITY.fullmatch, cells[:UNITS_SAMPLED])):
            return None
        quantities = [_QUANTITY.fullmatch(cell) for cell in cells]
        values = [_value(found) for found in quantities if found]
        if len(values) < len(cells):
            return None
    return values if all(map(isfinite, values)) else None


def _are_times(values: list[float]) -> bool:
    """Whether all are moments of about our days, by Unix time: those come in bursts, and mean little by distance."""
    least, most = min(values), max(values)
    return any(TIMES[0] * unit <= least and most <= TIMES[1] * unit for unit in (1, 10**3, 10**6, 10**9))


def _value(found: re.Match[str]) -> float:
    unit = (found[2] or "").removesuffix("/s").lower()
    return float(found[1].replace(",", "")) * _SCALES.get(unit, 1.0)


def _weighed(found: Ranks, count: int) -> Ranks:
    """Ranks of words that many rows share are unclear: most columns of words have rare ones."""
    return {row: rank * (CLEAR if rank * CLEAR_SHARE <= count else UNCLEAR) for row, rank in found.items()}


def _rare(cells: Sequence[str], counts: Counter[str], most: int) -> Ranks:
    by_count = Counter(counts.values())
    rank_of: dict[int, int] = {}
    rows = 0
    for count in sorted(by_count):
        rows += count * by_count[count]
        if rows > most:
            break
        rank_of[count] = rows
    if not rank_of:
        return {}
    rare = {value: rank_of[count] for value, count in counts.items() if count in rank_of}
    return {row: rare[cell] for row, cell in enumerate(cells) if cell in rare}


def _changed(cells: Sequence[str], most: int) -> Ranks:
    changes = list(map(ne, cells, islice(cells, 1, None)))
    count = sum(changes)
    return {row: count for row, changes_here in enumerate(changes, 1) if changes_here} if 0 < count <= most else {}


def _far(values: list[float], most: int) -> Ranks:
    median = sorted(values)[len(values) // 2]
    return _tail([abs(value - median) for value in values], most, MEDIANS_MIN)


def _spikes(values: list[float], most: int) -> Ranks:
    steps = list(map(abs, map(sub, islice(values, 1, None), values)))
    return _tail(list(map(min, [steps[0], *steps], [*steps, steps[-1]])), most, SPIKE_MEDIANS_MIN)


def _tail(distances: list[float], most: int, medians_min: float) -> Ranks:
    ordered = sorted(distances)
    count, median = len(ordered), ordered[len(ordered) // 2]
    least = max(ordered[max(0, count - most - 1)], median * medians_min)
    return {
        row: (count - bisect_left(ordered, one)) * _doubt(one, median)
        for row, one in enumerate(distances)
        if one > least
    }


def _doubt(distance: float, median: float) -> int:
    if distance > median * CERTAIN_MEDIANS:
        return CERTAIN
    return CLEAR if distance > median * CLEAR_MEDIANS else UNCLEAR


def _at(rows: Sequence[int], found: Ranks) -> Ranks:
    return {rows[at]: rank for at, rank in found.items()}
