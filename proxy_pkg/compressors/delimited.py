"""CSV, TSV and their kin as a table: what repeats from row to row stands once, all other cells as they were.

    [2922 CSV rows: (location={#}),date={#}{},precipitation,(country=USA),weather or rain]
    # Seattle,2012-01-
    01,0.0,drizzle
    02,10.9,

The header has the columns in their order, with the names that the first line gave them, or `1`, `2`, and so
on where it was `without header`. columns.py describes what the header says of a column. Cells are as they
were, with their quotes and blanks; `CRLF` tells the ends of lines. Where lines have unequal numbers of cells,
the text stays as it is.
"""

import re
from collections.abc import Mapping
from itertools import accumulate
from json.encoder import encode_basestring  # noqa: TID251  quotes without \u escapes
from types import MappingProxyType
from typing import NamedTuple

from proxy_pkg.compressors import gaps
from proxy_pkg.compressors.columns import BARE_PART, Column
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.legend import START, with_legend
from proxy_pkg.compressors.sheet import GROUP_MARK, Layout, has_bare_rows, lay_out
from proxy_pkg.model import Grade

ROWS_MIN = 4
COLUMNS_MAX = 256
LINES_SAMPLED = 24
PAIR_LINES_MIN = 8
"""Of two columns alone, a table has at least so many lines."""
SAVED_SHARE = 33
"""A table that saves less than one character in so many is not worth its header."""
SEPARATORS = {",": "CSV", "\t": "TSV", ";": ";-separated", "|": "|-separated"}

OWN_HEADER = re.compile(r"\[[0-9]+ \S+ rows[ :,]")
_QUOTED = re.compile(r'"[^"]*"')
_NO_MARKS: Mapping[int, str] = MappingProxyType({})
_HASH = re.compile(r"(?<![0-9A-Za-z])(?=[a-f]*[0-9])[0-9a-f]{7,}(?![0-9A-Za-z])")
_DIGITS = re.compile(r"[0-9]+")
_NUMBER = re.compile(r"\s*[-+]?[0-9][0-9.,:/-]*%?\s*|\s*")


def looks_like(sample: str) -> str:
    """Return why `sample`, the start of a text, looks like separated values; empty if it does not."""
    lines = _whole_lines(sample.split("\n", 4 * LINES_SAMPLED)[:-1], "\n")[:LINES_SAMPLED]
    separator = _separator(lines)
    return f"{len(lines)} lines have equal numbers of {SEPARATORS[separator]} cells" if separator else ""


def compress(text: str) -> str | None:
    """Return `text` as a table; None unless all lines have as many cells and the table is clearly shorter.

    Lines that are marks of gaps (gaps.py) stay where they are.
    """
    if text.startswith(START) or OWN_HEADER.match(text):
        return None
    whole, marks = gaps.taken_out(text)
    found = cut(whole)
    if found is None or not is_readable(found.rows, whole):
        return None
    above = found.numbered_by_row(marks)
    if len(above) < len(marks):
        return None
    result = table(found.rows, found.separator, found.end, marks=above) + found.end * whole.endswith(found.end)
    if has_bare_rows(result.split(found.end), found.separator):
        return None
    result = with_legend(result, len(text) - len(result))
    return result if len(result) * SAVED_SHARE < len(text) * (SAVED_SHARE - 1) else None


class Cut(NamedTuple):
    """A text cut into rows of cells: `lines` are what the rows were cut from, `end` is what ends each of them."""

    lines: list[str]
    rows: list[list[str]]
    separator: str
    end: str

    def numbered_by_row(self, marks: Mapping[int, str]) -> dict[int, str]:
        """`marks` by the number of the row below instead of the line, without those above no row or the first."""
        if not marks:
            return {}
        starts = accumulate((1 + line.count("\n") for line in self.lines[:-1]), initial=0)
        return {row: marks[start] for row, start in enumerate(starts) if row and start in marks}


def cut(text: str) -> Cut | None:
    """Return the rows of `text`; None if it does not look like separated values or some line has other cells."""
    if not looks_like(text[: 1 << 15]):
        return None
    end = "\r\n" if "\r\n" in text[: 1 << 15] else "\n"
    lines = _whole_lines(text.removesuffix(end).split(end), end)
    separator = _separator(lines[:LINES_SAMPLED])
    rows = _rows(lines, separator) if separator else None
    return Cut(lines, rows, separator, end) if rows else None


