"""Where in a text a JSON document stands, or a value as Python writes it, with a few words above and below."""

import re
from collections.abc import Iterator

import msgspec
from msgspec import Struct

BODY_CHARS_MIN = 120
"""A shorter document is not looked for."""
_STARTS_MAX, _ENDS_MAX = 3, 3

_START = re.compile(r"""\[\s{0,40}(?:[{\["']|\Z)|\{\s{0,40}["']""")
_ABOVE = re.compile(r"[^\n\[{]{0,200}[:=] ")
_END = re.compile(r"[}\]](?=[ \t]*\r?\n|[ \t]*\Z)")
_PYTHON = ("{'", "[{'", "['", "[['")
_CLOSING = {"{": "}", "[": "]"}


class Found(Struct, frozen=True):
    """Where a document begins, and where it ends."""

    start: int
    end: int


def find(text: str, head_chars: int, tail_chars: int) -> Found | None:
    """Return where the document stands that takes most of `text`; None if it has none, or if it is all of it.

    It begins in the first `head_chars` and ends in the last `tail_chars` characters. Few places are tried.
    """
    if text[:1] in _CLOSING and text.rstrip()[-1:] == _CLOSING[text[0]] and _START.match(text):
        return None
    ends: list[int] | None = None
    for tried, start in enumerate(_starts(text, head_chars)):
        if tried == _STARTS_MAX:
            break
        ends = _ends(text, tail_chars) if ends is None else ends
        for end in ends:
            if end - start >= BODY_CHARS_MIN and is_one(text[start:end]):
                return Found(start, end)
    return None


def is_python(text: str) -> bool:
    """Tell whether `text` begins like a list or dictionary as Python writes it, in one line, and no JSON document."""
    return text.startswith(_PYTHON) and "\n" not in text


def is_one(text: str) -> bool:
    """Tell whether `text` is a JSON document, several in lines, or begins and ends like a value of Python."""
    if is_python(text):
        return text[-1] == _CLOSING[text[0]]
    try:
        data = text.encode()
        try:
            msgspec.json.decode(data)
        except msgspec.DecodeError:
            return "}\n{" in text and bool(msgspec.json.Decoder().decode_lines(data))
    except (ValueError, RecursionError):
        return False
    return True


def _starts(text: str, chars: int) -> Iterator[int]:
    """Yield where a document may begin: the text, a line of it, or what follows a name and a colon in its first."""
    first = _ABOVE.match(text)
    if _START.match(text):
        yield 0
    elif first is not None and _START.match(text, first.end()):
        yield first.end()
    opened = {mark: text.find(mark, 0, chars) for mark in ("\n[", "\n{")}
    while any(at >= 0 for at in opened.values()):
        at, mark = min((at, mark) for mark, at in opened.items() if at >= 0)
        if _START.match(text, at + 1):
            yield at + 1
        opened[mark] = text.find(mark, at + 1, chars)


def _ends(text: str, chars: int) -> list[int]:
    """Return the last ends of lines that a document may end in, the last one first."""
    found = [each.end() for each in _END.finditer(text, max(0, len(text) - chars))]
    return [*found[-_ENDS_MAX + 1 :][::-1], *found[:1]] if len(found) > _ENDS_MAX else found[::-1]
