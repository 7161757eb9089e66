"""JSON values read without loss, and written as cells.

Numbers keep their spelling, so `1.0`, `1e5` and 30 digits survive. What JSON leaves open (a key given twice,
NaN, half a surrogate pair) is refused.
"""

import re
from collections.abc import Collection, Iterable
from json import JSONDecoder  # noqa: TID251  msgspec merges equal keys and spells numbers anew
from json.encoder import encode_basestring  # noqa: TID251  its twin: quotes without \u escapes
from typing import Any, NoReturn

ABSENT = "absent"
"""Stands for a missing key where an empty cell means something else."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_BARE_CELL = re.compile(r"[^\s,\"#\[\]{}\x00-\x1f\x7f](?:[^,\x00-\x1f\x7f]*[^\s,\x00-\x1f\x7f])?")
_WORDS = frozenset(("null", "true", "false", ABSENT))
_NUMERIC = frozenset("-0123456789")
_NEEDS_QUOTES = re.compile('\0[\0 "#\\[\\]{}]')
_MAY_NEED_QUOTES = re.compile('\0[\0 "#\\[\\]{}0-9-]')
_QUOTED_TEXT_CELL = re.compile(rf"\0(?!{_BARE_CELL.pattern}(?:\0|\Z))([^\0]*+)")
_QUOTED_CELL = re.compile(
    rf"\0(?:(?=(?:{'|'.join(sorted(_WORDS))}|{_NUMBER.pattern})(?:\0|\Z))|(?!{_BARE_CELL.pattern}(?:\0|\Z)))([^\0]*+)"
)
_SPACE = re.compile(r"[ \t\r\n]*")
_WORDS = frozenset(("null", "true", "false", ABSENT))
LITERALS = {None: "null", True: "true", False: "false"}


class Number(str):
    """A JSON number as it was spelled."""

    __slots__ = ()


def read(text: str) -> list[Any]:
    """Return the JSON values in `text`, one after the other; ValueError if it holds anything else."""
    values = []
    at = _end_of_space(text, 0)
    while at < len(text):
        value, at = _DECODER.raw_decode(text, at)
        values.append(value)
        end = _end_of_space(text, at)
        if end == at < len(text):
            raise ValueError("values without space between them")
        at = end
    return values


def scalar(value: Any) -> str:
    """Return a string, number or literal as JSON."""
    if type(value) is str:
        return encode_basestring(value)
    return value if type(value) is Number else LITERALS[value]


def cell(value: Any) -> str:
    """Return a string, number or literal as a cell among others of all types."""
    if type(value) is str:
        bare = _BARE_CELL.fullmatch(value) and value not in _WORDS
        return value if bare and not (value[0] in _NUMERIC and _NUMBER.fullmatch(value)) else encode_basestring(value)
    return value if type(value) is Number else LITERALS[value]


def cells(words: Iterable[str]) -> list[str]:
    """Return strings as cells among values of all types."""
    words = list(words)
    different = set(words)
    if _are_bare(different, _MAY_NEED_QUOTES) and _WORDS.isdisjoint(different):
        return words
    if len(different) * 2 > len(words):
        return _spelled(words, _QUOTED_CELL)
    found = list(different)
    return list(map(dict(zip(found, _spelled(found, _QUOTED_CELL), strict=True)).__getitem__, words))


def text_cells(words: Iterable[str]) -> list[str]:
    """Return strings as cells of a column that holds nothing else: what looks like a number needs no quotes."""
    words = list(words)
    return words if _are_bare(words, _NEEDS_QUOTES) else _spelled(words, _QUOTED_TEXT_CELL)


def _are_bare(words: Collection[str], quoted: re.Pattern[str]) -> bool:
    """Tell of strings all at once whether none needs quotes; `quoted` finds starts of those that may need them."""
    joined = "\0".join(("", *words))
    if "," in joined or " \0" in joined or joined[-1:] in (" ", "\0") or joined.count("\0") != len(words):
        return False
    return quoted.search(joined) is None and joined.replace("\0", "").isprintable()


def _spelled(words: list[str], quoted: re.Pattern[str]) -> list[str]:
    """Return `words` with quotes around those that `quoted` matches behind a zero."""
    joined = "\0".join(("", *words))
    if joined.count("\0") != len(words):
        return [encode_basestring(word) if "\0" in word or quoted.match("\0" + word) else word for word in words]
    return quoted.sub(lambda found: "\0" + encode_basestring(found[1]), joined).split("\0")[1:]


def _end_of_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key twice")
    return made


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


_DECODER = JSONDecoder(object_pairs_hook=_object, parse_float=Number, parse_int=Number, parse_constant=_refuse)
