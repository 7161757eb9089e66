"""How a table is drawn with bars and rules: its cells, and in few words all that is needed to draw it again.

The words are those of the second line that ruled.py describes.
"""

import re
from itertools import pairwise

from msgspec import Struct

BARS = "|│┃║"
COLUMNS_MAX = 64

_NO_JOINT = "-=─━═: "
_FILL_RUN = re.compile(r"([-=─━═])\1*")
_PART = re.compile(r"([^-=─━═: ])")
_CELL_END = re.compile(r"(?<!\\)\|")
_WIDTH = re.compile(r"%-?([0-9]+)s")
_PLACES = ("above", "below names", "between", "below")


class Drawn(Struct, frozen=True):
    """A table in a text: lines `start` to `end` (exclusive), names and rows, and the rules by where they are."""

    start: int
    end: int
    rows: list[str]
    rules: dict[str, str]


class Frame(Struct, frozen=True):
    """The cells of names and rows, the printf format of both, and what else is to be said."""

    cells: list[list[str]]
    printed: str
    notes: list[str]


def framed(drawn: Drawn) -> Frame | None:
    """Return the frame of a table, None if it is drawn in a way that cannot be said."""
    return _aligned(drawn) or _unaligned(drawn)


def _aligned(drawn: Drawn) -> Frame | None:
    """Return the frame of a table whose bars are below each other."""
    rule = drawn.rules["below names"]
    names, *rows = drawn.rows
    joints = [at for at, sign in enumerate(rule) if sign not in _NO_JOINT]
    if not joints:
        return None
    bar, name_bar = rows[0][joints[0] : joints[0] + 1], names[joints[0] : joints[0] + 1]
    if not bar or bar not in BARS or not name_bar or name_bar not in BARS:
        return None
    if any(row[at : at + 1] != bar for row in rows for at in joints):
        return None
    edges = [-1] * (joints[0] > 0) + joints + [len(rule)] * (joints[-1] < len(rule) - 1)
    zones = [(start + 1, end) for start, end in pairwise(edges)]
    if not 1 < len(zones) <= COLUMNS_MAX or not all(rule[start:end].strip(" ") for start, end in zones):
        return None
    return _in_zones(drawn, zones, bar, name_bar)


def _in_zones(drawn: Drawn, zones: list[tuple[int, int]], bar: str, name_bar: str) -> Frame | None:
    """Return the frame of a table whose cells lie in `zones`."""
    rule = drawn.rules["below names"]
    names, *rows = drawn.rows
    has_start, has_end = zones[0][0] > 0, zones[-1][1] < len(rule)
    is_cut = not has_end and any(len(row) != len(rule) for row in rows)
    pad = " " if all(row[start : start + 1] in (" ", "") for row in rows for start, _ in zones) else ""
    columns = [[row[start + len(pad) : end] for row in rows] for start, end in zones]
    widths = [end - start - 2 * len(pad) for start, end in zones]
    if min(widths) < 1:
        return None
    columns = [[cell[:width] for cell in column] for column, width in zip(columns, widths, strict=True)]
    are_right = [_is_right(column, width) for column, width in zip(columns, widths, strict=True)]
    slots = [f"%{'' if right else '-'}{width}s" for right, width in zip(are_right, widths, strict=True)]
    printed = bar * has_start + pad + (pad + bar + pad).join(slots) + pad + bar * has_end
    cells = [
        [cell.lstrip(" ") if right else cell.rstrip(" ") for cell in column]
        for right, column in zip(are_right, columns, strict=True)
    ]
    table = list(map(list, zip(*cells, strict=True)))
    if [_print(printed, row, is_cut) for row in table] != rows:
        return None
    title = [names[start:end].strip(" ") for start, end in zones]
    notes = _names(names, title, printed, is_cut, (bar, name_bar))
    ruled = _ruled("ruled", {place: _squeezed(line, printed, bar) for place, line in drawn.rules.items()})
    return None if notes is None or not ruled else Frame([title, *table], printed, [*notes, ruled])


def _is_right(column: list[str], width: int) -> bool:
    """Tell whether the cells of `column` are set to the right, and not all of them fill it."""
    inked = [cell for cell in column if cell.strip(" ")]
    return any(cell[0] == " " for cell in inked) and all(len(cell) == width and cell[-1] != " " for cell in inked)


def _print(printed: str, cells: list[str], is_cut: bool) -> str:
    """Return a row, with `is_cut` without the blanks behind its last cell."""
    if not is_cut:
        return printed % tuple(cells)
    start = printed.rindex("%")
    last = "%s" if printed[start + 1] == "-" else printed[start:].rstrip(" ")
    return (printed[:start] + last) % tuple(cells)


def _names(line: str, names: list[str], printed: str, is_cut: bool, bars: tuple[str, str]) -> list[str] | None:
    """Return what is to be said of the line of names and of last cells, None if the line is none of these."""
    bar, name_bar = bars
    line = line.replace(name_bar, bar)
    widths = [int(width) for width in _WIDTH.findall(printed)]
    left = _WIDTH.sub(r"%-\1s", printed)
    centred = [" " * ((width - len(name)) // 2) + name for name, width in zip(names, widths, strict=True)]
    notes = [f"names between {name_bar}"] * (bar != name_bar)
    for words, form, cells in (("", printed, names), ("names left", left, names), ("names centred", left, centred)):
        said = [words, *notes] if words else notes
        if _print(form, cells, False) == line:
            return [*said, "last cell unpadded"] if is_cut else said
        if is_cut and _print(form, cells, True) == line:
            return [*said, "last cell and name unpadded"]
    return None


def _ruled(word: str, rules: dict[str, str]) -> str:
    """Return the words for `rules`, empty if one of them is."""
    if not all(rules.values()):
        return ""
    parts: list[str] = []
    before = ""
    for place in _PLACES:
        if place in rules:
            parts.append(place if rules[place] == before else f"'{rules[place]}' {place}")
            before = rules[place]
    return f"{word} {', '.join(parts)}"


def _squeezed(rule: str, printed: str, bar: str) -> str:
    """Return `rule` with each run of one sign as one of them, empty if a row's bars would not give it back."""
    short = _FILL_RUN.sub(r"\1", rule)
    blank = printed % tuple([""] * len(_WIDTH.findall(printed)))
    return short if _stretched(short, blank, bar) == rule else ""


def _stretched(short: str, blank: str, bar: str) -> str:
    """Return the rule that `short` stands for, below the bars of a row of empty cells."""
    widths = [len(zone) for zone in blank.split(bar)]
    parts = _PART.split(short)
    if len(parts) != 2 * len(widths) - 1:
        return ""
    parts[::2] = map(_widened, parts[::2], widths)
    return "".join(parts)


def _widened(zone: str, width: int) -> str:
    return _FILL_RUN.sub(lambda run: run[1] * (width - len(zone) + 1), zone, count=1)


def _unaligned(drawn: Drawn) -> Frame | None:
    """Return the frame of a markdown table whose cells are not padded."""
    if set(drawn.rules) != {"below names"}:
        return None
    cells = [[cell[1:-1] for cell in _CELL_END.split(row)[1:-1]] for row in drawn.rows]
    width = len(cells[0])
    if not 1 < width <= COLUMNS_MAX or any(len(row) != width for row in cells):
        return None
    printed = "| " + " | ".join(["%s"] * width) + " |"
    if [printed % tuple(row) for row in cells] != drawn.rows:
        return None
    return Frame(cells, printed, [_ruled("ruled exactly", drawn.rules)])
