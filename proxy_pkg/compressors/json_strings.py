"""One string that takes most of a JSON document, and the document around it.

    [{"type":"text","text":"total 12\\ndrwxr-xr-x …"}]

The string is read out of the document, and another is written in its place in the same spelling. All other bytes of
the document stay. A string that is spelled in another way than its own writer would does not count. What Python
writes is read likewise:

    [TextContent(type='text', text='total 12\\ndrwxr-xr-x …', annotations=None)]
"""

import ast
import re
from collections.abc import Iterator
from json import JSONDecoder  # noqa: TID251  reads one string out of a text, and says where it ends
from json.encoder import encode_basestring, encode_basestring_ascii  # noqa: TID251  quotes as others wrote them

import msgspec
from msgspec import Struct

SHARE = 2
"""The string takes at least one in so many characters of its document."""
REST_CHARS_MAX = 4096
"""So much of the document may stand around the string."""

_LONG_CHARS_MIN = 400
"""A string from this length on is looked into."""

LITERAL = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_PYTHON_LITERAL = re.compile(r"""'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+'|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+\"""")
_PYTHON_QUOTE_CHARS = 64
_OPENINGS = ("{", "[", "meta=None content=[", "content=[")
_BEFORE_PYTHON_VALUE = re.compile(r"(?:['\"]: |[\[(]|, |[a-z]=)\Z")
_AFTER_PYTHON_VALUE = re.compile(r"[,}\])]")
_AFTER_VALUE = re.compile(r"\s*+(?:[,}\]]|\Z)")
_DECODER = JSONDecoder()


class Quoted(Struct, frozen=True):
    """A document but for one string: `head` ends before its quote, `tail` begins behind it."""

    head: str
    tail: str
    is_ascii: bool = False
    is_python: bool = False

    def around(self, text: str) -> str:
        """Return the document with `text` as its string."""
        literal = repr(text) if self.is_python else quote(text, is_ascii=self.is_ascii)
        return self.head + literal + self.tail


def long_ones(document: str) -> Iterator[re.Match[str]]:
    """Yield the long strings of a JSON document that are values, in order; none if it is no document."""
    if document[:1] not in ("{", "[") or not _may_have_long_one(document):
        return
    found = [each for each in LITERAL.finditer(document) if each.end() - each.start() >= _LONG_CHARS_MIN]
    if found and is_document(document):
        yield from (each for each in found if _AFTER_VALUE.match(document, each.end()))


def _may_have_long_one(document: str) -> bool:
    """Tell, at small cost, whether a string without quotes in it is long; or whether any has quotes in it."""
    return '\\"' in document or max(map(len, document.split('"'))) + 2 >= _LONG_CHARS_MIN


def quote(text: str, *, is_ascii: bool) -> str:
    """Return `text` as a JSON string, with escapes for all that is not ASCII or without."""
    return encode_basestring_ascii(text) if is_ascii else encode_basestring(text)


def split(document: str) -> tuple[Quoted, str] | None:
    """Return what stands around the string that takes most of `document`, and the string; None if there is none."""
    if not document.startswith(_OPENINGS):
        return None
    found = _split_json(document)
    return _split_python(document) if found is None and "'" in document[:_PYTHON_QUOTE_CHARS] else found


def _split_json(document: str) -> tuple[Quoted, str] | None:
    found = _largest(document, LITERAL)
    if found is None:
        return None
    head, tail = document[: found.start()], document[found.end() :]
    if not _AFTER_VALUE.match(tail) or _has_long_one(head) or _has_long_one(tail):
        return None
    read = unquote(found[0])
    if read is None or not is_document(f'{head}""{tail}'):
        return None
    return Quoted(head, tail, is_ascii=read[1]), read[0]


def _has_long_one(text: str) -> bool:
    return any(found.end() - found.start() >= _LONG_CHARS_MIN for found in LITERAL.finditer(text))


def _split_python(document: str) -> tuple[Quoted, str] | None:
    found = _largest(document, _PYTHON_LITERAL)
    if found is None:
        return None
    head, literal, tail = document[: found.start()], found[0], document[found.end() :]
    if not (_BEFORE_PYTHON_VALUE.search(head[-80:]) and _AFTER_PYTHON_VALUE.match(tail)):
        return None
    try:
        text = ast.literal_eval(literal)
        text.encode()
    except (ValueError, SyntaxError, MemoryError):
        return None
    return (Quoted(head, tail, is_python=True), text) if repr(text) == literal else None


def _largest(document: str, literal: re.Pattern[str]) -> re.Match[str] | None:
    """Return the string that takes most of `document`, looked for near its start; None if none does."""
    size = len(document)
    for found in literal.finditer(document):
        if found.start() > REST_CHARS_MAX:
            return None
        if found.end() * 2 > size:
            is_most = len(found[0]) * SHARE >= size and size - len(found[0]) <= REST_CHARS_MAX
            return found if is_most else None
    return None


def unquote(literal: str) -> tuple[str, bool] | None:
    """Return the string that `literal` holds, and whether it is spelled in ASCII; None if it is spelled otherwise."""
    try:
        text, end = _DECODER.raw_decode(literal)
        text.encode()
    except (ValueError, AttributeError):  # no JSON string, or half of a surrogate pair
        return None
    if end != len(literal):
        return None
    return next(((text, is_ascii) for is_ascii in (False, True) if quote(text, is_ascii=is_ascii) == literal), None)


def is_document(text: str) -> bool:
    """Tell whether `text` is one JSON document."""
    try:
        msgspec.json.decode(text.encode())
    except (ValueError, RecursionError):
        return False
    return True
