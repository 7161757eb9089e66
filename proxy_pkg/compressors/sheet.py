"""The header and the lines of a table, in few characters that still read as a table.

What is the same in all rows, or follows from another column, stands in the header alone; so does a value
that many rows have. Columns whose values come in runs move into lines that begin with `# ` and hold for
the rows below them.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise
from operator import add, ne, or_
from typing import NamedTuple

from proxy_pkg.compressors import templates
from proxy_pkg.compressors.columns import BARE_NAME, HEAD, OWN, REPEATED, SEPARATOR_WEIGHT, Column, weight

SAMPLED = 64
SHARE_OF_ROWS = 3
"""The header has a value for empty cells where at least one row in so many has it."""
REPEATED_SHARE = 4
"""Empty cells repeat the row above where all but one in so many rows do, or more."""
ROWS_FOR_NAME = 8
"""Where no more than one row in so many has another value, that value stands at the end of the row with its name."""
SAVED_MIN = 16
"""A value in the header saves at least so many characters."""
GROUP_ROWS_MIN = 3
"""A line that begins with # holds for at least so many rows, on average."""
ROWS_MIN = 6
"""A table of fewer rows has no such lines."""
CUT_MARKS = "/ -:._"
_CUT = re.compile(r"[/ :._-]|(?<=[0-9])T(?=[0-9])")
CUT_SHARE = 4
"""Words are cut in two where that saves one in so many of their characters, or more."""
SMALL_TABLE_CHARS_MAX = 240
"""Of a smaller table, only constants leave the rows: the rest reads better than it saves."""
CUTS_MAX = 8
"""So many places to cut words of one length are tried."""
GROUP_MARK = "# "
BARE_ROWS = 3
"""So many rows without a cell in a row are too many to count."""


class Run:
    """A column, or the beginnings of its words, as it would stand in lines that begin with #."""

    __slots__ = ("changes", "column", "count", "form", "head_weight", "heads", "saved", "tails")

    def __init__(self, column: Column, form: str, heads: list[str], tails: list[str], usual_weight: int) -> None:
        self.column = column
        self.form = form
        self.heads = heads
        self.tails = tails
        self.changes = list(map(ne, heads, islice(heads, 1, None)))
        self.count: int = 1 + sum(self.changes)
        self.head_weight = weight(heads) // len(heads) + 1
        self.saved = usual_weight - (weight(tails) if tails else 0)

    @property
    def gain(self) -> int:
        return self.saved - self.count * self.head_weight


class Layout(NamedTuple):
    """How tables of one notation are written: what stands between cells, and whether columns may change places.

    `is_free` also lets a row end before its last cells where these are empty.
    """

    separator: str = ","
    is_free: bool = True


def lay_out(columns: list[Column], layout: Layout, further: list[str] | None = None) -> tuple[str, list[str]]:
    """Return the items of the header, and the lines, of the table of `columns`; there is at least one.

    `further` is what each row has after its last cell.
    """
    _lift_constants(columns)
    runs: list[Run] = []
    if sum(weight(column.cells) for column in columns if column.is_shown) > SMALL_TABLE_CHARS_MAX:
        runs = _spare([column for column in columns if column.is_shown])
        if layout.is_free:
            columns = sorted(columns, key=_is_mostly_empty)
    shown = [column for column in columns if column.is_shown]
    for column in shown[1:]:
        column.is_named = _is_sparse(column)
    header = ",".join([column.item() for column in columns])
    rows = _rows(shown, layout, further)
    return header, _between(rows, runs, layout.separator) if runs else rows


def has_bare_rows(lines: list[str], separator: str) -> bool:
    """Tell whether rows in a row have nothing but separators: a reader would have to count them."""
    run = 0
    for line in lines:
        run = run + 1 if separator in line and not line.strip(separator) else 0
        if run == BARE_ROWS:
            return True
    return False


