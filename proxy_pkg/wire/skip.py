"""Walk over JSON values in a body without reading them: every call into C is short, whatever the body holds.

The scanner of the standard library builds each value that it passes, in one call that holds the interpreter until its
end. Here a value is passed by regular expressions over at most STEP_BYTES, so other threads get their turn in
between. The grammar is that of JSON, with what readers tolerate: NaN and Infinity, lone surrogates, control characters
and bytes that are no UTF-8 inside strings. Work and memory grow with the bytes that are passed and with nothing else.
"""

import re
from typing import Final

import msgspec

from proxy_pkg.errors import ScanError

STEP_BYTES: Final = 128 << 10
DEPTH_MAX: Final = 1000
"""Deeper values are passed by nobody: providers refuse them much earlier."""
_SCALAR_BYTES_MAX: Final = 1 << 20
_SMALL_BYTES: Final = 2048

_BLANKS = rb"[ \t\n\r]*+"
_ESCAPE = rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
# Short only: a longer string is passed by other means, and little is looked at in vain.
_STRING = rb'"[^"\\]{0,256}+(?:' + _ESCAPE + rb'[^"\\]{0,64}+){0,8}+"'
_NUMBER = rb"(?:0|[1-9][0-9]{0,32}+)(?:\.[0-9]{1,32}+)?+(?:[eE][-+]?+[0-9]{1,32}+)?+"
_SCALAR = _STRING + rb"|-?+(?:" + _NUMBER + rb"|Infinity)(?![-+.\w])|true|false|null|NaN"
_LEVELS = 3


def _elements(value: bytes) -> bytes:
    return rb"(?:(?:" + value + rb")" + _BLANKS + rb"(?:," + _BLANKS + rb"(?!\])|(?=\])))*+"


def _members(value: bytes) -> bytes:
    key = _STRING + _BLANKS + rb":" + _BLANKS
    return rb"(?:" + key + rb"(?:" + value + rb")" + _BLANKS + rb"(?:," + _BLANKS + rb'(?=")|(?=\})))*+'


def _level(value: bytes) -> bytes:
    """A scalar, or a list or object of such values. Possessive throughout: nothing is ever looked at again."""
    return _SCALAR + rb"|\[" + _BLANKS + _elements(value) + rb"\]|\{" + _BLANKS + _members(value) + rb"\}"


_VALUE = _SCALAR
for _ in range(_LEVELS):
    _VALUE = _level(_VALUE)

_small = re.compile(_VALUE).match
# Whole elements or members with the comma and blanks behind each.
_run = {
    ord("["): re.compile(rb"(?:(?:" + _VALUE + rb")" + _BLANKS + rb"," + _BLANKS + rb"(?=[^\] \t\n\r]))*+").match,
    ord("{"): re.compile(
        rb"(?:"
        + _STRING
        + _BLANKS
        + rb":"
        + _BLANKS
        + rb"(?:"
        + _VALUE
        + rb")"
        + _BLANKS
        + rb","
        + _BLANKS
        + rb'(?="))*+'
    ).match,
}
_OBJECT = ord("{")
_CLOSER_BYTES = {ord("["): b"]", ord("{"): b"}"}
_ESCAPE_BYTES = 6
_ESCAPE_GROWTH = 64
# Brackets with more than _LEVELS levels below are opened one by one, at a microsecond or three each.
_OPENED_FREE = 8192
_OPENED_BYTES = 32
_QUOTES_LOOKED_AT = 64
_BACKSLASH = ord("\\")
_blanks = re.compile(_BLANKS).match
_escaped = re.compile(rb'(?:[^"\\]++|' + _ESCAPE + rb")*+").match
_scalar = re.compile(rb"[-+.\w]*+").match
_is_scalar = re.compile(
    rb"-?(?:(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][-+]?+[0-9]++)?+|Infinity)|true|false|null|NaN"
).fullmatch
_check = msgspec.json.Decoder(msgspec.Raw).decode


def broken(position: int) -> ScanError:
    """What is said of a body that is no JSON."""
    return ScanError(f"no JSON at byte {position}", "broken_json")


def after_blanks(body: bytes, position: int) -> int:
    """The first byte from `position` on that is not blank; the end of the body if there is none."""
    while True:
        end = _blanks(body, position, position + STEP_BYTES).end()  # type: ignore[union-attr]  # it matches everywhere
        if end < position + STEP_BYTES:
            return end
        position = end


def end_of_value(body: bytes, start: int) -> int:
    """Where the value ends that begins at `start`. Raises ScanError where there is none."""
    first = body[start : start + 1]
    if first == b'"':
        return end_of_string(body, start)
    if first not in (b"[", b"{"):
        return _end_of_scalar(body, start)
    found = _small(body, start, start + _SMALL_BYTES)
    return found.end() if found else _end_of_container(body, start)


def end_of_string(body: bytes, start: int) -> int:
    """Where the string ends, behind its quote, that begins with the quote at `start`."""
    end = body.find(b'"', start + 1)
    if end < 0:
        raise broken(start)
    if body.find(b"\\", start + 1, end) < 0:
        return end + 1
    for _ in range(_QUOTES_LOOKED_AT):
        if body[end - 1] != _BACKSLASH:
            break
        if body[end - 2] == _BACKSLASH and not _is_escaped(body, start + 1, end):
            break
        escaped, end = end, body.find(b'"', end + 1)
        if end < 0:
            raise broken(start)
    else:
        end = _end_among_quotes(body, escaped + 1)
    _check_escapes(body, start + 1, end)
    return end + 1


