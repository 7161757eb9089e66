"""JSON with records left out of its long arrays, each gap marked by a string in its place.

    {"total":240,"items":[{"id":1,"name":"alpha"},{"id":2,"name":"beta"},"[238 records left out: 3-240]"]}

Records are the objects in an array, the documents of JSON lines, or the objects in an object that maps names to
like objects; there a gap is a key with the value null. Other elements are called items. Where an object holds
several arrays of one length, as tables by column do, the same items go from each. Records that stay are whole, but
for long arrays and opaque strings inside them:

    "iVBORw0KGgoAAAANSUhEUgAA[3936 characters left out: 65-4000]"

worth.py chooses what stays. The result is written without white space between values.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from proxy_pkg.compressors import asked, gaps
from proxy_pkg.compressors.contract import Reducer
from proxy_pkg.compressors.json_text import spell
from proxy_pkg.compressors.json_values import Number, read, scalar
from proxy_pkg.compressors.worth import FREE_CHARS, ROWS_MIN, Column, choose, tells_outcome

DEPTH_MAX = 32
"""What lies deeper stays."""
COLUMNS_MAX, WIDE_COLUMNS_MAX, WIDE_CELLS_MAX = 64, 320, 65_536
"""Of more columns the first are looked at; in a table of few rows, more of them."""
FLAT_DEPTH_MAX = 4
INNER_TIMES = 4
"""Inside a record that was chosen, an array is long from so many times the usual length on."""
KEPT_PERCENT = 45
"""Records stay in a larger part than lines of CSV: as a table, they take less room."""
DOCUMENT_CHARS_MIN = 2000
"""A string that is JSON is looked into from this length on."""
OPAQUE_CHARS_MIN = 400
OPAQUE_HEAD_CHARS = 64

_OPAQUE = re.compile(
    r"(?:data:[\w.+-]+/[\w.+-]+(?:;[\w=-]+)*,)?(?:[A-Za-z0-9+/_-]+={0,2}|[A-Za-z0-9+/]{60,76}(?:\r?\n[A-Za-z0-9+/]{1,76})+={0,2}\s*)"
)
_TEXTS = {str, Number}
_SCALARS = {*_TEXTS, bool, type(None)}
_PLAIN: dict[Any, Any] = {None: "", True: "true", False: "false"}
_TYPED_MARK = re.compile(rf'"{gaps.MARK.pattern}|{gaps.MARK.pattern}"')


def reduce(text: str, wanted: Sequence[str]) -> str | None:
    """The JSON in `text`, one document or several, with gaps; None if nothing goes, it has marks, or it is no JSON."""
    if text.lstrip()[:1] not in ("{", "[") or has_marks(text):
        return None
    try:
        return _reduced(text, wanted)
    except (ValueError, RecursionError):
        return None


def has_marks(text: str) -> bool:
    """Whether a string in `text`, or a line, is a mark or ends in one."""
    return gaps.has_marks(text) or (" left out: " in text and _TYPED_MARK.search(text) is not None)


def _reduced(text: str, wanted: Sequence[str]) -> str | None:
    values = read(text)
    reduction = Reduction(wanted)
    if len(values) == 1:
        values = [reduction.value(values[0], DEPTH_MAX, FREE_CHARS)]
    else:
        values = reduction.array(values, DEPTH_MAX, FREE_CHARS)
    if not reduction.has_gaps:
        return None
    result = "\n".join([spell(value, "compact") for value in values])
    return result if len(result) < len(text) else None


class Reduction:
    """One walk through a document. `has_gaps` tells whether anything went."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._wanted = wanted
        self.has_gaps = False

    def value(self, value: Any, depth: int, free_chars: int) -> Any:
        """What stays of `value`, in which arrays of fewer than `free_chars` characters stay whole."""
        if type(value) is str:
            return self._string(value)
        if not depth or type(value) not in (dict, list):
            return value
        return self._map(value, depth, free_chars) if type(value) is dict else self.array(value, depth, free_chars)

    def array(self, values: list[Any], depth: int, free_chars: int) -> list[Any]:
        kept = self._choose(_columns(values), values, free_chars) if len(values) >= ROWS_MIN else None
        if kept is None:
            return [self.value(value, depth - 1, free_chars) for value in values]
        self.has_gaps = True
        noun = "records" if _are_objects(values) else "items"
        left: list[Any] = []
        for keeps, start, end in gaps.runs(kept):
            if keeps:
                left += [self.value(value, depth - 1, free_chars * INNER_TIMES) for value in values[start:end]]
            else:
                left.append(gaps.mark(start + 1, end, noun))
        return left

    def _choose(self, columns: Sequence[Column], values: Sequence[Any], free_chars: int) -> bytearray | None:
        return choose(columns, self._wanted, free_chars, KEPT_PERCENT, texts=lambda: list(map(repr, values)))

    def _map(self, value: dict[str, Any], depth: int, free_chars: int) -> dict[str, Any]:
        values = list(value.values())
        if _stay(values):
            return value
        is_long = len(values) >= ROWS_MIN and _are_objects(values)
        names = list(value)
        kept = (
            self._choose([Column("", names), *_columns(values)], list(value.items()), free_chars) if is_long else None
        )
        if kept is None:
            value = self._by_column(value, free_chars)
            return {name: self.value(each, depth - 1, free_chars) for name, each in value.items()}
        self.has_gaps = True
        left: dict[str, Any] = {}
        for keeps, start, end in gaps.runs(kept):
            if keeps:
                for name, each in zip(names[start:end], values[start:end], strict=True):
                    left[name] = self.value(each, depth - 1, free_chars * INNER_TIMES)
            else:
                left[gaps.mark(start + 1, end, "records")] = None
        return left

    def _by_column(self, value: dict[str, Any], free_chars: int) -> dict[str, Any]:
        """`value` with the same items left out of all its arrays of scalars that have the same length."""
        by_length: dict[int, list[str]] = {}
        for name, each in value.items():
            if type(each) is list and len(each) >= ROWS_MIN and _are_scalars(each):
                by_length.setdefault(len(each), []).append(name)
        for names in by_length.values():
            columns = [Column(name, _cells(value[name])) for name in names]
            kept = choose(columns, self._wanted, free_chars) if len(names) > 1 else None
            if kept is not None:
                self.has_gaps = True
                value = value | {name: _with_marks(value[name], kept) for name in names}
        return value

    def _string(self, value: str) -> str:
        if len(value) >= DOCUMENT_CHARS_MIN and value[:1] in ("{", "["):
            try:
                inner = _reduced(value, self._wanted)
            except ValueError:
                inner = None
            if inner is not None:
                self.has_gaps = True
                return inner
        if len(value) >= OPAQUE_CHARS_MIN and is_opaque(value) and not asked.places(value, self._wanted):
            self.has_gaps = True
            return value[:OPAQUE_HEAD_CHARS] + gaps.mark(OPAQUE_HEAD_CHARS + 1, len(value), "characters")
        return value


