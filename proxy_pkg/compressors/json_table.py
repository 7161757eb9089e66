"""JSON without its layout, and like objects as a table: a header, and one line for each object.

    {"total":240,"items":[240 rows: id,name,owner.login,(type=user),url=https://e.org/{},note or null,+
    1,alpha,ann,1-alpha
    2,"a, b",bob,2-ab,late,{"more":"x"}
    ]}

A table stands where an array would, or with `{` and `}` where an object of like objects would; the column
KEY then has its keys. The header gives the number of rows and the columns, as columns.py describes them.
`owner.login` is a key inside the object at `owner`; names that could be misread are JSON strings. A cell is
a JSON value or a table; a string stands bare where nothing else could be meant; an empty cell is a missing
key, unless the header says otherwise. Where the columns end in `+`, a last cell may hold an object of
further keys. Several documents in one text stand one below the other, or in one table of JSON lines.
Strings in an array that are marks of gaps (gaps.py) are lines of their own, and the header says what they sum up to.

Above large tables stands a line that explains their signs. Values stay equal in the strict sense; see json_values.py.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from json.encoder import encode_basestring  # noqa: TID251  quotes without \u escapes
from operator import itemgetter
from types import MappingProxyType
from typing import Any

from proxy_pkg.compressors import gaps
from proxy_pkg.compressors.columns import BARE_PART, Column
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.json_values import ABSENT, LITERALS, Number, cells, read, scalar, text_cells
from proxy_pkg.compressors.legend import with_legend
from proxy_pkg.compressors.sheet import GROUP_MARK, Layout, lay_out
from proxy_pkg.model import Grade

ROWS_MIN = 3
DEPTH_MAX = 64
"""Deeper documents are left alone."""
FLAT_DEPTH_MAX = 6
"""Objects further inside a row are cells."""
KEY = "KEY"
LAYOUT = Layout()
ORDERED_LAYOUT = Layout(is_free=False)

SYNTAX_CHARS = 3
"""Quotes and a colon, or a comma, around a key: what each key takes in JSON beside its own characters, at least."""

_MISSING = object()
_NO_MARKS: Mapping[int, str] = MappingProxyType({})
SHARE_OF_ROWS = 3
"""A key is a column where at least one row in so many has it."""


def compress(text: str) -> str | None:
    """Return the JSON in `text`, one document or several, written shorter with equal values; None if not possible."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        result = write(read(text))
        result = with_legend(result, len(text) - len(result))
        result.encode()
    except (ValueError, RecursionError):
        return None
    return result if len(result) < len(text) else None


def write(values: list[Any], *, keeps_order: bool = False) -> str:
    """Return `values`, one document or several; ValueError if they go too deep.

    With `keeps_order` the keys of each object can be told in their order too: where the text of the document counts.
    """
    writer = Writer(keeps_order)
    if len(values) == 1:
        return writer.write(values[0], DEPTH_MAX)
    rows, _, marks = _without_marks(values)
    if _are_like_objects(rows):
        text, plain_min = writer.table(rows, DEPTH_MAX, "JSON lines", marks=marks)
        if text and len(text) <= plain_min:
            return text
    return "\n".join([writer.write(value, DEPTH_MAX) for value in values])


def _are_like_objects(values: Iterable[Any]) -> bool:
    return all(type(value) is dict and value for value in values)


