"""Find where values lie in a JSON body, without changing or judging the body.

A body is only ever cut at the positions found here; it is never written out again from parsed values, so
spelling, order, duplicates and unknown fields survive. Two ways lead to the same positions: msgspec, fast and
strict, for bodies that it passes in a moment, and our own steps (skip.py), which hold the interpreter for a moment
only, however long the body is, and tolerate what providers may (lone surrogates, NaN, control characters).
What neither can cut raises ScanError, and the caller sends the body as it came.
"""

import re
from collections.abc import Iterator
from functools import cache
from json import JSONDecoder
from typing import Any, Final

import msgspec

from proxy_pkg.errors import ScanError
from proxy_pkg.wire.joining import PIECE_BYTES, holds_at, joined
from proxy_pkg.wire.skip import (
    after_blanks,
    broken,
    end_of_string,
    end_of_value,
    is_value,
    next_member,
    value_of_member,
)

Path = tuple[str | int, ...]
"""Keys and indexes that lead from a value to one inside it."""

_Tree = dict[Any, Any]
_Found = dict[Path, tuple[int, int]]

ELEMENTS_MAX: Final = 1 << 17
"""Of one array that is cut: each element costs memory of its own, and no conversation is that long."""

# Numbers stay text: a long one costs nothing and is never refused.
_tolerant = JSONDecoder(strict=False, parse_int=str, parse_float=str)
_blank_bytes = re.compile(rb"[ \t\n\r]*").match
_comma = re.compile(rb"[ \t\n\r]*,").match
_array_end = re.compile(rb"[ \t\n\r]*\]").match

_read_object = JSONDecoder(strict=False, parse_float=str).raw_decode

_OTHER_UNICODE = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_STRICT_BYTES_MAX = 256 << 10
_TOLERANT_BYTES_MAX = 256 << 10  # read in one call that holds the interpreter for up to 10 ms
_GUESSED_BYTES_MAX = 256 << 10
_SIGN_BYTES_MAX = 64
_MISSES_MAX = 64
_next_object = re.compile(rb'[ \t\n\r]*,[ \t\n\r]*\{[ \t\n\r]*"[^"\\]+"').match
_NAME_BYTES_MAX = 1024
_LONG_NAME = "a name that is too long to be one of ours\udfff"
_READ_ERRORS = (ValueError, IndexError, RecursionError)
_STRICT_ERRORS = (msgspec.MsgspecError, UnicodeError, RecursionError)


def split(body: bytes, *keys: str) -> tuple[int, list[bytes]]:
    """Cut the array that `keys` lead to into its elements: a key of the body, or keys of objects inside each other.

    Returns the offset of the array's first byte after `[`, and each element's bytes together with the blanks
    and comma before it, so that the parts laid end to end are a contiguous range of the body.
    Raises ScanError if the body is not an object, has no such array, or has one of the keys twice.
    """
    if len(body) <= _STRICT_BYTES_MAX:
        try:
            return _split_strict(body, *keys)
        except (*_STRICT_ERRORS, ScanError):
            pass  # the steps tolerate more, and know why a body cannot be cut
    return _split_in_steps(body, *keys)


def cut(body: bytes, *keys: str, after: int = 0) -> tuple[int, Iterator[bytes]]:
    """As `split`, but each element is cut when it is asked for, so that whoever needs no more can stop.

    `after`, if not 0, is where an element ends: what follows it is cut, and what stands before is not looked at.
    Raises ScanError as `split` does, perhaps only when it comes to what is wrong.
    """
    if len(body) - after > _STRICT_BYTES_MAX:
        first = after or _array_start(body, keys)
        return first, _in_steps(body, first, keys, is_inside=after > 0)
    if not after:
        first, parts = split(body, *keys)
        return first, iter(parts)
    opening = b"".join(b'{"%s":' % key.encode() for key in keys) + b"[{}"
    return after, iter(split(opening + body[after:], *keys)[1][1:])


def text_at(body: bytes, key: str) -> str:
    """The text at the top-level `key` of an object; empty if there is none, or the body cannot be read.

    Of a key that stands twice, the last value counts, as it does for most readers.
    """
    if len(body) <= _STRICT_BYTES_MAX:
        try:
            value = _text_decoder(key).decode(body).text
        except _STRICT_ERRORS:
            pass
        else:
            return value if isinstance(value, str) else ""
    return _text_in_steps(body, key)


