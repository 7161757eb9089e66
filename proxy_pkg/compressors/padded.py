"""Columns padded with blanks, as kubectl, docker, ps and df print them: the padding gone, what repeats said once.

    [3 CSV rows, printed '%-22s   %5s   %s': NAME,(READY=1/1),AGE]
    web-7d9c5b6f4d-abcde,3d
    web-7d9c5b6f4d-fghij,3d

The printf format gives back each line but for blanks at its end. Cells are where all lines have blanks
between them; what the header says of columns is in columns.py.
"""

import re
from itertools import chain, pairwise

from proxy_pkg.compressors import gaps
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.delimited import OWN_HEADER, is_readable, table
from proxy_pkg.compressors.legend import START, with_legend
from proxy_pkg.model import Grade

ROWS_MIN = 4
COLUMNS_MIN = 3
COLUMNS_MAX = 64
LINE_CHARS_MAX = 2000
LINES_SAMPLED = 40
SAVED_SHARE = 33
"""A table that saves less than one character in so many is not worth its header."""

_DIGIT = re.compile(r"[0-9](?!K-blocks)")
_QUOTED = re.compile(r'"[^"]*"|[^"].*|')
_WORD = re.compile(r"[^ ]+")

Zone = tuple[int, int]


def looks_like(sample: str) -> str:
    """Return why `sample`, the start of a text, looks like padded columns; empty if it does not."""
    lines = sample.split("\n", LINES_SAMPLED)
    lines = lines[: LINES_SAMPLED if len(lines) > LINES_SAMPLED else -1]
    zones = _zones(lines) if lines and "  " in lines[0] and not _DIGIT.search(lines[0]) else []
    return f"{len(lines)} lines have blanks in the same places" if zones else ""


def compress(text: str) -> str | None:
    """Return `text` as a table, None unless its lines are columns and the table is clearly shorter."""
    if text.startswith(START) or OWN_HEADER.match(text):
        return None
    whole, marks = gaps.taken_out(text)
    body = whole.removesuffix("\n")
    if marks.keys() & {0, body.count("\n") + 1} or not looks_like(whole[: 1 << 15] + "\n" * (body == whole)):
        return None
    lines = body.split("\n")
    zones = _zones(lines)
    if not zones:
        return None
    columns = [[line[start:end] for line in lines] for start, end in zones]
    are_right = list(map(_is_right, columns))
    form = _printf(zones, are_right, max(map(len, lines)))
    cells = [
        [part.lstrip(" ") if is_right else part.rstrip(" ") for part in column]
        for column, is_right in zip(columns, are_right, strict=True)
    ]
    rows = list(map(list, zip(*cells, strict=True)))
    if any((form % tuple(row)).rstrip(" ") != line for row, line in zip(rows, lines, strict=True)):
        return None
    if not is_readable(rows, body) or ('"' in body and not all(map(_QUOTED.fullmatch, chain.from_iterable(rows)))):
        return None
    separator = "\t" if "," in body else ","
    result = table(rows, separator, "\n", f", printed '{form}'", marks) + "\n" * (body != whole)
    result = with_legend(result, len(text) - len(result))
    return result if len(result) * SAVED_SHARE < len(text) * (SAVED_SHARE - 1) else None


def cells_of(body: str) -> list[list[str]]:
    """Return the columns of `body`, each with the cells of all lines, without blanks around; none if it is no table."""
    lines = body.split("\n")
    zones = _zones(lines) if looks_like(body[: 1 << 15] + "\n") else []
    return [[line[start:end].strip(" ") for line in lines] for start, end in zones]


def _zones(lines: list[str]) -> list[Zone]:
    """Return where the columns of `lines` stand, the last without end; none if they are no table.

    A column without a name in the first line, or with nothing below it, belongs to the one before.
    """
    if len(lines) <= ROWS_MIN or any(not line or line[-1] == " " or len(line) >= LINE_CHARS_MAX for line in lines):
        return []
    if any("\t" in line or "\r" in line for line in lines):
        return []
    inked = _inked(lines)
    starts = [at for at, ink in enumerate(inked) if ink and not (at and inked[at - 1])]
    starts = [at for at, after in pairwise([*starts, LINE_CHARS_MAX]) if _is_column(lines, at, after)]
    if not COLUMNS_MIN <= len(starts) <= COLUMNS_MAX:
        return []
    ends = [inked.rindex(1, 0, after) + 1 for after in starts[1:]]
    return list(zip(starts, [*ends, LINE_CHARS_MAX], strict=True))


def _inked(lines: list[str]) -> bytearray:
    """Return 1 for each place where some line has no blank, else 0."""
    inked = bytearray(max(map(len, lines)))
    for line in lines:
        for word in _WORD.finditer(line):
            start, end = word.span()
            inked[start:end] = b"\1" * (end - start)
    return inked


def _is_column(lines: list[str], start: int, end: int) -> bool:
    return bool(lines[0][start:end].strip(" ")) and any(line[start:end].strip(" ") for line in lines[1:])


def _printf(zones: list[Zone], are_right: list[bool], width: int) -> str:
    """Return the printf format of the columns at `zones`, which end at `width`."""
    text, at = "", 0
    for (start, end), is_right, (after, _), is_after_right in zip(
        zones, are_right, [*zones[1:], (width, width)], [*are_right[1:], True], strict=True
    ):
        if is_right:
            end = min(end, width)
            text += f"%{end - at}s"
        else:
            end = end if is_after_right else after
            text += " " * (start - at) + ("%s" if end >= width else f"%-{end - start}s")
        at = end
    return text


def _is_right(slices: list[str]) -> bool:
    """Tell whether all of `slices` end with their column and some begin later."""
    width = max(map(len, slices))
    is_even = all(len(part) == width and part[-1] != " " for part in slices if not part.isspace())
    return is_even and any(part[:1] == " " for part in slices)


PADDED = Compressor("padded", Grade.INVERTIBLE, compress)