def _whole_lines(lines: list[str], end: str) -> list[str]:
    """Return `lines` with those joined that lie inside one pair of quotes."""
    whole: list[str] = []
    parts: list[str] = []
    for line in lines:
        odd = '"' in line and line.count('"') % 2
        if parts:
            parts.append(line)
            if odd:
                whole.append(end.join(parts))
                parts = []
        elif odd:
            parts = [line]
        else:
            whole.append(line)
    return whole + parts


def _separator(lines: list[str]) -> str:
    """Return the separator that stands equally often, outside quotes, in all of `lines`; empty if none does."""
    bare = [_QUOTED.sub("", line) if '"' in line else line for line in lines]
    best, most = "", 0
    for separator in SEPARATORS:
        counts = {line.count(separator) for line in bare}
        count = counts.pop() if len(counts) == 1 else 0
        if count > most and len(lines) >= (ROWS_MIN if count > 1 else PAIR_LINES_MIN):
            best, most = separator, count
    return best


def _rows(lines: list[str], separator: str) -> list[list[str]] | None:
    """Return the cells of `lines` as they are written, None if some line has more or fewer than the first."""
    mark = re.escape(separator)
    cell = re.compile(rf' *"(?:[^"]|"")*" *(?={mark}|\Z)|(?! *")[^\n{mark}]*')
    rows = [line.split(separator) if '"' not in line else _quoted_cells(line, separator, cell) for line in lines]
    width = len(rows[0])
    if any("\n" in line and '"' not in line for line in lines):
        return None
    return rows if 1 < width <= COLUMNS_MAX and set(map(len, rows)) == {width} else None


def _quoted_cells(line: str, separator: str, cell: re.Pattern[str]) -> list[str]:
    """Return the cells of `line`, none if its quotes are not those of cells."""
    cells, at = [], 0
    while found := cell.match(line, at):
        cells.append(found[0])
        at = found.end() + 1
        if at > len(line):
            return cells
        if line[at - 1] != separator:
            break
    return []


def names_columns(names: list[str]) -> bool:
    """Tell whether `names`, the first row, are names of columns."""
    return len(set(names)) == len(names) and not any(map(_NUMBER.fullmatch, names))


def is_like_the_rest(rows: list[list[str]]) -> bool:
    """Tell whether the first of `rows` has what cells below it have: digits at the same places, or folders."""
    sample = rows[1 : 1 + LINES_SAMPLED]
    for first, *below in zip(rows[0], *sample, strict=True):
        if first in below:
            return True
        shape = _shape(first)
        if shape != first and [_shape(cell) for cell in below].count(shape) * 2 > len(below):
            return True
        if "/" in first and sum("/" in cell for cell in below) * 2 > len(below):
            return True
    return False


def _shape(cell: str) -> str:
    """What a cell with digits in it looks like: numbers, hashes and dates of one kind have one shape."""
    return _DIGITS.sub("0", _HASH.sub("#", cell))


def table(rows: list[list[str]], separator: str, end: str, note: str = "", marks: Mapping[int, str] = _NO_MARKS) -> str:
    """Return the table of `rows`, the first of which names the columns if it can; `note` stands in its header.

    Each of `marks` stands above the row that has its number, counted from the first line of `rows`.
    """
    names = rows[0]
    has_header = names_columns(names) and not is_like_the_rest(rows)
    if not has_header:
        names = [str(number) for number in range(1, len(names) + 1)]
    columns = []
    for name, cells in zip(names, zip(*rows[has_header:], strict=True), strict=True):
        printed = list(cells)
        words = None if '"' in "".join(printed) else printed
        columns.append(Column(name if BARE_PART.fullmatch(name) else encode_basestring(name), printed, words))
    header, lines = lay_out(columns, Layout(separator, is_free=False))
    noun = SEPARATORS[separator] + " rows" + " without header" * (not has_header) + ", CRLF" * (end == "\r\n") + note
    if marks:
        noun += f", {gaps.left_out(marks.values())} lines left out"
        lines = gaps.put_back(lines, {row - has_header: mark for row, mark in marks.items()}, GROUP_MARK)
    return end.join((f"[{len(rows) - has_header} {noun}: {header}]", *lines))


def is_readable(rows: list[list[str]], text: str) -> bool:
    """Tell whether no cell of `rows`, all of which stand in `text`, looks like a line above rows or a mark."""
    if " left out: " in text and gaps.MARK.search(text):
        return False
    return GROUP_MARK not in text or not any(cell.startswith(GROUP_MARK) for row in rows for cell in row)


DELIMITED = Compressor("delimited", Grade.INVERTIBLE, compress, version=2)