def _spare(columns: list[Column]) -> list[Run]:
    """Spare the cells of `columns` all that the header or lines between the rows can say; return those lines."""
    templates.make(columns)
    shown = [column for column in columns if column.is_shown]
    for column in shown:
        if not _comes_in_runs(column):
            _share(column)
    runs = _runs(shown)
    for column in shown:
        _fall_back(column)
        _share(column)
        _write_as_text(column)
    return runs


def _lift_constants(columns: list[Column]) -> None:
    for column in columns:
        if column.cells.count(column.cells[0]) == len(column.cells):
            column.form, column.is_shown = column.value(column.cells[0]), False
    if not any(column.is_shown for column in columns):
        columns[0].form, columns[0].is_shown = "", True


def _rows(columns: list[Column], layout: Layout, further: list[str] | None) -> list[str]:
    cells = [column.cells for column in columns if not column.is_named]
    rows = list(map(layout.separator.join, zip(*cells, strict=True)))
    named = [column for column in columns if column.is_named]
    if further is None and not named and layout.is_free:
        return [row.rstrip(layout.separator) for row in rows]
    for column in named:
        before = f"{layout.separator}{column.name}="
        rows = [row + before + cell if cell else row for row, cell in zip(rows, column.cells, strict=True)]
    return rows if further is None else list(map(add, rows, further))


def _filled(column: Column) -> int:
    return len(column.cells) - column.cells.count("")


def _is_mostly_empty(column: Column) -> bool:
    return column.is_shown and bool(column.fallback) and _filled(column) * 2 < len(column.cells)


def _is_sparse(column: Column) -> bool:
    has_name = BARE_NAME.fullmatch(column.name) and (column.words or column.absent is not None)
    is_constant = column.fallback not in ("", REPEATED)
    return bool(has_name) and is_constant and _filled(column) * ROWS_FOR_NAME <= len(column.cells)


def _comes_in_runs(column: Column) -> bool:
    return (column.changes + 1) * GROUP_ROWS_MIN <= len(column.cells)


def _share(column: Column) -> None:
    if column.words and column.is_text and not (column.fallback or column.form or column.heads):
        templates.share(column)


def _write_as_text(column: Column) -> None:
    """Say in the header that all cells are strings, if that spares quotes around those that look like numbers."""
    is_plain = column.words and column.is_text and not column.form and not column.fallback
    if is_plain and '"' in "".join(column.cells):
        spelled = column.spell(column.words)
        if weight(spelled) + SAVED_MIN < weight(column.cells):
            column.rewrite(column.words, OWN)


class Fallback(NamedTuple):
    """What empty cells could mean, the cells then, and how many characters that saves."""

    cells: list[str]
    meaning: str
    saved: int


def _fall_back(column: Column) -> None:
    """Empty the cells of the value that many rows have, or of those that repeat the row above, if it saves much."""
    if column.heads:
        return
    best = _fallback(column)
    if best:
        column.cells, column.fallback = best.cells, best.meaning


