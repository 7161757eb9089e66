"""JSON without its layout, and arrays of like objects as a header and one line for each object.

    {"total":240,"items":[240 rows: id,name,owner.login,+; in all: type=user
    1,alpha,ann
    2,"a, b",bob,{"note":"x"}
    ]}

A table stands where an array would. Its header gives the number of rows, the columns, and what is the
same in all rows. `owner.login` is a key inside the object at `owner`; names that could be misread are
JSON strings. A cell is a JSON value; a string stands bare where nothing else could be meant; an empty
cell is a missing key. Where the columns end in `+`, a last cell may hold an object of further keys.
Tables do not nest inside cells.

Values stay equal in the strict sense: numbers keep their spelling, so `1.0`, `1e5` and 30 digits
survive. What JSON leaves open (a key given twice, NaN, half a surrogate pair) is left alone.
"""

import re
from json import JSONDecoder  # noqa: TID251  msgspec merges equal keys and spells numbers anew
from json.encoder import encode_basestring  # noqa: TID251  its twin: quotes without \u escapes
from typing import Any, NoReturn

from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.model import Grade

ROWS_MIN = 3
DEPTH_MAX = 64
"""Deeper documents are left alone."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_BARE_CELL = re.compile(r"[^\s,\"\[\]{\x00-\x1f\x7f](?:[^,\x00-\x1f\x7f]*[^\s,\x00-\x1f\x7f])?")
_BARE_NAME = re.compile(r"[^\s\",.;:=+\[\]{}\x00-\x1f\x7f]+")
_LITERALS = {None: "null", True: "true", False: "false"}
_MISSING = object()


class Number(str):
    """A JSON number as it was spelled."""

    __slots__ = ()


class Column:
    """A column of a table: its name as printed, and a cell for each row, empty where the key is missing."""

    __slots__ = ("cells", "constant", "name")

    def __init__(self, name: str, cells: list[str]) -> None:
        self.name = name
        self.cells = cells
        self.constant = bool(cells[0]) and len(set(cells)) == 1


def compress(text: str) -> str | None:
    """Return the JSON document `text` written shorter with equal values, None if that cannot be done."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        result = _write(_DECODER.decode(text), DEPTH_MAX)
        result.encode()
    except (ValueError, RecursionError):
        return None
    return result if len(result) < len(text) else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key twice")
    return made


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _write(value: Any, depth: int) -> str:
    """Return `value` as JSON, its arrays of like objects as tables where that is shorter."""
    if not depth:
        raise ValueError("too deep")
    if type(value) is dict:
        return "{" + ",".join([f"{encode_basestring(k)}:{_write(v, depth - 1)}" for k, v in value.items()]) + "}"
    if type(value) is not list:
        return _scalar(value)
    if _like_objects(value):
        return min(_table(value, depth - 1), _list(value, depth), key=len)
    return _list(value, depth)


def _list(values: list[Any], depth: int) -> str:
    return "[" + ",".join([_write(each, depth - 1) for each in values]) + "]"


def _plain(value: Any, depth: int) -> str:
    """Return `value` as JSON without tables."""
    if not depth:
        raise ValueError("too deep")
    if type(value) is dict:
        return "{" + ",".join([f"{encode_basestring(k)}:{_plain(v, depth - 1)}" for k, v in value.items()]) + "}"
    if type(value) is list:
        return "[" + ",".join([_plain(each, depth - 1) for each in value]) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if type(value) is str:
        return encode_basestring(value)
    return value if type(value) is Number else _LITERALS[value]


def _like_objects(values: list[Any]) -> bool:
    return len(values) >= ROWS_MIN and all(type(value) is dict and value for value in values)


def _table(rows: list[dict[str, Any]], depth: int) -> str:
    names, rare = _names(rows)
    if not names:
        return _plain(rows, depth)
    columns = [
        column for name in names for column in _columns((name,), [row.get(name, _MISSING) for row in rows], depth)
    ]
    if all(column.constant for column in columns):
        columns[0].constant = False  # a row is a line, and a line has a cell
    varying = [column for column in columns if not column.constant]
    same = [column for column in columns if column.constant]
    header = ",".join([column.name for column in varying] + ["+"] * bool(rare))
    if same:
        header += "; in all: " + ",".join(f"{column.name}={column.cells[0]}" for column in same)
    lines = [",".join(cells) for cells in zip(*(column.cells for column in varying), strict=True)]
    if rare:
        lines = [line + _further(row, rare, depth) for line, row in zip(lines, rows, strict=True)]
    return f"[{len(rows)} rows: {header}\n" + "\n".join(lines) + "\n]"


def _names(rows: list[dict[str, Any]]) -> tuple[list[str], set[str]]:
    """Return the keys that at least half of `rows` have, in order of appearance, and the other keys."""
    counts: dict[str, int] = {}
    for row in rows:
        for name in row:
            counts[name] = counts.get(name, 0) + 1
    common = [name for name, count in counts.items() if count * 2 >= len(rows)]
    return common, counts.keys() - set(common)


def _columns(path: tuple[str, ...], values: list[Any], depth: int) -> list[Column]:
    """Return the columns for the `values` at `path`: several where each value is an object of like keys."""
    if depth and all(type(value) is dict and value for value in values):
        names, rare = _names(values)
        if not rare:
            return [
                column
                for name in names
                for column in _columns((*path, name), [value.get(name, _MISSING) for value in values], depth - 1)
            ]
    name = ".".join([part if _BARE_NAME.fullmatch(part) else encode_basestring(part) for part in path])
    return [Column(name, [_cell(value, depth) for value in values])]


def _cell(value: Any, depth: int) -> str:
    if type(value) is str:
        bare = _BARE_CELL.fullmatch(value) and not _NUMBER.fullmatch(value) and value not in _LITERALS.values()
        return value if bare else encode_basestring(value)
    return "" if value is _MISSING else _plain(value, depth)


def _further(row: dict[str, Any], rare: set[str], depth: int) -> str:
    further = {name: value for name, value in row.items() if name in rare}
    return "," + _plain(further, depth) if further else ""


_DECODER = JSONDecoder(object_pairs_hook=_object, parse_float=Number, parse_int=Number, parse_constant=_refuse)

JSON_TABLE = Compressor("json-table", Grade.VALUE_EQUAL, compress)
