"""Inverse of drawn tables, written from the form that compressors/ruled.py and delimited.py document."""

import re

from tests.compressors.inverse_tables import delimited

_HEADER = re.compile(r"\[([0-9]+) (CSV|TSV|[;|]-separated) rows( without header)?: ")
_SEPARATORS = {"CSV": ",", "TSV": "\t", ";-separated": ";", "|-separated": "|"}
_NOTE = re.compile(
    r"\[printed '(?P<form>[^']*)'(?:; names (?P<side>left|centred))?(?:; names between (?P<bar>.))?"
    r"(?:; last cell (?P<cut>and name )?(?P<rows_cut>unpadded))?; ruled (?P<exact>exactly )?(?P<rules>.*)\]"
)
_SLOT = re.compile(r"%(-?)([0-9]*)s")


def ruled(text: str) -> str:
    """Return the text that `compressors.ruled` was given."""
    lines = text.split("\n")
    if lines[0].startswith("[In tables: "):
        del lines[0]
    out: list[str] = []
    at = 0
    while at < len(lines):
        header, note = _HEADER.match(lines[at]), _NOTE.fullmatch(lines[at + 1]) if at + 1 < len(lines) else None
        if not header or not note:
            out.append(lines[at])
            at += 1
            continue
        end, left = at + 2, int(header[1])
        while left:
            left -= not lines[end].startswith("# ")
            end += 1
        rows = delimited("\n".join([lines[at], *lines[at + 2 : end]]))
        out += _drawn([row.split(_SEPARATORS[header[2]]) for row in rows.split("\n")], note)
        at = end
    return "\n".join(out)


def _drawn(rows: list[list[str]], note: re.Match[str]) -> list[str]:
    form = note["form"]
    slots = _SLOT.findall(form)
    widths = [int(width or 0) for _, width in slots]
    aligns = ["<" if side else ">" for side, _ in slots]
    name_aligns = {"left": ["<"] * len(slots), "centred": ["^"] * len(slots)}.get(note["side"], aligns)
    literals = _SLOT.sub("\0", form).split("\0")
    bar = next((sign for sign in form if sign in "|│┃║"), "")
    names = _line(rows[0], name_aligns, widths, literals, is_cut=bool(note["cut"]))
    if note["bar"]:
        names = names.replace(bar, note["bar"])
    body = [_line(row, aligns, widths, literals, is_cut=bool(note["rows_cut"])) for row in rows[1:]]
    blank = _line([""] * len(slots), aligns, widths, literals, is_cut=False)
    rules = _rules(note, blank, bar)
    if "between" in rules:
        body = [line for row in body for line in (row, rules["between"])][:-1]
    lines = [rules.get("above"), names, rules["below names"], *body, rules.get("below")]
    return [line for line in lines if line is not None]


def _line(cells: list[str], aligns: list[str], widths: list[int], literals: list[str], *, is_cut: bool) -> str:
    line = ""
    for number, (cell, align, width, literal) in enumerate(zip(cells, aligns, widths, literals[1:], strict=True)):
        is_last = is_cut and number == len(cells) - 1
        before = (width - len(cell)) // 2 if align == "^" else width - len(cell) if align == ">" else 0
        cell = " " * before + cell
        line += literals[number] + (cell if is_last else cell.ljust(width))
        literals = [*literals[: number + 1], "" if is_last else literal, *literals[number + 2 :]]
    return line + literals[len(cells)]


def _rules(note: re.Match[str], blank: str, bar: str) -> dict[str, str]:
    rules = {}
    rule = ""
    for quoted, place in re.findall(r"(?:'([^']*)' )?(above|below names|between|below)(?:, |\Z)", note["rules"]):
        if quoted:
            rule = quoted if note["exact"] else _stretched(quoted, blank, bar)
        rules[place] = rule
    return rules


def _stretched(short: str, blank: str, bar: str) -> str:
    widths = map(len, blank.split(bar))
    out = ""
    for part in re.split(r"([^-=─━═: ])", short):
        if re.fullmatch(r"[^-=─━═: ]", part):
            out += part
            continue
        width = next(widths)
        fill = next((sign for sign in part if sign in "-=─━═"), "")
        out += part.replace(fill, fill * (width - len(part) + 1), 1) if fill else part
    return out
