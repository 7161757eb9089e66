"""What is kept of a tool call's arguments: what recognisers, references and the words asked for are read from.

A call that writes a file has the whole file among its arguments. That comes again with every turn, and nothing here
needs it. So the work on a call and the memory that it takes are bounded, whatever the model wrote.
"""

from collections.abc import Mapping
from sys import getsizeof
from types import MappingProxyType
from typing import Any, Final

from proxy_pkg.compressors.producers import ARGUMENT_CHARS_MAX

READ: Final = (
    *("command", "cmd", "script", "commands", "input", "chars", "tool_name"),
    *("file_path", "filePath", "path", "absolute_path", "notebook_path", "pattern", "url"),
)
"""Names that compressors/producers.py and references.py look for. No other value takes their room."""
READ_CHARS_MAX: Final = ARGUMENT_CHARS_MAX + 1
"""A longer command is known to be too long."""
TEXT_CHARS_MAX: Final = 1024
REST_CHARS_MAX: Final = 4096
"""What is kept of all values under other names."""
KEY_CHARS_MAX: Final = 200
VALUES_MAX: Final = 256
_DEPTH_MAX: Final = 4
_VALUE_CHARS: Final = 8
"""What a value counts besides its characters."""
_INTEGER_MAX: Final = 1 << 64  # the digits of a longer one would take time, and tell nothing

NONE: Final[Mapping[str, Any]] = MappingProxyType({})


class _Room:
    """How much more is kept. What needs more than there is still goes, and is the last."""

    __slots__ = ("chars", "text_chars_max", "values")

    def __init__(self, chars: int, text_chars_max: int) -> None:
        self.chars = chars
        self.text_chars_max = text_chars_max
        self.values = VALUES_MAX

    @property
    def is_left(self) -> bool:
        return self.chars > 0 and self.values > 0

    def take(self, chars: int) -> bool:
        if not self.is_left:
            return False
        self.chars -= chars + _VALUE_CHARS
        self.values -= 1
        return True


def kept(arguments: Mapping[Any, Any]) -> Mapping[str, Any]:
    """The part of a call's arguments that is kept, a pure function of them, in their order."""
    room = _Room(READ_CHARS_MAX, READ_CHARS_MAX)
    read = {name: _part(arguments[name], room, _DEPTH_MAX) for name in READ if name in arguments}
    room = _Room(REST_CHARS_MAX, TEXT_CHARS_MAX)
    found: dict[str, Any] = {}
    for key, value in arguments.items():
        if key in read:
            found[key] = read.pop(key)
        elif isinstance(key, str) and room.is_left:
            name = key[:KEY_CHARS_MAX]
            room.take(len(name))
            found[name] = _part(value, room, _DEPTH_MAX)
        if not room.is_left:
            break
    return MappingProxyType({**found, **read})


def size_bytes(arguments: Mapping[str, Any]) -> int:
    """What kept arguments take in memory, at most."""
    return 400 + sum(_size(key) + _size(value) for key, value in arguments.items())


def _size(value: Any) -> int:
    if isinstance(value, str):
        return getsizeof(value)
    if isinstance(value, dict):
        return 300 + sum(_size(key) + _size(inner) for key, inner in value.items())
    if isinstance(value, list):
        return 100 + sum(8 + _size(inner) for inner in value)
    return 40


def _part(value: Any, room: _Room, depth_left: int) -> Any:
    """As much of a value as there is room for; None for nothing."""
    if isinstance(value, str):
        text = value[: room.text_chars_max]
        return text if room.take(len(text)) else None
    if isinstance(value, int | float):
        fits = isinstance(value, float) or abs(value) < _INTEGER_MAX
        return value if fits and room.take(0) else None
    if not depth_left or not isinstance(value, dict | list) or not room.take(0):
        return None
    if isinstance(value, dict):
        return _object(value, room, depth_left)
    parts: list[Any] = []
    for inner in value:
        if not room.is_left:
            parts.append(None)  # so that it is not taken for all that there was
            break
        parts.append(_part(inner, room, depth_left - 1))
    return parts


def _object(value: dict[Any, Any], room: _Room, depth_left: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, inner in value.items():
        if not room.is_left:
            break
        if isinstance(key, str):
            name = key[:KEY_CHARS_MAX]
            room.take(len(name))
            found[name] = _part(inner, room, depth_left - 1)
    return found