def object_at(data: bytes, start: int, bytes_max: int) -> dict[str, Any] | None:
    """The object that begins at `start`, whatever follows it; None if it is none, or does not end in `bytes_max`.

    Numbers with a fraction are text.
    """
    try:
        value, _ = _read_object(data[start : start + bytes_max].decode("latin-1"))
    except (StopIteration, *_READ_ERRORS):
        return None
    return value if isinstance(value, dict) else None


def locate(element: bytes, paths: list[Path]) -> dict[Path, tuple[int, int]]:
    """Byte offsets (start, end) in `element`, an object, of the value at each of `paths`.

    Paths that lead nowhere are left out. Raises ScanError if a key on a path stands twice in its object, since
    readers differ in which of the two they take.
    """
    tree: _Tree = {}
    for path in paths:
        node = tree
        for step in path:
            node = node.setdefault(step, {})
    found: _Found = {}
    _walk(element, after_blanks(element, 0), tree, (), found)
    return found


def parse(element: bytes) -> Any:
    """The value of a JSON text as Python objects, for reading only. Raises ScanError."""
    try:
        return msgspec.json.decode(element)
    except _STRICT_ERRORS:
        pass  # lone surrogates, NaN and the like: the tolerant reader knows them
    if len(element) > _TOLERANT_BYTES_MAX:
        raise ScanError(f"an element that is no strict JSON is longer than {_TOLERANT_BYTES_MAX} bytes")
    try:
        return _tolerant.decode(element.decode())
    except _READ_ERRORS as error:
        raise ScanError(f"the element cannot be read: {error}") from error


