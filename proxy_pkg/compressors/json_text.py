"""A text inside a JSON document, as tools that wrap their output send it: the text itself, without escapes.

    [… in {"output":…,"metadata":{"exit_code":0}} is the text below]
    total 12
    drwxr-xr-x ...

Where the text is JSON again, its values stand below as json_table.py writes them, and the header says how it
was spelled: `compact`, `spaced` (a blank after each comma and colon), or `indented` by a number of blanks.
"""

from json.encoder import encode_basestring  # noqa: TID251  quotes as others wrote them
from typing import Any

from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.json_table import write
from proxy_pkg.compressors.json_values import read, scalar
from proxy_pkg.compressors.legend import with_legend
from proxy_pkg.model import Grade

MARK = "…"
TEXT_CHARS_MIN = 80
TEXT_SHARE = 2
"""The text takes at least one in so many characters of its document."""
QUOTE_CHARS_MIN = 20
REST_CHARS = 1000
"""A document around a text has a quote in so many characters or fewer, but for so many characters of its own."""
DEPTH_MAX = 6

SPELLINGS = ("compact", "spaced", "indented 2", "indented 4")


def compress(text: str) -> str | None:
    """Return the text in the JSON document `text` below the rest of it; None if it holds no such text."""
    if text.lstrip()[:1] not in ("{", "[") or not _may_hold_a_text(text):
        return None
    try:
        values = read(text)
        inner = _largest(values, DEPTH_MAX) if len(values) == 1 else ""
        if len(inner) < TEXT_CHARS_MIN or len(inner) * TEXT_SHARE < len(text):
            return None
        outer = _outer(values[0], inner, DEPTH_MAX)
        result = _result(outer, inner)
        result.encode()
    except (ValueError, RecursionError):
        return None
    return result if outer.count(MARK) == 1 and len(result) < len(text) else None


def _may_hold_a_text(text: str) -> bool:
    """Tell, at small cost, whether most of a JSON document may be one string with escapes in it."""
    strings = text.count('"') - text.count('\\"')
    return "\\" in text and strings * QUOTE_CHARS_MIN <= len(text) + REST_CHARS


def _result(outer: str, inner: str) -> str:
    spelling, below = _as_values(inner) if inner[:1] in ("{", "[") else ("", "")
    if spelling:
        below = with_legend(below, len(inner) - len(below))
        return f"[{MARK} in {outer} is the JSON below, {spelling}]\n{below}"
    return f"[{MARK} in {outer} is the text below]\n{inner}"


def _as_values(inner: str) -> tuple[str, str]:
    """Return how the JSON document `inner` is spelled, and what json_table makes of it; empty if that is unknown."""
    try:
        values = read(inner)
        below = write(values, keeps_order=True)
    except ValueError:
        return "", ""
    spellings = SPELLINGS if len(values) == 1 else ()
    usual = [each for each in spellings if each.startswith("indented") == (inner[1:2] == "\n")]
    return next(((each, below) for each in usual if spell(values[0], each) == inner), ("", ""))


def _largest(value: Any, depth: int) -> str:
    """Return the longest string that is a value in `value`."""
    if type(value) is str:
        return value
    if not depth or type(value) not in (dict, list):
        return ""
    inside = value.values() if type(value) is dict else value
    return max((_largest(each, depth - 1) for each in inside), key=len, default="")


def _outer(value: Any, inner: str, depth: int) -> str:
    """Return `value` as JSON with MARK where `inner` stands."""
    if type(value) is str and value == inner:
        return MARK
    if type(value) is dict:
        pairs = [f"{encode_basestring(name)}:{_outer(each, inner, depth - 1)}" for name, each in value.items()]
        return "{" + ",".join(pairs) + "}"
    if type(value) is list:
        return "[" + ",".join([_outer(each, inner, depth - 1) for each in value]) + "]"
    return scalar(value)


def spell(value: Any, spelling: str) -> str:
    """Return `value` as JSON in one of the usual spellings."""
    indent = int(spelling[-1]) if spelling[-1].isdigit() else 0
    colon = ":" if spelling == "compact" else ": "
    comma = ", " if spelling == "spaced" else ","
    return _spell(value, comma, colon, indent, "\n" if indent else "")


def _spell(value: Any, comma: str, colon: str, indent: int, line: str) -> str:
    if type(value) is dict:
        inside = [
            f"{encode_basestring(k)}{colon}{_spell(v, comma, colon, indent, line + ' ' * indent)}"
            for k, v in value.items()
        ]
    elif type(value) is list:
        inside = [_spell(each, comma, colon, indent, line + " " * indent) for each in value]
    else:
        return scalar(value)
    start, end = "{}" if type(value) is dict else "[]"
    if not inside:
        return start + end
    inner = line + " " * indent
    return start + inner + (comma + inner).join(inside) + line + end


JSON_TEXT = Compressor("json-text", Grade.VALUE_EQUAL, compress, version=2)
