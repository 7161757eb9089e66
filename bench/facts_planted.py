"""Facts planted into real outputs, made from what stands beside them.

A sheet is an output cut into units: lines, records of a JSON array, or short elements of a page. A planted unit is a
copy of a neighbour in which a name's last characters change, and by class one thing more:

- err: its level, status or outcome says that something failed;
- ask: nothing, but the name stands in the arguments of the tool call, and another field of the unit is the answer;
- outlier: a number in it is twenty times as large;
- mute: a field has the value of another unit, and nobody speaks of it.

Units are added where more of them are natural, and changed in place where numbering, positions or counts would
otherwise not fit any more (file reads, hits, diffs, code).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from msgspec import Struct

from bench.compression_corpus import READS, Block
from bench.facts import Fact
from proxy_pkg.errors import ScanError
from proxy_pkg.wire.scan import Path, locate, parse

CLASSES = ("err", "ask", "outlier", "mute")
UNITS_MIN = 6
NEIGHBOURS = 12
SAMPLED = 64
CELL_CHARS_MAX = 120

IN_PLACE = frozenset((READS, "search", "diffs", "code"))
"""Kinds in which a unit is changed, not added."""

_WORD = re.compile(r"[^\W_][\w.-]*[^\W_]|[^\W_]{2,}")
_TIME = re.compile(
    r"[0-9]{2,4}[-/][0-9A-Za-z]{2,3}[-/][0-9]{2,4}|[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?|HTTP/[0-9.]+|[+-][0-9]{4}\b"
)
_NUMBER = re.compile(r"(?<![\w.:/%-])[1-9][0-9]{0,6}(?:\.[0-9]+)?(?![\w:/%-]|\.\w)")
_PLAIN_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_ELEMENT = re.compile(r"<(p|li|td)(?:\s[^<>]*)?>[^<>&\n]{30,400}</\1>")
_STATUS_NAME = re.compile(r"(?i)(?:status|state|level|severity|result|outcome|conclusion|alert)$")
_FAILING = (
    (re.compile(r"\bPASSED\b"), "FAILED"),
    (re.compile(r"--- PASS:"), "--- FAIL:"),
    (re.compile(r'"Action":"pass"'), '"Action":"fail"'),
    (re.compile(r"^ok\b|\bPASS\b"), "FAIL"),
    (re.compile(r"\b(?:INFO|DEBUG|NOTICE|TRACE)\b"), "ERROR"),
    (re.compile(r"(?<=\")(?:info|debug)(?=\")|\b(?:info|debug|notice)(?=[\]:>])"), "error"),
    (re.compile(r"(?<=\" )[23][0-9]{2}(?= )"), "500"),
)
_ROWS_PATH_DEPTH_MAX = 4
_COLUMNS_DEPTH_MAX = 3

Cells = Mapping[Any, str]
Class = str


class Row(Struct):
    """A unit cut at its fields: `gaps[i] + cells[i]` in turn, and a last gap."""

    gaps: list[str]
    names: list[Any]
    cells: list[str]

    def written(self, changes: Mapping[Any, str]) -> str:
        parts = [
            gap + changes.get(name, cell) for gap, name, cell in zip(self.gaps, self.names, self.cells, strict=False)
        ]
        return "".join(parts) + self.gaps[-1]


class Sheet:
    """An output and the ranges of its units, ready to plant into."""

    def __init__(self, block: Block) -> None:
        self.kind = block.kind
        self.text = block.text
        self.cut: Callable[[str], Row | None] | None = None
        self.units = self._records() if block.kind == "JSON" else []
        if block.kind == "HTML":
            self.units = [found.span() for found in _ELEMENT.finditer(self.text)]
        elif not self.units:
            self.units = list(_line_ranges(self.text))
            self.cut = _csv_cutter(self) if block.kind == "CSV" else None
        self._columns: list[dict[Any, str]] | None = None

    def _records(self) -> list[tuple[int, int]]:
        path, count = _longest_array(self.text)
        if count < UNITS_MIN:
            return []
        self.cut = _cut_record
        # Positions are those of bytes; a text with other characters is read through them.
        data = self.text.encode()
        try:
            found = locate(data, [(*path, index) for index in range(count)])
        except ScanError:
            return []
        ranges = sorted(found.values())
        if len(data) == len(self.text):
            return ranges
        offsets = _char_offsets(data, sorted({at for pair in ranges for at in pair}))
        return [(offsets[start], offsets[end]) for start, end in ranges]

    def unit(self, index: int) -> str:
        start, end = self.units[index]
        return self.text[start:end]

    def with_units(self, changes: Mapping[int, str]) -> str:
        """The text with new units before those at the given places, or in their places for kinds IN_PLACE."""
        out, at = [], 0
        for index in sorted(changes):
            start, end = self.units[index]
            out += [self.text[at:start], changes[index]]
            if self.kind not in IN_PLACE:
                out.append("\n" if self.kind == "HTML" else self.text[self.units[index - 1][1] : start])
                end = start
            at = end
        return "".join(out) + self.text[at:]

    def columns(self) -> list[dict[Any, str]]:
        """The cells of some units spread over the sheet, by column."""
        if self._columns is None:
            assert self.cut is not None
            step = max(1, len(self.units) // SAMPLED)
            rows = filter(None, map(self.cut, map(self.unit, range(0, len(self.units), step))))
            self._columns = [dict(zip(row.names, row.cells, strict=True)) for row in rows]
        return self._columns


class Planted(Struct, frozen=True):
    """A fact, the place and text of the unit that holds it, and what the agent asked for, if it asked."""

    place: int
    unit: str
    fact: Fact
    asked: str = ""


def plant(sheet: Sheet, class_: Class, chance: Random) -> Planted | None:
    """Make a fact of a class from the neighbours of a place drawn evenly; None where no neighbour lends itself."""
    count = len(sheet.units)
    if count < UNITS_MIN:
        return None
    place = chance.randrange(1, count)
    near = [place, *chance.sample(range(max(0, place - NEIGHBOURS), min(count, place + NEIGHBOURS)), UNITS_MIN)]
    for source in near[:1] if sheet.kind in IN_PLACE else near:
        made = _from_row(sheet, source, class_, chance) if sheet.cut else _from_line(sheet, source, class_, chance)
        if made is not None:
            unit, fact, asked = made
            return Planted(place, unit, fact, asked if class_ == "ask" else "")
    return None


Made = tuple[str, Fact, str]


def _from_line(sheet: Sheet, source: int, class_: Class, chance: Random) -> Made | None:
    line = sheet.unit(source)
    if not _may_change(sheet.kind, line):
        return None
    lead = re.match(r"<[^>]*>|[+ -]?\s*(?:[0-9]+[→\t:-])?", line)
    start = lead.end() if lead else 0
    end = line.rfind("</") if sheet.kind == "HTML" else len(line)
    times = [found.span() for found in _TIME.finditer(line)]
    words = [
        found
        for found in _WORD.finditer(line, start, end)
        if len(found[0]) > 3 and not any(a < found.end() and found.start() < b for a, b in times)
    ]
    if not words:
        return None
    word = chance.choice([word for word in words if re.search("[0-9]", word[0])] or words)
    new = renamed(word[0], sheet.text, chance)
    changed = line[: word.start()] + new + line[word.end() :] if new else None
    if changed is None:
        return None
    if class_ == "err":
        changed = _failing(sheet.kind, changed, new)
    elif class_ == "outlier":
        changed = _twentyfold(changed, new) if sheet.kind == "logs" else None
    if changed is None:
        return None
    if sheet.kind == "HTML":
        return changed, Fact((re.sub("<[^>]*>", "", changed),), lines=0), new
    return changed, Fact((changed.strip(),)), new


def _may_change(kind: str, line: str) -> bool:
    return kind != "diffs" or (line[:1] in ("+", "-") and line[:3] not in ("+++", "---"))


def _failing(kind: str, line: str, name: str) -> str | None:
    """The line telling of a failure, or None if nothing in it tells how it went."""
    if kind not in ("logs", "tests and builds"):
        return None
    for pattern, word in _FAILING:
        changed, count = pattern.subn(word, line, count=1)
        if count and name in changed:
            return changed
    return None


def _twentyfold(line: str, name: str) -> str | None:
    numbers = [found for found in _NUMBER.finditer(line) if found[0] not in name and found.start() > 20]
    if not numbers:
        return None
    last = numbers[-1]
    return line[: last.start()] + _times_twenty(last[0]) + line[last.end() :]


def _times_twenty(number: str) -> str:
    whole, _, decimals = number.partition(".")
    product = str(int(whole + decimals) * 20)
    cut = len(product) - len(decimals)
    return product[:cut] + "." + product[cut:] if decimals else product


def _from_row(sheet: Sheet, source: int, class_: Class, chance: Random) -> Made | None:
    assert sheet.cut is not None
    row = sheet.cut(sheet.unit(source))
    if row is None:
        return None
    cells = {name: cell for name, cell in zip(row.names, row.cells, strict=True) if _is_plain(cell)}
    key = _naming_column(sheet.columns(), cells)
    if key is None:
        return None
    new_key = renamed(_bare(cells[key]), sheet.text, chance)
    others = [name for name in cells if name != key and _bare(cells[name])]
    changed = _change(class_, others, cells, sheet.columns(), chance) if new_key and others else None
    if changed is None:
        return None
    column, value = changed
    unit = row.written({key: _in_place_of(cells[key], new_key), column: _in_place_of(cells[column], value)})
    return unit, Fact((new_key, value), lines=unit.count("\n") + 1), new_key


def _change(
    class_: Class, others: list[Any], cells: Cells, columns: list[dict[Any, str]], chance: Random
) -> tuple[Any, str] | None:
    """The column that a class changes, and its new value."""
    if class_ == "err":
        told = [name for name in others if _STATUS_NAME.search(str(_last(name)))]
        if not told:
            return None
        return told[0], "500" if _PLAIN_NUMBER.fullmatch(_bare(cells[told[0]])) else "error"
    if class_ == "outlier":
        numeric = [name for name in others if _NUMBER.fullmatch(cells[name].strip())]
        return (name := chance.choice(numeric), _times_twenty(cells[name].strip())) if numeric else None
    name = chance.choice(others)
    if class_ == "ask":
        return name, _bare(cells[name])
    values = [value for row in columns if name in row and _is_plain(row[name]) and (value := _bare(row[name]))]
    return (name, chance.choice(values)) if values else None


def _naming_column(columns: list[dict[Any, str]], cells: Cells) -> Any:
    """The column whose values differ most from row to row, if they are long enough to be told apart."""
    distinct = Counter({name: len({row.get(name) for row in columns}) for name in cells if len(_bare(cells[name])) > 3})
    return distinct.most_common(1)[0][0] if distinct else None


def _last(name: Any) -> Any:
    return name[-1] if isinstance(name, tuple) else name


def _is_plain(cell: str) -> bool:
    """Whether a cell has one spelling only, so that it can be looked for."""
    return len(cell) <= CELL_CHARS_MAX and "\\" not in cell and "\n" not in cell and '""' not in cell.strip()[1:-1]


def _bare(cell: str) -> str:
    return cell.strip().strip('"')


def _in_place_of(cell: str, value: str) -> str:
    """A value written as the cell was: between the same quotes and blanks."""
    return cell.replace(_bare(cell), value, 1) if _bare(cell) else value


def renamed(name: str, text: str, chance: Random) -> str:
    """`name` with as few of its last letters and digits changed as make it new in `text`; empty if none do."""
    places = [index for index, char in enumerate(name) if char.isascii() and char.isalnum()]
    for changed in range(1, min(len(places), 8) + 1):
        for _ in range(4):
            new = list(name)
            for index in places[-changed:]:
                new[index] = chance.choice(_alike(name[index], first=index == places[0]))
            made = "".join(new)
            if made not in text:
                return made
    return ""


def _alike(char: str, *, first: bool) -> str:
    if char.isdigit():
        return "123456789" if first else "0123456789"
    letters = "bcdefghklmnprstvw"
    return letters.upper() if char.isupper() else letters


def _line_ranges(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield start, end - (text[end - 1 : end] == "\r")
        start = end + 1


def _csv_cutter(sheet: Sheet) -> Callable[[str], Row | None] | None:
    header = sheet.unit(0) if sheet.units else ""
    delimiter = max(",;\t|", key=header.count)
    field = re.compile(rf'(\s*"(?:[^"]|"")*"\s*|[^{re.escape(delimiter)}"]*)(?:{re.escape(delimiter)}|$)')
    width = header.count(delimiter) + 1

    def cut(line: str) -> Row | None:
        cells = field.findall(line)[:width]
        if delimiter.join(cells) != line or len(cells) != width:
            return None
        return Row(["", *[delimiter] * (width - 1), ""], list(range(width)), cells)

    return cut if width > 1 else None


def _cut_record(text: str) -> Row | None:
    """Cut a JSON object at its values that hold no others. Only the ASCII ones: their positions are those of bytes."""
    if not text.isascii():
        return None
    try:
        value = parse(text.encode())
        spans = locate(text.encode(), list(_scalar_paths(value)))
    except ScanError:
        return None
    ordered = sorted(spans.items(), key=lambda item: item[1])
    starts = [0, *(end for _, (_, end) in ordered)]
    gaps = [text[start:at] for start, (_, (at, _)) in zip(starts, ordered, strict=False)] + [text[starts[-1] :]]
    return Row(gaps, [path for path, _ in ordered], [text[start:end] for _, (start, end) in ordered])


def _scalar_paths(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict) and len(path) < _COLUMNS_DEPTH_MAX:
        for key, inside in value.items():
            yield from _scalar_paths(inside, (*path, key))
    elif path and isinstance(value, str | int | float) and not isinstance(value, bool):
        yield path


def _longest_array(text: str) -> tuple[Path, int]:
    """Where the longest array of objects stands, not too deep, and how long it is."""
    try:
        pending: list[tuple[Path, Any]] = [((), parse(text.encode()))]
    except ScanError:
        return (), 0
    best: tuple[Path, int] = ((), 0)
    while pending:
        path, value = pending.pop()
        if isinstance(value, list) and value and isinstance(value[0], dict):
            best = max(best, (path, len(value)), key=lambda found: found[1])
        elif isinstance(value, dict) and len(path) < _ROWS_PATH_DEPTH_MAX:
            pending += [((*path, key), inside) for key, inside in value.items()]
    return best


def _char_offsets(data: bytes, offsets: list[int]) -> dict[int, int]:
    """The positions of characters for those of bytes, which are in order."""
    found, chars, before = {}, 0, 0
    for offset in offsets:
        chars += len(data[before:offset].decode())
        found[offset], before = chars, offset
    return found
