"""Records as a table from which the text comes back byte for byte: the header says how it was spelled.

    [JSON below, indented 2]
    [60 rows: id,customer,region
    …

`compact`, `spaced` and `indented` are those of json_text.py; `in ASCII` follows where all else is escaped. A list or
dictionary as Python writes it (`repr`) is read as well; what is no literal there stands as it came:

    [Python below]
    [60 rows: id,amount,notes
    1000,Decimal('117.35'),null

There null, true and false are None, True and False.
"""

import ast
import re
from json.encoder import encode_basestring_ascii  # noqa: TID251  quotes as others wrote them
from typing import Any

from proxy_pkg.compressors import documents
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.json_table import write
from proxy_pkg.compressors.json_text import SPELLINGS, spell
from proxy_pkg.compressors.json_values import Number, read
from proxy_pkg.compressors.legend import with_legend
from proxy_pkg.model import Grade

_HEADER_CHARS = 40
_TABLE = re.compile(r"[\[{][0-9]+ (?:rows|JSON lines): ")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7e]")
_STRING = r"""'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+'|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+\""""
_INNER = rf"(?:[^()'\"\n]|{_STRING})"
_CALL = rf"[A-Za-z_][\w.]{{0,80}}+\((?:{_INNER}|\({_INNER}*+\))*+\)"
_TOKEN = re.compile(
    rf"(?P<text>{_STRING})|(?P<call>{_CALL})|(?P<word>True|False|None)(?!\w)"
    r"|(?P<number>-?[0-9]++(?:\.[0-9]++)?+(?:e[+-]?[0-9]++)?+)(?![\w.])|(?P<mark>[\[\]{}]|, |: )|(?P<other>.)",
    re.DOTALL,
)
_IS_CALL = re.compile(_CALL)
_WORDS = {"True": "true", "False": "false", "None": "null"}
_PYTHON_WORDS = {None: "None", True: "True", False: "False"}


def compress_json(text: str) -> str | None:
    """Return the JSON in `text`, one document or lines, as a table; None if its spelling would be lost."""
    if text[:1] not in ("{", "["):
        return None
    body = text.rstrip("\n")
    try:
        values = read(body)
        spelling = _spelling(body, values)
        below = write(values, keeps_order=True) if spelling else ""
    except (ValueError, RecursionError):
        return None
    noun = "JSON" if len(values) == 1 else "JSON lines"
    return _with_header(f"[{noun} below, {spelling}]", below, text[len(body) :], text)


def compress_python(text: str) -> str | None:
    """Return the list or dictionary in `text`, as Python writes it, as a table; None if it would not come back."""
    if not documents.is_python(text):
        return None
    try:
        values = read(_TOKEN.sub(_as_json, text))
        below = write(values, keeps_order=True) if len(values) == 1 and _python(values[0]) == text else ""
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return _with_header("[Python below]", below, "", text)


def _with_header(header: str, below: str, end: str, text: str) -> str | None:
    if not _TABLE.search(below):
        return None
    result = f"{header}\n{with_legend(below, len(text) - len(below))}{end}"
    try:
        result.encode()
    except ValueError:  # half of a surrogate pair
        return None
    return result if len(result) + _HEADER_CHARS < len(text) else None


def _spelling(text: str, values: list[Any]) -> str:
    """Return the words for how `text` is spelled, empty if that is in none of the ways that are known."""
    usual = [each for each in SPELLINGS if each.startswith("indented") == (text[1:2] == "\n")]
    for spelling in usual:
        spelled = "\n".join([spell(value, spelling) for value in values])
        if spelled == text:
            return spelling
        if text.isascii() and _BEYOND_ASCII.sub(_escaped, spelled) == text:
            return f"{spelling}, in ASCII"
    return ""


def _escaped(found: re.Match[str]) -> str:
    return encode_basestring_ascii(found[0])[1:-1]


def _as_json(token: re.Match[str]) -> str:
    """Return one token of Python as JSON; ValueError if it has no like there."""
    found = token[0]
    match token.lastgroup:
        case "text":
            value = found[1:-1] if "\\" not in found else ast.literal_eval(found)
            return encode_basestring_ascii(value)
        case "call":
            return encode_basestring_ascii(found)
        case "word":
            return _WORDS[found]
        case "other":
            raise ValueError(found)
    return found


def _python(value: Any) -> str:
    """Return a value as Python writes it."""
    if type(value) is dict:
        return "{" + ", ".join([f"{_python(name)}: {_python(each)}" for name, each in value.items()]) + "}"
    if type(value) is list:
        return "[" + ", ".join([_python(each) for each in value]) + "]"
    if type(value) is Number:
        return str(value)
    if type(value) is str:  # a string that looks like a call loses its quotes here, so that its text does not come back
        return value if _IS_CALL.fullmatch(value) else repr(value)
    return _PYTHON_WORDS[value]


JSON_SPELLED = Compressor("json-spelled", Grade.INVERTIBLE, compress_json)
PYTHON = Compressor("python", Grade.INVERTIBLE, compress_python)
