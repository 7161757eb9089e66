"""Whether what is sent can be read as what came, with all that stood around it: written from the notations alone."""

import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.compressors import inverses
from tests.compressors.inverse_lines import lines
from tests.compressors.inverse_tables import SPELLINGS, Number, json_sent, json_table, json_values, spelled

_SPELLED = re.compile(r"\[JSON(?: lines)? below, (compact|spaced|indented [24])(, in ASCII)?\]\n")
_BELOW = re.compile(r"\[… in (.*) is the text below\]\n")
_PYTHON_CALL = re.compile(r"[A-Za-z_][\w.]*\([^\n]*\)")
_ERRORS = (AssertionError, ValueError, LookupError, AttributeError, TypeError, RecursionError)


def json_spelled(text: str) -> str:
    """Return the text that `compressors.spelled` was given, of JSON."""
    found = _SPELLED.match(text)
    assert found
    below = text[found.end() :].rstrip("\n")
    values = json_table(below)
    options = SPELLINGS[found[1]] | ({"ensure_ascii": True} if found[2] else {})
    documents = values if isinstance(values, tuple) else (values,)
    return "\n".join(spelled(value, options) for value in documents) + text[found.end() + len(below) :]


def python(text: str) -> str:
    """Return the text that `compressors.spelled` was given, of Python."""
    header, below = text.split("\n", 1)
    assert header == "[Python below]"
    return _python(json_table(below))


def _python(value: Any) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{_python(name)}: {_python(each)}" for name, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_python, value)) + "]"
        case Number():
            return str.__str__(value)
        case str() if _PYTHON_CALL.fullmatch(value):
            return value
    return repr(value)


def reads_as(before: str, sent: str) -> bool:
    """Whether a reader of `sent` has `before`: its bytes, or its values where JSON was written as a table."""
    if before == sent or any(_undone(inverse, sent) == before for inverse in _all()):
        return True
    if below := _BELOW.match(sent):
        return _holds(_undone(json_values, before), json.loads(below[1].replace("…", '"…"')), sent[below.end() :])
    values = _undone(json_values, before)
    if values is not None and _same(values, _undone(json_sent, sent)):
        return True
    return _inside(before, sent)


def _undone(inverse: Callable[[str], Any], text: str) -> Any:
    try:
        return inverse(text)
    except _ERRORS:
        return None


def _all() -> list[Callable[[str], Any]]:
    names = ("delimited", "padded", "search", "paths", "tree", "records", "reports", "ruled", "go_test", "diff")
    stems = sorted(path.stem for path in Path(__file__).parent.glob("inverse*.py"))
    modules = [importlib.import_module(f"tests.compressors.{stem}") for stem in stems]
    named = [getattr(module, name) for module in modules for name in names if hasattr(module, name)]
    return [inverses.numbered, lines, json_spelled, python, *named]


def _holds(value: Any, outer: Any, below: str) -> bool:
    """Whether `value` is `outer` with what `below` reads as where a … stands."""
    if outer == "…":
        return isinstance(value, str) and reads_as(value, below)
    if isinstance(value, dict) and isinstance(outer, dict):
        return list(value) == list(outer) and all(_holds(value[name], outer[name], below) for name in value)
    if isinstance(value, list) and isinstance(outer, list):
        return len(value) == len(outer) and all(_holds(*pair, below) for pair in zip(value, outer, strict=True))
    return json.loads(value) == outer if isinstance(value, Number) else bool(value == outer)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal, or their texts read as the other."""
    if type(one) is str and type(other) is str:
        return one == other or (len(one) > len(other) and reads_as(one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    return type(one) is type(other) and bool(one == other)


def _inside(before: str, sent: str) -> bool:
    """Whether the two differ in one place only, which lies between whole lines or between two quotes."""
    first = next((at for at, pair in enumerate(zip(before, sent, strict=False)) if pair[0] != pair[1]), 0)
    back = zip(reversed(before[first:]), reversed(sent[first:]), strict=False)
    last = next((at for at, pair in enumerate(back) if pair[0] != pair[1]), 0)
    for start in [at + 1 for at in range(first - 1, -1, -1) if sent[at] in "\n "][:12]:
        for end in [at for at in range(last + 1) if not at or sent[-at] in "\n\r"][-12:]:
            if (start or end) and reads_as(before[start : len(before) - end], sent[start : len(sent) - end]):
                return True
    return False
