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
from json.encoder import encode_basestring  # noqa: TID251  quotes without \u escapes

from proxy_pkg.compressors.columns import BARE_PART, Column
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.legend import START, with_legend
from proxy_pkg.compressors.sheet import GROUP_MARK, Layout, lay_out
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
_NUMBER = re.compile(r"\s*[-+]?[0-9][0-9.,:/-]*%?\s*|\s*")


def looks_like(sample: str) -> str:
    """Return why `sample`, the start of a text, looks like separated values; empty if it does not."""
    lines = _whole_lines(sample.split("\n", 4 * LINES_SAMPLED)[:-1], "\n")[:LINES_SAMPLED]
    separator = _separator(lines)
    return f"{len(lines)} lines have equal numbers of {SEPARATORS[separator]} cells" if separator else ""


def compress(text: str) -> str | None:
    """Return `text` as a table; None unless all lines have as many cells and the table is clearly shorter."""
    if text.startswith(START) or OWN_HEADER.match(text) or not looks_like(text[: 1 << 15]):
        return None
    end = "\r\n" if "\r\n" in text[: 1 << 15] else "\n"
    lines = _whole_lines(text.removesuffix(end).split(end), end)
    separator = _separator(lines[:LINES_SAMPLED])
    rows = _rows(lines, separator) if separator else None
    if not rows or not is_readable(rows, text):
        return None
    result = table(rows, separator, end) + end * text.endswith(end)
    result = with_legend(result, len(text) - len(result))
    return result if len(result) * SAVED_SHARE < len(text) * (SAVED_SHARE - 1) else None


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


def table(rows: list[list[str]], separator: str, end: str, note: str = "") -> str:
    """Return the table of `rows`, the first of which names the columns if it can; `note` stands in its header."""
    names = rows[0]
    has_header = len(set(names)) == len(names) and not any(map(_NUMBER.fullmatch, names))
    if not has_header:
        names = [str(number) for number in range(1, len(names) + 1)]
    columns = []
    for name, cells in zip(names, zip(*rows[has_header:], strict=True), strict=True):
        printed = list(cells)
        words = None if '"' in "".join(printed) else printed
        columns.append(Column(name if BARE_PART.fullmatch(name) else encode_basestring(name), printed, words))
    header, lines = lay_out(columns, Layout(separator, is_free=False))
    noun = SEPARATORS[separator] + " rows" + " without header" * (not has_header) + ", CRLF" * (end == "\r\n") + note
    return end.join((f"[{len(rows) - has_header} {noun}: {header}]", *lines))


def is_readable(rows: list[list[str]], text: str) -> bool:
    """Tell whether no cell of `rows`, all of which stand in `text`, looks like a line above rows."""
    return GROUP_MARK not in text or not any(cell.startswith(GROUP_MARK) for row in rows for cell in row)


DELIMITED = Compressor("delimited", Grade.INVERTIBLE, compress)
