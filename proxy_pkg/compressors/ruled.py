"""Tables drawn with bars and rules, as markdown, psql, mysql and box-drawing tools print them: only the cells stay.

    [3 CSV rows: id,name,(role=admin)]
    [printed '| %2s | %-5s | %-5s |'; ruled '+-+-+-+' above, below names, below]
    1,ann
    2,bob

The first line is as in delimited.py. The second has a printf format for names and rows; `names left` and `names
centred` tell where names stood otherwise, `names between ┃` what stood for the bars, `last cell unpadded` that rows
ended with their last cell. In a rule each run of one sign was as wide as its column; `ruled exactly` has it in full.
Text around tables stays as it is.
"""

import re
from itertools import chain

from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.delimited import SEPARATORS, is_readable, table
from proxy_pkg.compressors.frames import BARS, Drawn, framed
from proxy_pkg.compressors.legend import START, with_legend
from proxy_pkg.model import Grade

ROWS_MIN = 3
SHARE_MIN = 0.4
"""A text with fewer lines of tables may be of another kind first."""
LINE_CHARS_MAX = 4000
SAVED_SHARE = 33
"""Tables that save less than one character in so many of theirs are not worth a header."""

_OWN_NOTE = re.compile(r"^\[printed '", re.MULTILINE)
_JOINT = re.compile(r"[-:=─━═] ?[|+┼╪╬┿╇╋│┃║]")
_SIGNS = frozenset("-=─━═:+|┼╪╬┿╇╋├┤┝┥┠┨┣┫┡┩╞╡╟╢╠╣┌┐└┘┏┓┗┛╔╗╚╝╒╕╘╛┬┴┯┷┳┻╤╧╦╩╭╮╰╯ ")
_IN_RULE = f"[{re.escape(''.join(sorted(_SIGNS)))}]{{3,}}"
_RULE = re.compile(rf"(?=.*[-=─━═]){_IN_RULE}")
_RULE_BELOW = re.compile(rf"\n{_IN_RULE}+(?:\n|\Z)")
"""What every drawn table has, found fast."""
_QUOTED = re.compile(r'"[^"]*"|[^"].*|')


def looks_like(sample: str) -> str:
    """Return why `sample` is mostly drawn tables, empty if it is not."""
    why, share = _found(sample)
    return why if share >= SHARE_MIN else ""


def holds_some(sample: str) -> str:
    """Return why `sample` has a drawn table, empty if it has none."""
    return _found(sample)[0]


def _found(sample: str) -> tuple[str, float]:
    """Return where the first table in `sample` is, and how much of its lines are in tables."""
    lines = sample.split("\n") if _RULE_BELOW.search(sample) else []
    found = _drawn(lines)
    if not found:
        return "", 0
    share = sum(drawn.end - drawn.start for drawn in found) / len(lines)
    return f"a table is drawn in lines {found[0].start + 1} to {found[0].end}", share


def compress(text: str) -> str | None:
    """Return `text` with its drawn tables as rows, None where it has none or that is not clearly shorter."""
    if text.startswith(START) or not _RULE_BELOW.search(text) or _OWN_NOTE.search(text):
        return None
    lines = text.split("\n")
    shown: list[str] = []
    headers: list[str] = []
    end = 0
    for drawn in _drawn(lines):
        written = _written(lines[drawn.start : drawn.end], drawn)
        if written:
            headers.append(written[0])
            shown += [*lines[end : drawn.start], *written]
            end = drawn.end
    if not headers:
        return None
    shown += lines[end:]
    saved = len(text) - sum(map(len, shown)) - len(shown)
    legend = with_legend("\n".join(headers), saved).split("\n")[: -len(headers)]
    result = "\n".join((*legend, *shown))
    return result if len(result) < len(text) else None


def _drawn(lines: list[str]) -> list[Drawn]:
    """Return the tables in `lines`: names above a rule, and rows below it."""
    found = []
    end = 0
    for at, line in enumerate(lines):
        if (
            at <= end
            or at == 0
            or line[:1] not in _SIGNS
            or not _JOINT.search(line)
            or not _is_rule(line)
            or not _is_row(lines[at - 1])
        ):
            continue
        start = at - 1
        rules = {"below names": line}
        if start > end and _is_rule(lines[start - 1]):
            start -= 1
            rules["above"] = lines[start]
        rows = [lines[at - 1]]
        end = _read(lines, at + 1, rows, rules)
        if len(rows) > ROWS_MIN:
            found.append(Drawn(start, end, rows, rules))
    return found


def _read(lines: list[str], at: int, rows: list[str], rules: dict[str, str]) -> int:
    """Add the rows from `at` on to `rows`, and the rules among and below them; return where they end."""
    between = lines[at + 1] if at + 1 < len(lines) and _is_rule(lines[at + 1]) else ""
    is_grid = bool(between) and at + 2 < len(lines) and _is_row(lines[at + 2])
    while at < len(lines) and _is_row(lines[at]):
        rows.append(lines[at])
        at += 1
        if is_grid and lines[at : at + 1] == [between] and at + 1 < len(lines) and _is_row(lines[at + 1]):
            rules["between"] = between
            at += 1
        elif is_grid:
            break
    if at < len(lines) and _is_rule(lines[at]):
        rules["below"] = lines[at]
        at += 1
    return at


def _is_rule(line: str) -> bool:
    return len(line) < LINE_CHARS_MAX and _RULE.fullmatch(line) is not None


def _is_row(line: str) -> bool:
    return len(line) < LINE_CHARS_MAX and any(bar in line for bar in BARS) and not _is_rule(line)


def _written(lines: list[str], drawn: Drawn) -> list[str]:
    """Return the lines of a table as it is sent, none if it would not give `lines` back or saves too little."""
    frame = framed(drawn)
    if frame is None:
        return []
    body = "\n".join(chain.from_iterable(frame.cells))
    separator = next((mark for mark in SEPARATORS if mark not in body), "")
    if not separator or not is_readable(frame.cells, body):
        return []
    if '"' in body and not all(map(_QUOTED.fullmatch, chain.from_iterable(frame.cells))):
        return []
    header, *rows = table(frame.cells, separator, "\n").split("\n")
    written = [header, f"[printed '{frame.printed}'; {'; '.join(frame.notes)}]", *rows]
    size = sum(map(len, lines)) + len(lines)
    return written if (sum(map(len, written)) + len(written)) * SAVED_SHARE < size * (SAVED_SHARE - 1) else []


RULED = Compressor("ruled", Grade.INVERTIBLE, compress)
