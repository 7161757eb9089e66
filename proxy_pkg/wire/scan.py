"""Find where values lie in a JSON body, without changing or judging the body.

A body is only ever cut at the positions found here; it is never written out again from parsed values, so
spelling, order, duplicates and unknown fields survive. Two ways lead to the same positions: msgspec, fast and
strict, and the scanner of the standard library, slower and tolerant (lone surrogates, NaN, control characters).
What neither can cut raises ScanError, and the caller sends the body as it came.
"""

import re
from contextlib import suppress
from functools import cache
from json import JSONDecoder
from typing import Any

import msgspec

from proxy_pkg.errors import ScanError
from proxy_pkg.wire.joining import PIECE_BYTES, holds_at, joined

Path = tuple[str | int, ...]
"""Keys and indexes that lead from a value to one inside it."""

# Bytes read as latin-1 keep one character for each byte, so positions in the text are positions in the body.
# Numbers stay text: a long one costs nothing and is never refused.
_tolerant = JSONDecoder(strict=False, parse_int=str, parse_float=str)
_skip_value = _tolerant.raw_decode
_blank = re.compile(r"[ \t\n\r]*").match
_blank_bytes = re.compile(rb"[ \t\n\r]*").match
_comma = re.compile(rb"[ \t\n\r]*,").match
_array_end = re.compile(rb"[ \t\n\r]*\]").match

_read_object = JSONDecoder(strict=False, parse_float=str).raw_decode

_HEAD_BYTES = 64 << 10
_HEAD_GROWTH = 16

_CUT_ERRORS = (StopIteration, ValueError, IndexError, RecursionError)


def split(body: bytes, *keys: str) -> tuple[int, list[bytes]]:
    """Cut the array that `keys` lead to into its elements: a key of the body, or keys of objects inside each other.

    Returns the offset of the array's first byte after `[`, and each element's bytes together with the blanks
    and comma before it, so that the parts laid end to end are a contiguous range of the body.
    Raises ScanError if the body is not an object, has no such array, or has one of the keys twice.
    """
    try:
        return _split_strict(body, *keys)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ScanError):
        return _split_tolerant(body, *keys)


def text_at(body: bytes, key: str) -> str:
    """The text at the top-level `key` of an object; empty if there is none, or the body cannot be read."""
    try:
        value = _text_decoder(key).decode(body).text
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        value = _text_tolerant(body, key)
    return value if isinstance(value, str) else ""


def object_at(data: bytes, start: int, bytes_max: int) -> dict[str, Any] | None:
    """The object that begins at `start`, whatever follows it; None if it is none, or does not end in `bytes_max`.

    Numbers with a fraction are text.
    """
    try:
        value, _ = _read_object(data[start : start + bytes_max].decode("latin-1"))
    except _CUT_ERRORS:
        return None
    return value if isinstance(value, dict) else None


def locate(element: bytes, paths: list[Path]) -> dict[Path, tuple[int, int]]:
    """Byte offsets (start, end) in `element`, an object, of the value at each of `paths`.

    Paths that lead nowhere are left out. Raises ScanError if a key on a path stands twice in its object, since
    readers differ in which of the two they take.
    """
    tree: dict[Any, Any] = {}
    for path in paths:
        node = tree
        for step in path:
            node = node.setdefault(step, {})
    found: dict[Path, tuple[int, int]] = {}
    text = element.decode("latin-1")
    try:
        _walk(text, _after_blanks(text, 0), tree, (), found)
    except _CUT_ERRORS as error:
        raise ScanError(f"cannot follow a path: {error}") from error
    return found


def parse(element: bytes) -> Any:
    """The value of a JSON text as Python objects, for reading only. Raises ScanError."""
    try:
        return msgspec.json.decode(element)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass  # lone surrogates, NaN and the like: the tolerant reader knows them
    try:
        return _tolerant.decode(element.decode())
    except _CUT_ERRORS as error:
        raise ScanError(f"the element cannot be read: {error}") from error


def _after_blanks(text: str, position: int) -> int:
    return _blank(text, position).end()  # type: ignore[union-attr]  # the pattern matches everywhere