def is_opaque(value: str) -> bool:
    """Whether a long string is data in base64 or hexadecimal digits, not words or a path."""
    if not _OPAQUE.fullmatch(value):
        return False
    body = value[value.find(",") + 1 :] if value.startswith("data:") else value
    return len(set(body)) > 9 and any(map(str.isdigit, body)) and any(map(str.isalpha, body))


def _columns(values: list[Any]) -> list[Column]:
    """The scalars in `values` by column: of objects by key, of arrays of one length by place, else one column."""
    if _are_objects(values):
        shapes = Column("", ["\n".join(value) for value in values])
        columns_max = min(max(COLUMNS_MAX, WIDE_CELLS_MAX // len(values)), WIDE_COLUMNS_MAX)
        return [shapes, *_of_objects(values, FLAT_DEPTH_MAX)][:columns_max]
    if all(type(value) is list for value in values):
        widths = set(map(len, values))
        if len(widths) == 1 and 1 <= widths.pop() <= COLUMNS_MAX:
            return [Column("", _cells(list(column))) for column in zip(*values, strict=True)]
    return [Column("", _cells(values))]


def _of_objects(values: list[Any], depth: int) -> Iterable[Column]:
    """A column for each key that the objects in `values` have; those of objects inside come in the key's place.

    Values that are no objects have none of the keys.
    """
    counts = Counter(chain.from_iterable(value for value in values if type(value) is dict))
    rows = [value if type(value) is dict else {} for value in values]
    columns: list[Column] = []
    for name in sorted(counts, key=lambda name: (not tells_outcome(name), -counts[name]))[:COLUMNS_MAX]:
        inner = list(map(itemgetter(name), rows)) if counts[name] == len(rows) else [row.get(name) for row in rows]
        if depth and dict in set(map(type, inner)):
            columns += _of_objects(inner, depth - 1)
            inner = [None if type(each) is dict else each for each in inner]
            if all(each is None for each in inner):
                continue
        columns.append(Column(name, _cells(inner)))
    return columns


def _stay(values: list[Any]) -> bool:
    """Whether values are scalars, none of them long enough to be looked into."""
    types = set(map(type, values))
    if dict in types or list in types:
        return False
    return str not in types or all(type(value) is not str or len(value) < OPAQUE_CHARS_MIN for value in values)


def _cells(values: list[Any]) -> list[str]:
    types = set(map(type, values))
    if types <= _TEXTS:
        return values
    return list(map(_PLAIN.get, values, values)) if types <= _SCALARS else list(map(_cell, values))


def _cell(value: Any) -> str:
    if type(value) is str or type(value) is Number:
        return value
    if value is None:
        return ""
    return repr(value) if type(value) is dict or type(value) is list else scalar(value)


def _are_objects(values: list[Any]) -> bool:
    return all(type(value) is dict for value in values)


def _are_scalars(values: list[Any]) -> bool:
    return not any(type(value) is dict or type(value) is list for value in values)


def _with_marks(values: list[Any], kept: bytearray) -> list[Any]:
    left: list[Any] = []
    for keeps, start, end in gaps.runs(kept):
        left += values[start:end] if keeps else [gaps.mark(start + 1, end, "items")]
    return left


JSON_ROWS = Reducer("json-rows", reduce)
