"""Lines of one form, among other lines, as a table: what repeats from line to line stands once.

    [4 ls rows: (mode=-rw-r--r--),(links=1),(owner=root),(group=root),size,date=Nov 23 {},name]
    [rows printed '%s %s %s %s %4s %s %s'; lines without "," are as they were]
    total 48
    6527,15:44,bench.md
    120,15:45,notes.md

columns.py describes what the first line says of columns; cells are as they were, but for padding. The second line
has a printf format for all columns in order, where `%*s` and `%-*s` are as wide as the widest cell in the run of rows,
which another line ends; or, where a column comes twice, what was printed with `{name}` for its cell. Lines between
the rows stay where they were; they hold no separator, and each row does,
at its end if it has no other.
"""

import re
from collections.abc import Sequence
from itertools import chain, groupby

from msgspec import Struct

from proxy_pkg.compressors.columns import Column
from proxy_pkg.compressors.legend import with_legend
from proxy_pkg.compressors.sheet import GROUP_MARK, Layout, has_bare_rows, lay_out

ROWS_MIN = 4
SEPARATORS = {",": '","', "\t": "tab", ";": '";"', "|": '"|"', "¦": '"¦"'}

OWN_HEADER = re.compile(r"\[[0-9]+ \S+ rows: ")


class Form(Struct, frozen=True):
    """How one kind of line is printed.

    The named groups of `pattern` are the columns, in order, and `printed` puts them back: `{name}` as it is,
    `{name:>}` and `{name:<}` padded. Cells of the columns in `uncut` keep all their words.
    """

    noun: str
    pattern: re.Pattern[str]
    printed: str
    uncut: frozenset[str] = frozenset()


class Rows(Struct, frozen=True):
    """Lines that a form tells apart: their numbers, how they match it, and their cells column by column."""

    places: list[int]
    matches: list[re.Match[str]]
    names: list[str]
    columns: list[list[str]]


def tabled(lines: Sequence[str], form: Form, whole: bytearray | None = None) -> str | None:
    """Return `lines` with those of `form` as rows of a table; None where they are few or could be misread.

    A line with a 1 in `whole` is no row. The result may be longer than the lines.
    """
    rows = _rows(lines, form, whole)
    if len(rows.places) < ROWS_MIN:
        return None
    printed = _printed(lines, rows, form.printed)
    taken = set(rows.places)
    others = [line for number, line in enumerate(lines) if number not in taken]
    separator = _separator(others, rows.columns)
    if not printed or not separator:
        return None
    columns = [
        Column(name, list(cells), None if name in form.uncut else list(cells))
        for name, cells in zip(rows.names, rows.columns, strict=True)
    ]
    items, body = lay_out(columns, Layout(separator, is_free=False))
    if sum(not line.startswith(GROUP_MARK) for line in body) < len(rows.places):
        return None  # a row looks like a line above rows
    body = [line if separator in line or line.startswith(GROUP_MARK) else line + separator for line in body]
    if has_bare_rows(body, separator):
        return None
    header = f"[{len(rows.places)} {form.noun} rows: {items}]"
    note = f"[rows printed '{_shown(printed)}'; lines without {SEPARATORS[separator]} are as they were]"
    shown = _among(lines, taken, body)
    saved = sum(map(len, lines)) - sum(map(len, shown))
    legend = with_legend(header, saved).split("\n")[:-1]
    return "\n".join((header, note, *legend, *shown))


def _rows(lines: Sequence[str], form: Form, whole: bytearray | None) -> Rows:
    found = list(map(form.pattern.fullmatch, lines))
    if whole is not None:
        found = [None if is_whole else match for match, is_whole in zip(found, whole, strict=True)]
    places = [number for number, match in enumerate(found) if match]
    matches = [match for match in found if match]
    cells = [match.groups() for match in matches]
    names = sorted(form.pattern.groupindex, key=form.pattern.groupindex.__getitem__)
    return Rows(places, matches, names, [list(column) for column in zip(*cells, strict=True)] if cells else [])


def _separator(others: list[str], columns: list[list[str]]) -> str:
    """Return what no other line and no cell has in it, empty if there is none or a line looks like one of ours."""
    if any(line.startswith(GROUP_MARK) for line in others):
        return ""
    text = "\n".join(chain(others, *columns))
    return next((separator for separator in SEPARATORS if separator not in text), "")