@cache
def _decoder(keys: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    kind: Any = list[msgspec.Raw]
    for key in reversed(keys):
        kind = msgspec.defstruct("Held", [("held", kind, msgspec.field(name=key))])
    return msgspec.json.Decoder(kind)


@cache
def _text_decoder(key: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(msgspec.defstruct("Texts", [("text", Any, msgspec.field(name=key, default=""))]))


def _text_tolerant(body: bytes, key: str) -> Any:
    """Of a key that stands twice, the last value counts, as it does for most readers."""
    text = body.decode("latin-1")
    found: Any = ""
    try:
        position = _object_start(text, _after_blanks(text, 0))
        while text[position] == '"':
            name, position = _key(text, position)
            value, position = _skip_value(text, position)
            if name == key:
                found = value
            position = _next_member(text, position)
    except (*_CUT_ERRORS, ScanError):
        return ""
    return found


def _split_strict(body: bytes, *keys: str) -> tuple[int, list[bytes]]:
    elements: Any = _decoder(keys).decode(body)
    for _ in keys:
        elements = elements.held
    first = position = _early_array_start(body, keys)
    parts: list[bytes] = []
    for raw in elements:
        element = memoryview(raw)
        start = position if body.startswith(b"{", position) else _next_element(body, position, first)
        end = start + len(element)
        # A key that stands twice would have shown us the other array: cut only where the bytes agree.
        if not _stands_at(body, start, element):
            raise ScanError(f"the elements of {keys[-1]!r} are not where they should be")
        parts.append(_part(body, position, end))
        position = end
    if not _array_end(body, position):
        raise ScanError(f"{keys[-1]!r} does not end where it should")
    return first, parts


def _next_element(body: bytes, position: int, first: int) -> int:
    if position != first:
        if (comma := _comma(body, position)) is None:
            raise ScanError("two elements without a comma between them")
        position = comma.end()
    return _blank_bytes(body, position).end()  # type: ignore[union-attr]  # the pattern matches everywhere


def _stands_at(body: bytes, start: int, element: memoryview) -> bool:
    if len(element) <= PIECE_BYTES:
        return body.startswith(element, start)
    return holds_at(memoryview(body), start, element)


def _part(body: bytes, start: int, end: int) -> bytes:
    return body[start:end] if end - start <= PIECE_BYTES else joined((memoryview(body)[start:end],))


def _early_array_start(body: bytes, keys: tuple[str, ...]) -> int:
    """As `_array_start`; of a large body only as much becomes text as comes before the array."""
    size = _HEAD_BYTES
    while size < len(body):
        # A text that is cut off inside a value is an error, never another position.
        with suppress(ScanError):
            return _array_start(body[:size].decode("latin-1"), keys)
        size *= _HEAD_GROWTH
    return _array_start(body.decode("latin-1"), keys)


def _split_tolerant(body: bytes, *keys: str) -> tuple[int, list[bytes]]:
    text = body.decode("latin-1")
    parts: list[bytes] = []
    try:
        first = position = _array_start(text, keys)
        while text[start := _after_blanks(text, position)] != "]":
            start = _element_start(text, position, first)
            _, end = _skip_value(text, start)
            parts.append(body[position:end])
            position = end
        _check_rest(text, start + 1, keys)
    except _CUT_ERRORS as error:
        raise ScanError(f"cannot cut {keys[-1]!r} into elements: {error}") from error
    return first, parts


def _element_start(text: str, position: int, first: int) -> int:
    start = _after_blanks(text, position)
    if position == first:
        return start
    if text[start] != ",":
        raise ScanError("two elements without a comma between them")
    return _after_blanks(text, start + 1)


def _array_start(text: str, keys: tuple[str, ...]) -> int:
    """Where the first element of the array that `keys` lead to may begin."""
    try:
        position = _after_blanks(text, 0)
        for key in keys:
            position = _member_value(text, position, key)
        if text[position] != "[":
            raise ScanError(f"{keys[-1]!r} is not an array")
    except _CUT_ERRORS as error:
        raise ScanError(f"the body cannot be read: {error}") from error
    return position + 1


def _member_value(text: str, position: int, key: str) -> int:
    """Where the value of `key` begins, in the object at `position`."""
    position = _object_start(text, position)
    while text[position] == '"':
        name, position = _key(text, position)
        if name == key:
            return position
        _, position = _skip_value(text, position)
        position = _next_member(text, position)
    raise ScanError(f"the body has no {key!r}")


def _object_start(text: str, position: int) -> int:
    """Where the first key of the object at `position` may begin."""
    if text[position] != "{":
        raise ScanError("the body is not an object, or what should be one inside it is not")
    return _after_blanks(text, position + 1)


def _check_rest(text: str, position: int, keys: tuple[str, ...]) -> None:
    """Read the members after the array to the end of the body; none of the keys may come again."""
    for key in reversed(keys):
        position = _next_member(text, position)
        while text[position] == '"':
            name, position = _key(text, position)
            if name == key:
                raise ScanError(f"{key!r} stands twice")
            _, position = _skip_value(text, position)
            position = _next_member(text, position)
        if text[position] != "}":
            raise ScanError("an object does not end where it should")
        position += 1
    if _after_blanks(text, position) != len(text):
        raise ScanError("the body does not end where its object does")


def _key(text: str, position: int) -> tuple[str, int]:
    """The key that begins at the quote at `position`, and where its value begins."""
    name, position = _skip_value(text, position)
    position = _after_blanks(text, position)
    if text[position] != ":":
        raise ScanError("a key without a colon")
    return name, _after_blanks(text, position + 1)


def _next_member(text: str, position: int) -> int:
    """Where the next key's quote is, or the closing brace if none follows."""
    position = _after_blanks(text, position)
    if text[position] != ",":
        return position
    position = _after_blanks(text, position + 1)
    if text[position] != '"':
        raise ScanError("a comma without a member after it")
    return position


def _walk(text: str, position: int, tree: dict[Any, Any], path: Path, found: dict[Path, tuple[int, int]]) -> int:
    """Follow `tree` through the value at `position`; returns where the value ends."""
    if tree and text[position] == "{":
        return _walk_object(text, position, tree, path, found)
    if tree and text[position] == "[":
        return _walk_array(text, position, tree, path, found)
    _, end = _skip_value(text, position)
    if not tree:
        found[path] = (position, end)
    return int(end)


def _walk_object(text: str, position: int, tree: dict[Any, Any], path: Path, found: dict[Path, tuple[int, int]]) -> int:
    seen: set[str] = set()
    position = _after_blanks(text, position + 1)
    while text[position] == '"':
        name, position = _key(text, position)
        if name not in tree:
            _, position = _skip_value(text, position)
        elif name in seen:
            raise ScanError(f"{name!r} stands twice")
        else:
            seen.add(name)
            position = _walk(text, position, tree[name], (*path, name), found)
        position = _next_member(text, position)
    return position + 1


def _walk_array(text: str, position: int, tree: dict[Any, Any], path: Path, found: dict[Path, tuple[int, int]]) -> int:
    first = position = position + 1
    index = 0
    while text[_after_blanks(text, position)] != "]":
        position = _element_start(text, position, first)
        if index in tree:
            position = _walk(text, position, tree[index], (*path, index), found)
        else:
            _, position = _skip_value(text, position)
        index += 1
    return _after_blanks(text, position) + 1