def is_value(piece: bytes) -> bool:
    """Whether a piece is one strict JSON value: then no value that begins as it does ends elsewhere, unless a number.

    Fast, and in one call, so only for pieces that are short.
    """
    try:
        _check(piece)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True


def next_member(body: bytes, position: int) -> int:
    """Behind a value of an object: where the next key's quote is, or the closing brace."""
    position = after_blanks(body, position)
    if body.startswith(b",", position):
        position = after_blanks(body, position + 1)
        if not body.startswith(b'"', position):
            raise broken(position)
    elif not body.startswith(b"}", position):
        raise broken(position)
    return position


def value_of_member(body: bytes, key_end: int) -> int:
    """Where the value begins whose key ends at `key_end`."""
    colon = after_blanks(body, key_end)
    if not body.startswith(b":", colon):
        raise broken(colon)
    return after_blanks(body, colon + 1)


def _is_escaped(body: bytes, start: int, quote: int) -> bool:
    """Whether the backslashes before a quote, none of them before `start`, make it a part of its string."""
    size = 1
    while True:
        before = body[max(start, quote - size) : quote]
        backslashes = len(before) - len(before.rstrip(b"\\"))
        if backslashes < size:
            return backslashes % 2 == 1
        size *= _ESCAPE_GROWTH


def _end_among_quotes(body: bytes, position: int) -> int:
    """The quote that ends a string, from `position` inside it on, where no escape is open."""
    while True:
        piece = body[position : position + STEP_BYTES]
        # Same length, and every quote that is left ends the string.
        end = piece.replace(b"\\\\", b"..").replace(b'\\"', b"..").find(b'"')
        if end >= 0:
            return position + end
        if len(piece) < STEP_BYTES:
            raise broken(position)
        position += _whole_escapes(piece)


def _whole_escapes(piece: bytes) -> int:
    """How much of a piece of a string can be read without what follows it."""
    bare = piece.replace(b"\\\\", b"..")
    cut = bare.find(b"\\", len(bare) - _ESCAPE_BYTES + 1)
    return len(piece) if cut < 0 else cut


def _check_escapes(body: bytes, start: int, end: int) -> None:
    """Raise ScanError for an escape that is none, between the quotes of a string."""
    while start < end:
        piece = body[start : min(start + STEP_BYTES, end)]
        if start + len(piece) < end:
            piece = piece[: _whole_escapes(piece)]
        try:
            _check(b'"%s"' % piece)
        except msgspec.MsgspecError:  # half a pair of surrogates, a control character: these are tolerated
            position = _escaped(piece).end()  # type: ignore[union-attr]  # it matches everywhere
            if position != len(piece):
                raise broken(start + position) from None
        start += len(piece)


def _end_of_scalar(body: bytes, start: int) -> int:
    end = start
    while True:
        found = _scalar(body, end, end + STEP_BYTES)
        at, end = end, found.end()  # type: ignore[union-attr]  # it matches everywhere
        if end < at + STEP_BYTES:
            break
    if end - start > _SCALAR_BYTES_MAX or not _is_scalar(body, start, end):
        raise broken(start)
    return end


def _end_of_container(body: bytes, start: int) -> int:
    """The end of a list or an object, piece by piece. Its open brackets are all that is remembered."""
    open_brackets = bytearray()
    position, opened = start, 0
    while True:
        position, bracket = _open(body, position)
        open_brackets.append(bracket)
        opened += 1
        if len(open_brackets) > DEPTH_MAX or opened > _OPENED_FREE + (position - start) // _OPENED_BYTES:
            raise ScanError(f"values lie deep all over a value, or more than {DEPTH_MAX} deep", "too_deep")
        inside = _to_next_open(body, position, open_brackets, is_first=True)
        if not open_brackets:
            return inside
        position = inside


def _open(body: bytes, position: int) -> tuple[int, int]:
    return after_blanks(body, position + 1), body[position]


def _to_next_open(body: bytes, position: int, open_brackets: bytearray, is_first: bool) -> int:
    """Pass what stands in the innermost open bracket, and close it at its end; returns the next bracket that opens,
    or where the outermost ends.

    `is_first` says that `position` is behind a bracket, where nothing may stand.
    """
    while True:
        bracket = open_brackets[-1]
        if not (is_first and body.startswith(_CLOSER_BYTES[bracket], position)):
            position = _pass_run(body, position, bracket)
            if bracket == _OBJECT:
                position = _begin_member(body, position)
            if body[position : position + 1] in (b"[", b"{"):
                return position
            position = end_of_value(body, position)
            position = after_blanks(body, position)
        is_first = False
        position, is_over = _close(body, position, open_brackets)
        if is_over:
            return position


def _pass_run(body: bytes, position: int, bracket: int) -> int:
    """Behind all small values that follow, each with its comma."""
    run = _run[bracket]
    while True:
        end = run(body, position, position + STEP_BYTES).end()  # type: ignore[union-attr]  # it matches everywhere
        if end - position < STEP_BYTES // 2:
            return end
        position = end


def _begin_member(body: bytes, position: int) -> int:
    if not body.startswith(b'"', position):
        raise broken(position)
    return value_of_member(body, end_of_string(body, position))


def _close(body: bytes, position: int, open_brackets: bytearray) -> tuple[int, bool]:
    """Behind a value: past the brackets that close here and the comma that follows; whether all are closed."""
    while body.startswith(_CLOSER_BYTES[open_brackets[-1]], position):
        open_brackets.pop()
        position += 1
        if not open_brackets:
            return position, True
        position = after_blanks(body, position)
    if not body.startswith(b",", position):
        raise broken(position)
    position = after_blanks(body, position + 1)
    if body.startswith(_CLOSER_BYTES[open_brackets[-1]], position):
        raise broken(position)
    return position, False
