"""Lines with a number far from those of its like, or with a word that is rare where few words are usual.

Far is more than five times the median distance from the median (Leys et al., Detecting outliers: do not use standard
deviation around the mean, 2013): one giant value does not hide the rest.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import isfinite, log2
from operator import gt

from proxy_pkg.compressors.shapes import Shapes, Words
from proxy_pkg.compressors.twins import twins

LIKE_MIN = 3
"""In a column of fewer lines nothing is far or rare."""
FAR = 5
USUAL_SHARE = 16
"""A column has few words if it has at most one for so many lines."""
RARE_SHARE = 64
"""A word is rare if at most one of so many lines has it."""
OUTLIERS_SHARE = 16
"""More than one of so many lines are not rare, and no jumps."""
TAIL_SHARE, TAIL_MIN = 16, 4
"""What but one of so many lines reaches at most is usual, however far from the median."""
PROBES = 16
SPREAD_STEPS = 500
"""A column that grows has no smaller steps than the median distance from the median in so many parts."""
NUMBERS_SHARE = 8
"""A column holds numbers if all but one in so many of its words are some, or more."""
NOT_ONE = -1.0

_NUMBER = re.compile(
    rb"^(?:[A-Za-z_][\w.-]{0,40}[=:])?([0-9]{1,15}(?:\.[0-9]{1,9})?)[A-Za-z%]{0,4}[.:]?$", re.MULTILINE
)
_NAMED = re.compile(rb"([A-Za-z_]{2,24})[^\w\n]{1,2}([0-9]{1,9}(?:\.[0-9]{1,6})?)(?![\w:/-])")
_JOINED, _DIGITS = b"\x01", b"0123456789"
_SLASH = ord("/")

Scores = dict[int, float]


def outliers(shapes: Shapes) -> list[int]:
    """The lines that stand out among those of their shape, the farthest off first."""
    scores: Scores = {}
    for group in shapes.groups():
        if len(group) >= LIKE_MIN:
            _note_group(scores, group, [shapes.words[line] for line in group])
    for lines, values in _named_numbers(shapes):
        _note(scores, lines, far(values))
    return sorted(scores, key=lambda line: (-scores[line], line))


def _note_group(scores: Scores, group: Sequence[int], words: Sequence[Words]) -> None:
    numeric: list[list[float]] = []
    columns = list(zip(*words, strict=False))
    _note(scores, group, list(twins(columns).items())[: max(TAIL_MIN, len(group) // TAIL_SHARE)])
    for column in columns:
        distinct = len(set(column))
        if 1 < distinct <= max(2, len(column) // USUAL_SHARE):
            _note(scores, group, _rare(column))
        values = _numbers(column) if distinct > 1 else []
        if values:
            numeric.append(values)
            _note(scores, group, far(values))
    for rows in _alike(words) if numeric else ():
        lines = [group[row] for row in rows]
        for values in numeric:
            _note(scores, lines, far([values[row] for row in rows]))


def _alike(words: Sequence[Words]) -> Iterator[list[int]]:
    """Rows that are more alike than all are: whose words differ in digits only, or that name the same path or phrase.

    Nothing where that parts the rows into none that are many enough.
    """
    some = words[:: len(words) // PROBES + 1]
    has_names = any(_JOINED in word or word[0] == _SLASH for line in some for word in line)
    for naming in (_whole, _name) if has_names else (_whole,):
        found: dict[bytes, list[int]] = {}
        for row, line in enumerate(words):
            found.setdefault(naming(line).translate(None, _DIGITS), []).append(row)
        if len(found) > 1:
            yield from (rows for name, rows in found.items() if name and len(rows) >= LIKE_MIN)


def _whole(line: Words) -> bytes:
    return b" ".join(line)


def _name(line: Words) -> bytes:
    return next((word for word in line if _JOINED in word or word[0] == _SLASH), b"")


def _note(scores: Scores, lines: Sequence[int], found: Iterable[tuple[int, float]]) -> None:
    for row, score in found:
        line = lines[row]
        scores[line] = max(score, scores.get(line, 0.0))


def _rare(column: Sequence[bytes]) -> Iterator[tuple[int, float]]:
    most = max(2, len(column) // RARE_SHARE)
    rare = {word: log2(len(column) / count) / 2 for word, count in Counter(column).items() if count <= most}
    if sum(map(rare.__contains__, column)) * OUTLIERS_SHARE <= len(column):
        yield from ((row, rare[word]) for row, word in enumerate(column) if word in rare)


def _numbers(column: Sequence[bytes]) -> list[float]:
    """The numbers in a column; none unless nearly every word is one, perhaps with a name before or a unit behind."""
    some = column[:: len(column) // PROBES + 1]
    if sum(map(bool, map(_NUMBER.match, some))) * 2 < len(some):
        return []
    try:
        values = list(map(float, column))
    except ValueError:
        found = _NUMBER.findall(b"\n".join(column))
        if len(found) * NUMBERS_SHARE < len(column) * (NUMBERS_SHARE - 1) or len(found) > len(column):
            return []
        numbers = iter(found)
        values = [float(next(numbers)) if _NUMBER.match(word) else NOT_ONE for word in column]
    return values if all(map(isfinite, values)) else []


def far(values: Sequence[float]) -> list[tuple[int, float]]:
    """Rows whose value is far from the median of all or, where values grow evenly, from those beside it.

    The score says how much farther than the farthest of the usual ones, in powers of two.
    """
    ordered = sorted(values)
    if not values or ordered[0] == ordered[-1]:
        return []
    middle = ordered[len(values) // 2]
    distances = [abs(value - middle) for value in values]
    ordered = sorted(distances)
    spread = ordered[len(values) // 2]
    least = FAR * (spread or abs(middle) or 1.0)
    tail = max(len(values) // TAIL_SHARE, min(len(values) // 4, TAIL_MIN))
    usual = max(ordered[-2 - tail], least / FAR)
    found = [(row, log2(away / usual)) for row, away in enumerate(distances) if away > least and away > usual]
    return found + _jumps(values, spread)


def _jumps(values: Sequence[float], spread: float) -> list[tuple[int, float]]:
    """Rows whose value is far from between those beside it, in a column that grows, such as one of ids or times."""
    if not spread or sum(map(gt, values, values[1:])) * OUTLIERS_SHARE > len(values):
        return []
    steps = sorted([after - before for before, after in pairwise(values)])
    least = FAR * FAR * max(steps[len(steps) // 2], spread / SPREAD_STEPS)
    beside = zip(values, values[1:], values[2:], strict=False)
    off = [abs(value - sorted((before, value, after))[1]) for before, value, after in beside]
    return [(row, log2(FAR * distance / least)) for row, distance in enumerate(off, 1) if distance > least]


def _named_numbers(shapes: Shapes) -> Iterator[tuple[list[int], list[float]]]:
    """Numbers behind the same word inside quotes, whatever the shape of the line: the lines and the values."""
    found: dict[bytes, tuple[list[int], list[float]]] = {}
    read: dict[bytes, list[tuple[bytes, float]]] = {}
    for line, words in enumerate(shapes.words if shapes.has_phrases else ()):
        for word in words:
            if _JOINED in word:
                if word not in read:
                    read[word] = [(name, float(number)) for name, number in _NAMED.findall(word)]
                for name, number in read[word]:
                    lines, values = found.setdefault(name, ([], []))
                    lines.append(line)
                    values.append(number)
    yield from (pair for pair in found.values() if len(pair[0]) >= LIKE_MIN)