def _fallback(column: Column) -> Fallback | None:
    cells = column.cells
    sample = cells[:: len(cells) // SAMPLED + 1]
    if column.fallback or column.is_mixed or (len(set(sample)) * 8 > len(sample) * 7 and len(sample) > 8):
        return None
    usual, count = Counter(cells).most_common(1)[0]
    empty = cells.count("")
    if not usual or (empty and (column.absent is None or column.form)):
        return None
    found = []
    if count * SHARE_OF_ROWS >= len(cells):
        meaning, absent = column.value(column.plain[cells.index(usual)]), column.absent or ""
        saved = count * (len(usual) + SEPARATOR_WEIGHT) - len(meaning) - empty * (len(absent) + SEPARATOR_WEIGHT)
        found.append(Fallback(["" if cell == usual else cell or absent for cell in cells], meaning, saved - 5))
    if not empty and column.changes * REPEATED_SHARE < len(cells):
        above = cells[:1] + ["" if cell == before else cell for before, cell in pairwise(cells)]
        found.append(Fallback(above, REPEATED, (weight(cells) - weight(above)) * 4 // 5 - len(REPEATED) - 4))
    best = max(found, key=lambda one: one.saved, default=None)
    return best if best and best.saved >= SAVED_MIN else None


def _runs(columns: list[Column]) -> list[Run]:
    """Move columns whose values come in runs, or the beginnings of their words, into lines between the rows."""
    if not columns or len(columns[0].cells) < ROWS_MIN:
        return []
    found = sorted((run for run in map(_run, columns) if run), key=lambda run: run.count)
    places = {id(column): at for at, column in enumerate(columns)} if found else {}
    rows, changes = len(columns[0].cells), None
    best, best_saved, saved, head_weight, whole = 0, SAVED_MIN, 0, SEPARATOR_WEIGHT, 0
    for taken, run in enumerate(found, 1):
        changes = run.changes if changes is None else list(map(or_, changes, run.changes))
        count = 1 + sum(changes)
        whole += not run.tails
        if count * GROUP_ROWS_MIN > rows or whole == len(columns):
            break
        saved += run.saved
        head_weight += run.head_weight
        if saved - count * head_weight > best_saved:
            best, best_saved = taken, saved - count * head_weight
    chosen = found[:best]
    for run in chosen:
        column = run.column
        column.form = column.form.replace(OWN, run.form) or run.form
        column.heads, column.cells, column.is_shown = run.heads, run.tails, bool(run.tails)
    return sorted(chosen, key=lambda run: places[id(run.column)])


def _run(column: Column) -> Run | None:
    """Return how `column` would best stand in lines between the rows, None if it would not."""
    if column.fallback or (column.form and column.hole is not None):
        return None
    if _comes_in_runs(column):
        other = _fallback(column)
        cells = other.cells if other and other.meaning != REPEATED else column.cells
        found = [Run(column, HEAD, column.cells, [], weight(cells))]
    elif column.words and column.is_text and column.hole is None:
        usual = weight(column.cells)
        found = []
        for heads, mark, tails in _cuts(column.rests):
            form = HEAD + mark + OWN
            # Quotes only add to the weight: what saves too little without them is not spelled.
            if Run(column, form, heads, tails, usual).gain * CUT_SHARE >= usual:
                found.append(Run(column, form, column.spell(heads), column.spell(tails), usual))
        found = [run for run in found if run.gain * CUT_SHARE >= usual]
    else:
        return None
    return max(found, key=lambda run: run.gain, default=None)


def _cuts(words: list[str]) -> Iterator[tuple[list[str], str, list[str]]]:
    """Yield the words cut in two between words, where the first parts come in runs, and what stands at each cut."""
    sample = words[:SAMPLED]
    if len(set(map(len, words))) == 1:
        for found in [*_CUT.finditer(words[0], 0, len(words[0]) - 1)][-CUTS_MAX:]:
            at, mark = found.start(), found[0]
            if _come_in_runs([word[:at] for word in sample]) and all(word[at] == mark for word in words):
                yield [word[:at] for word in words], mark, [word[at + 1 :] for word in words]
        return
    for mark in CUT_MARKS:
        if _come_in_runs([word[: word.rfind(mark) + 1] for word in sample]):
            places = [word.rfind(mark) for word in words]
            apart = 0 if -1 in places else 1  # a word without the mark keeps it out of the form
            heads = [word[: at + 1 - apart] for word, at in zip(words, places, strict=True)]
            yield heads, mark * apart, [word[at + 1 :] for word, at in zip(words, places, strict=True)]


def _come_in_runs(heads: list[str]) -> bool:
    return (1 + sum(map(ne, heads, islice(heads, 1, None)))) * GROUP_ROWS_MIN <= len(heads) and any(heads)


def _between(rows: list[str], runs: list[Run], separator: str) -> list[str]:
    """Return `rows` with a line of the runs' cells before each row where one of them changes."""
    heads = list(map(separator.join, zip(*(run.heads for run in runs), strict=True)))
    lines = []
    before = None
    for head, row in zip(heads, rows, strict=True):
        if head != before:
            lines.append(GROUP_MARK + head)
            before = head
        lines.append(row)
    return lines