class Writer:
    """Writes the values of one document; what was written once is remembered."""

    def __init__(self, keeps_order: bool = False) -> None:
        self._written: dict[int, str] = {}
        self._keeps_order = keeps_order

    def write(self, value: Any, depth: int) -> str:
        """Return `value` as JSON, with tables where they are shorter."""
        if type(value) is dict or type(value) is list:
            text = self._written.get(id(value))
            if text is None:
                if not depth:
                    raise ValueError("too deep")
                text = self._written[id(value)] = self._write(value, depth)
            return text
        return scalar(value)

    def _write(self, value: Any, depth: int) -> str:
        if len(value) < ROWS_MIN:
            return self._plain(value, depth)
        rows, keys, marks = _without_marks(value)
        if len(rows) < ROWS_MIN or not _are_like_objects(rows):
            return self._plain(value, depth)
        text, plain_min = self.table(rows, depth, keys=keys, marks=marks)
        if text and len(text) <= plain_min:
            return text
        plain = self._plain(value, depth)
        return text if text and len(text) < len(plain) else plain

    def _plain(self, value: Any, depth: int) -> str:
        if type(value) is dict:
            pairs = [f"{encode_basestring(name)}:{self.write(each, depth - 1)}" for name, each in value.items()]
            return "{" + ",".join(pairs) + "}"
        is_flat = set(map(type, value)) == {Number}
        return "[" + ",".join(value if is_flat else [self.write(each, depth - 1) for each in value]) + "]"

    def table(
        self,
        rows: list[dict[str, Any]],
        depth: int,
        noun: str = "rows",
        keys: list[str] | None = None,
        marks: Mapping[int, str] = _NO_MARKS,
    ) -> tuple[str, int]:
        """Return `rows` as a table, empty if they have nothing in common, and what they take at least without one.

        Each of `marks` stands above the row that has its number.
        """
        names, rare = _names(rows)
        if not names or (self._keeps_order and (rare or not _are_in_order(rows, names))):
            return "", 0
        columns = [Column(KEY, cells(keys), keys, spell=text_cells, absent=ABSENT)] if keys else []
        for name in names:
            columns += self._columns((name,), _values(rows, name), depth - 1, FLAT_DEPTH_MAX)
        plain_min = sum(map(_plain_min, columns))
        further = [self._further(row, rare, depth - 1) for row in rows] if rare else None
        header, lines = lay_out(columns, ORDERED_LAYOUT if self._keeps_order else LAYOUT, further)
        if marks:
            noun += f", {gaps.left_out(marks.values())} left out"
            lines = gaps.put_back(lines, marks, GROUP_MARK)
        opened, closed = "{}" if keys else "[]"
        text = f"{opened}{len(rows)} {noun}: {header}{',+' if rare else ''}\n" + "\n".join(lines) + f"\n{closed}"
        return text, plain_min

    def _further(self, row: dict[str, Any], rare: set[str], depth: int) -> str:
        further = {name: self.write(value, depth) for name, value in row.items() if name in rare}
        return ",{" + ",".join([f"{encode_basestring(k)}:{v}" for k, v in further.items()]) + "}" if further else ""

    def _columns(self, path: tuple[str, ...], values: list[Any], depth: int, flat: int) -> list[Column]:
        """Return the columns for the `values` at `path`: several where most values are objects of like keys."""
        if not depth:
            raise ValueError("too deep")
        objects = [value for value in values if type(value) is dict]
        if flat and len(objects) * 2 > len(values):
            names, rare = _names(objects)
            is_ordered = not self._keeps_order or (not rare and _are_in_order(objects, names))
            if names and len(rare) <= len(names) and is_ordered:
                return self._flat(path, values, names, depth, flat)
        return [self._column(_path_name(path), values, depth)]

    def _flat(self, path: tuple[str, ...], values: list[Any], names: list[str], depth: int, flat: int) -> list[Column]:
        """Return a column for each key; values that are no objects of such keys have a column of their own."""
        covers = frozenset(names).issuperset
        is_flat = [type(value) is dict and bool(value) and covers(value) for value in values]
        rest = [_MISSING if each else value for value, each in zip(values, is_flat, strict=True)]
        columns = [self._column(_path_name(path), rest, depth)] if _has_any(rest) else []
        objects = [value if each else {} for value, each in zip(values, is_flat, strict=True)]
        for name in names:
            inner = _values(objects, name)
            if _has_any(inner):
                columns += self._columns((*path, name), inner, depth - 1, flat - 1)
        return columns

    def _column(self, name: str, values: list[Any], depth: int) -> Column:
        types = set(map(type, values))
        if types == {str}:
            return Column(name, cells(values), values, spell=text_cells, absent=ABSENT)
        if types == {Number}:
            return Column(name, values, values, is_text=False, absent=ABSENT)
        if len(types) == 2 and str in types and types & _HOLES.keys():
            hole = _HOLES[(types - {str}).pop()]
            words = [value if type(value) is str else "" for value in values]
            strings = iter(cells([value for value in values if type(value) is str]))
            printed = [next(strings) if type(value) is str else hole for value in values]
            return Column(name, printed, words, hole=hole, spell=text_cells, absent=ABSENT)
        strings = iter(cells([value for value in values if type(value) is str]))
        printed = [next(strings) if type(value) is str else self._cell(value, depth) for value in values]
        return Column(name, printed, absent=ABSENT)

    def _cell(self, value: Any, depth: int) -> str:
        if type(value) is Number:
            return str(value)
        return self.write(value, depth - 1) if type(value) in (dict, list) else _LITERALS[value]


def _without_marks(value: Any) -> tuple[list[Any], list[str] | None, dict[int, str]]:
    """Return the elements, keys and marks of an array or object whose gaps are marked as json_rows.py does it."""
    keys, rows = (None, value) if type(value) is list else (list(value), list(value.values()))
    marked = rows if keys is None else keys
    if set(map(type, rows)) == {dict} or not any(type(one) is str and gaps.read(one) for one in marked):
        return rows, keys, {}
    marks: dict[int, str] = {}
    left: list[Any] = []
    names: list[str] = []
    for name, row in zip(marked, rows, strict=True):
        if type(name) is str and gaps.read(name) and (row is None or keys is None):
            marks[len(left)] = f"{marks[len(left)]}\n{name}" if len(left) in marks else name
        else:
            left.append(row)
            names.append(name)
    return left, None if keys is None else names, marks


def _has_any(values: list[Any]) -> bool:
    return any(value is not _MISSING for value in values)


def _values(rows: list[dict[str, Any]], name: str) -> list[Any]:
    try:
        return list(map(itemgetter(name), rows))
    except KeyError:
        return [row.get(name, _MISSING) for row in rows]


def _names(rows: list[dict[str, Any]]) -> tuple[list[str], set[str]]:
    """Return the keys that are columns, in order of appearance, and the keys that too few rows have."""
    counts = Counter(chain.from_iterable(rows))
    names = [name for name, count in counts.items() if count * SHARE_OF_ROWS >= len(rows)]
    return names, counts.keys() - set(names)


def _are_in_order(rows: list[dict[str, Any]], names: list[str]) -> bool:
    """Tell whether every row has its keys in the order of `names`."""
    return all(list(row) == names or list(row) == [name for name in names if name in row] for row in rows)


def _plain_min(column: Column) -> int:
    """Return what the values of `column` take at least as JSON, in characters."""
    key = len(column.name) - column.name.rfind(".") + SYNTAX_CHARS
    return len("".join(column.cells)) + key * (len(column.cells) - column.cells.count(""))


def _path_name(path: tuple[str, ...]) -> str:
    is_bare = all(BARE_PART.fullmatch(part) for part in path) and path != (KEY,)
    return ".".join(path if is_bare else map(encode_basestring, path))


_LITERALS: dict[Any, str] = {**LITERALS, _MISSING: ""}
_HOLES = {type(None): "null", type(_MISSING): ""}

JSON_TABLE = Compressor("json-table", Grade.VALUE_EQUAL, compress, version=2)