def _shown(printed: str) -> str:
    """Return `printed` as the second line has it."""
    names = [slot[1] for slot in _WIDE_SLOT.finditer(printed)]
    if len(set(names)) < len(names):
        return printed
    sides = {None: "", ">": "*", "<": "-*"}
    form = printed.replace("%", "%%")
    return _WIDE_SLOT.sub(lambda slot: f"%{sides[slot[2]].replace('*', slot[3] or '*')}s", form)


def _among(lines: Sequence[str], taken: set[int], body: list[str]) -> list[str]:
    """Return the lines of a table, each of the other lines before the row, or its # line, that it stood before."""
    shown: list[str] = []
    rows = iter(body)
    for number, line in enumerate(lines):
        if number not in taken:
            shown.append(line)
            continue
        row = next(rows)
        if row.startswith(GROUP_MARK):
            shown.append(row)
            row = next(rows)
        shown.append(row)
    return shown


_SLOT = re.compile(r"\{(\w+)(:[<>])?\}")
_WIDE_SLOT = re.compile(r"\{(\w+)(?::([<>])([0-9]*))?\}")


def _printed(lines: Sequence[str], rows: Rows, printed: str) -> str:
    """Return `printed` with the widths of padded columns, empty if it would not print the rows as they were."""
    if ":" not in printed:
        return printed
    columns = dict(zip(rows.names, rows.columns, strict=True))
    wanted = [lines[place] for place in rows.places]
    runs = [sum(1 for _ in run) for _, run in groupby(enumerate(rows.places), lambda pair: pair[1] - pair[0])]
    if len(runs) > 1 and _print(columns, printed, runs) == wanted:
        return printed
    widths = _widths(rows, columns, printed)
    widths = {name: width for name, width in widths.items() if width > min(map(len, columns[name]))}
    fixed = _SLOT.sub(
        lambda slot: f"{{{slot[1]}{slot[2]}{widths[slot[1]]}}}" if slot[1] in widths else f"{{{slot[1]}}}", printed
    )
    return fixed if _print(columns, fixed, [len(wanted)]) == wanted else ""


def _widths(rows: Rows, columns: dict[str, list[str]], printed: str) -> dict[str, int]:
    """Return the width of each padded column, were all lines printed with the same ones."""
    slots = list(_SLOT.finditer(printed))
    at = [slots[0].start()] * len(rows.matches)
    widths: dict[str, int] = {}
    for slot, after in zip(slots, [*slots[1:], None], strict=True):
        name, pad = slot[1], slot[2]
        gap = after.start() - slot.end() if after else 0
        if not pad or after is None:
            at = [match.end(name) + gap for match in rows.matches]
            continue
        if pad == ":>":
            ends = [match.end(name) for match in rows.matches]
            widths[name] = min(map(int.__sub__, ends, at))
        elif after[2] == ":>":
            widths[name] = max(map(len, columns[name]))
        else:
            starts = [match.start(after[1]) - gap for match in rows.matches]
            widths[name] = min(map(int.__sub__, starts, at))
        width = widths[name] + gap
        at = [start + max(width, length + gap) for start, length in zip(at, map(len, columns[name]), strict=True)]
    return widths


def _print(columns: dict[str, list[str]], printed: str, runs: list[int]) -> list[str]:
    """Return the lines of all rows; a width that is not given is the widest cell's in each of `runs`."""
    parts: list[list[str]] = []
    end = 0
    count = sum(runs)
    for slot in _WIDE_SLOT.finditer(printed):
        parts.append([printed[end : slot.start()]] * count)
        end = slot.end()
        parts.append(_padded(columns[slot[1]], slot[2] or "", slot[3] or "", runs))
    parts.append([printed[end:]] * count)
    return list(map("".join, zip(*parts, strict=True)))


def _padded(cells: list[str], side: str, width: str, runs: list[int]) -> list[str]:
    if not side:
        return cells
    pad = str.rjust if side == ">" else str.ljust
    out: list[str] = []
    for run in [len(cells)] if width else runs:
        part = cells[len(out) : len(out) + run]
        wide = int(width) if width else max(map(len, part))
        out += [pad(cell, wide) for cell in part]
    return out