@cache
def _decoder(keys: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    kind: Any = list[msgspec.Raw]
    for key in reversed(keys):
        kind = msgspec.defstruct("Held", [("held", kind, msgspec.field(name=key))])
    return msgspec.json.Decoder(kind)


@cache
def _text_decoder(key: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(msgspec.defstruct("Texts", [("text", Any, msgspec.field(name=key, default=""))]))


def _text_in_steps(body: bytes, key: str) -> str:
    found = ""
    try:
        position = _object_start(body, after_blanks(body, 0))
        while body.startswith(b'"', position):
            name, position = _key(body, position)
            end = end_of_value(body, position)
            if name == key:
                found = _text_of(body[position:end])
            position = next_member(body, end)
    except ScanError:
        return ""
    return found


def _text_of(literal: bytes) -> str:
    if not literal.startswith(b'"') or len(literal) > _TOLERANT_BYTES_MAX:
        return ""
    text: str = _tolerant.decode(literal.decode("utf-8", "replace"))
    return text


def _split_strict(body: bytes, *keys: str) -> tuple[int, list[bytes]]:
    elements: Any = _decoder(keys).decode(body)
    for _ in keys:
        elements = elements.held
    first = position = _array_start(body, keys)
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


def _split_in_steps(body: bytes, *keys: str) -> tuple[int, list[bytes]]:
    first = _array_start(body, keys)
    return first, list(_in_steps(body, first, keys, is_inside=False))


def _in_steps(body: bytes, first: int, keys: tuple[str, ...], *, is_inside: bool) -> Iterator[bytes]:
    """The elements from `first` on, which is where the array begins, or with `is_inside` where one of them ends."""
    position, count = first, 0
    sign, misses = b"", 0
    while not body.startswith(b"]", start := after_blanks(body, position)):
        start = _element_start(body, start, is_first=position == first and not is_inside)
        end = _guessed_end(body, start, sign) if sign and misses < _MISSES_MAX else 0
        if not end:
            misses += 1
            end = end_of_value(body, start)
            sign = _sign_of_next(body, end)
        yield _part(body, position, end)
        count += 1
        if count > ELEMENTS_MAX:
            raise ScanError(f"{keys[-1]!r} has more than {ELEMENTS_MAX} elements", "too_many_items")
        position = end
    _check_rest(body, start + 1, keys)


def _sign_of_next(body: bytes, end: int) -> bytes:
    """What stands between an element that ends at `end` and the next: the comma, and how that begins, key included.

    No string holds it, since it has quotes, so where it comes again an element ends most of the time.
    """
    found = _next_object(body, end, end + _SIGN_BYTES_MAX)
    return found[0] if found else b""


def _guessed_end(body: bytes, start: int, sign: bytes) -> int:
    """Where the object at `start` ends, if that is before the next `sign`, else 0. Spares the walk through it."""
    end = body.find(sign, start, start + _GUESSED_BYTES_MAX)
    is_one = end > 0 and body.startswith(b"{", start) and is_value(body[start:end])
    return end if is_one else 0


def _element_start(body: bytes, position: int, *, is_first: bool) -> int:
    """Where the element begins whose comma, unless it is the first, is at `position`."""
    if is_first:
        return position
    if not body.startswith(b",", position):
        raise broken(position)
    return after_blanks(body, position + 1)


def _array_start(body: bytes, keys: tuple[str, ...]) -> int:
    """Where the first element of the array that `keys` lead to may begin."""
    if body.startswith(_OTHER_UNICODE) or b"\0" in body[:4]:
        raise ScanError("the body is in another form of Unicode than UTF-8, or begins with a mark for it", "not_utf8")
    position = after_blanks(body, 0)
    for key in keys:
        position = _member_value(body, position, key)
    if not body.startswith(b"[", position):
        raise ScanError(f"{keys[-1]!r} is not an array", "unknown_shape")
    return position + 1


def _member_value(body: bytes, position: int, key: str) -> int:
    """Where the value of `key` begins, in the object at `position`."""
    position = _object_start(body, position)
    while body.startswith(b'"', position):
        name, position = _key(body, position)
        if name == key:
            return position
        position = next_member(body, end_of_value(body, position))
    if not body.startswith(b"}", position):
        raise broken(position)
    raise ScanError(f"the body has no {key!r}", "unknown_shape")


def _object_start(body: bytes, position: int) -> int:
    """Where the first key of the object at `position` may begin."""
    if not body.startswith(b"{", position):
        raise _no_object(body, position)
    return after_blanks(body, position + 1)


def _no_object(body: bytes, position: int) -> ScanError:
    end_of_value(body, position)  # raises where it is no value at all
    return ScanError("the body is not an object, or what should be one inside it is not", "not_an_object")


def _check_rest(body: bytes, position: int, keys: tuple[str, ...]) -> None:
    """Pass the members after the array to the end of the body; none of the keys may come again."""
    for key in reversed(keys):
        position = next_member(body, position)
        while body.startswith(b'"', position):
            name, position = _key(body, position)
            if name == key:
                raise ScanError(f"{key!r} stands twice", "duplicate_keys")
            position = next_member(body, end_of_value(body, position))
        position += 1
    if after_blanks(body, position) != len(body):
        raise broken(position)


def _key(body: bytes, position: int) -> tuple[str, int]:
    """The key that begins at the quote at `position`, and where its value begins."""
    end = end_of_string(body, position)
    value = value_of_member(body, end)
    if end - position > _NAME_BYTES_MAX:
        return _LONG_NAME, value
    return _tolerant.decode(body[position:end].decode("utf-8", "replace")), value


def _walk(body: bytes, position: int, tree: _Tree, path: Path, found: _Found) -> int:
    """Follow `tree` through the value at `position`; returns where the value ends."""
    if tree and body.startswith(b"{", position):
        return _walk_object(body, position, tree, path, found)
    if tree and body.startswith(b"[", position):
        return _walk_array(body, position, tree, path, found)
    end = end_of_value(body, position)
    if not tree:
        found[path] = (position, end)
    return end


def _walk_object(body: bytes, position: int, tree: _Tree, path: Path, found: _Found) -> int:
    seen: set[str] = set()
    position = _object_start(body, position)
    while body.startswith(b'"', position):
        name, position = _key(body, position)
        if name not in tree:
            end = end_of_value(body, position)
        elif name in seen:
            raise ScanError(f"{name!r} stands twice", "duplicate_keys")
        else:
            seen.add(name)
            end = _walk(body, position, tree[name], (*path, name), found)
        position = next_member(body, end)
    if not body.startswith(b"}", position):
        raise broken(position)
    return position + 1


def _walk_array(body: bytes, position: int, tree: _Tree, path: Path, found: _Found) -> int:
    index = 0
    position = after_blanks(body, position + 1)
    while not body.startswith(b"]", position):
        position = _element_start(body, position, is_first=index == 0)
        subtree = tree.get(index)
        end = end_of_value(body, position) if subtree is None else _walk(body, position, subtree, (*path, index), found)
        position = after_blanks(body, end)
        index += 1
        if index > ELEMENTS_MAX:
            raise ScanError(f"a list has more than {ELEMENTS_MAX} elements", "too_many_items")
    return position + 1
