"""Inverses of the invertible compressors, written from their documented rules and not from their code."""

import json
import re
from typing import Any


def numbered(text: str) -> str:
    """Return the read that `compressors.numbered` was given."""
    header, *lines = text.split("\n")
    found = re.fullmatch(r'\[every 10th line numbered(?:, from "(.*?)")?(, first unpadded)?\]', header)
    assert found, header
    form = (found[1] or "%6d→").replace("\\t", "\t")
    lead, spec, mark = re.fullmatch(r"(.*?)(%-?[0-9]*d)(.*)", form).groups()  # type: ignore[union-attr]
    out: list[str] = []
    pending: list[str] = []
    last: int | None = None
    for line in lines:
        explicit = re.match(re.escape(lead) + r"([0-9]{1,9})" + re.escape(mark), line)
        if explicit is None:
            pending.append(line)
            continue
        number = int(explicit[1])
        if last is not None and number - last - 1 == len(pending):
            pending = [_prefix(lead, spec, mark, last + 1 + i) + one for i, one in enumerate(pending)]
        out += [*pending, _prefix(lead, spec, mark, number) + line[explicit.end() :]]
        pending, last = [], number
    read = "\n".join(out + pending)
    return read.lstrip(" ") if found[2] else read


def _prefix(lead: str, spec: str, mark: str, number: int) -> str:
    return lead + spec % number + mark


class Number(str):
    """A JSON number as it was spelled: equal to no string that looks alike."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is Number and str.__eq__(self, other)

    __hash__ = str.__hash__


_SCALARS = json.JSONDecoder(parse_float=Number, parse_int=Number)
_TABLE = re.compile(r"\[([0-9]+) rows: ")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LITERALS = {"null": None, "true": True, "false": False}
MISSING = object()


def json_values(text: str) -> Any:
    """Return the values of a JSON document, numbers as they are spelled."""
    return _SCALARS.decode(text)


def json_table(text: str) -> Any:
    """Return the values that `compressors.json_table` wrote."""
    value, end = _value(text, 0)
    assert end == len(text), text[end:]
    return value


def _value(text: str, at: int) -> tuple[Any, int]:
    table = _TABLE.match(text, at)
    if table:
        return _table(text, table.end(), int(table[1]))
    if text[at] not in "[{":
        return _SCALARS.raw_decode(text, at)
    return _object(text, at + 1) if text[at] == "{" else _array(text, at + 1)


def _object(text: str, at: int) -> tuple[dict[str, Any], int]:
    made = {}
    while text[at] != "}":
        at += text[at] == ","
        key, at = _SCALARS.raw_decode(text, at)
        assert text[at] == ":"
        made[key], at = _value(text, at + 1)
    return made, at + 1


def _array(text: str, at: int) -> tuple[list[Any], int]:
    made = []
    while text[at] != "]":
        value, at = _value(text, at + (text[at] == ","))
        made.append(value)
    return made, at + 1


def _table(text: str, at: int, count: int) -> tuple[list[Any], int]:
    names: list[list[str]] = []
    further = False
    while not names or text[at - 1] == ",":
        if text[at] == "+":
            further, at = True, at + 2
            break
        name, at = _name(text, at)
        names.append(name)
        at += 1
    same = []
    if text[at - 1] == ";":
        assert text.startswith(" in all: ", at), text[at:]
        at += len(" in all: ")
        while text[at - 1] != "\n":
            name, at = _name(text, at)
            cell, at = _cell(text, at + 1)
            same.append((name, cell))
            at += 1
    rows = []
    for _ in range(count):
        row: dict[str, Any] = {}
        for name in names:
            cell, at = _cell(text, at)
            if cell is not MISSING:
                _put(row, name, cell)
            assert text[at] in ",\n"
            at += 1
        if text[at - 1] == ",":
            assert further
            cell, at = _cell(text, at)
            assert text[at] == "\n"
            at += 1
            row.update(cell)
        for name, cell in same:
            _put(row, name, cell)
        rows.append(row)
    assert text[at] == "]", text[at:]
    return rows, at + 1


def _name(text: str, at: int) -> tuple[list[str], int]:
    parts = []
    while True:
        if text[at] == '"':
            part, at = _SCALARS.raw_decode(text, at)
        else:
            found = re.compile(r"[^,.;=\n]+").match(text, at)
            assert found
            part, at = found[0], found.end()
        parts.append(part)
        if text[at] != ".":
            return parts, at
        at += 1


def _cell(text: str, at: int) -> tuple[Any, int]:
    if text[at] in '"[{':
        return _SCALARS.raw_decode(text, at)
    end = re.compile(r"[,\n]").search(text, at).start()  # type: ignore[union-attr]
    cell = text[at:end]
    if cell == "":
        return MISSING, end
    if cell in _LITERALS:
        return _LITERALS[cell], end
    return (Number(cell) if _NUMBER.fullmatch(cell) else cell), end


def _put(row: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        row = row.setdefault(part, {})
    row[path[-1]] = value


INVERSES = {"numbered": numbered, "json-table": json_table}
"""By the compressor's name, where a text can be turned back, or its values."""
