"""Find the objects at one key in an answer, or in parts of it: a JSON text, a stream of events, or one of frames.

Only what stands where the API puts it counts. A model writes JSON too: the arguments of its tools are objects of their
own making inside the same text. Where a key stands is told from what follows it up to the end of its JSON text, which
must close just as many brackets as are open there; so of a long text its end alone is enough.
"""

import re
from base64 import b64decode
from binascii import Error as BinasciiError
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from proxy_pkg.wire.scan import object_at

TRIES_MAX: Final = 16
"""Objects that are looked at from the end, and half as many from the start: a text made of such keys costs little."""
OBJECT_BYTES_MAX: Final = 32 << 10

_Members = dict[str, msgspec.Raw]

_decode = msgspec.json.Decoder().decode
_members = msgspec.json.Decoder(_Members).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_opens_object = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*\{").match
_is_events = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:data|event|id|retry)?:").match
_line_end = re.compile(rb"[\r\n]").search

_FRAME_SIGN: Final = b":message-type\x07\x00\x05event"
"""Of Amazon's event streams: the last header before the payload of a frame."""


class Place(Protocol):
    """Where an object stands: at `key` of the JSON text, and if it may be `wrapped`, of an object that this holds.

    With `in_items` it may stand in the last object of a list that the text holds at some key.
    With `in_list` the text may be a list of such objects. `coded_at` is the key of a text in base64 which frames of a
    binary stream have around each JSON text.
    """

    @property
    def key(self) -> str: ...
    @property
    def wrapped(self) -> bool: ...
    @property
    def in_list(self) -> bool: ...
    @property
    def coded_at(self) -> str: ...
    @property
    def in_items(self) -> bool: ...


class Tellings:
    """The JSON texts of an answer, and the objects at one place of theirs. Numbers with a fraction are text."""

    __slots__ = ("_ends", "_has_frames", "_has_lines", "_key", "_quoted", "_readers", "_tries", "data")

    def __init__(self, data: bytes, place: Place, *, ends: bool = True) -> None:
        """Say with `ends` whether the end of `data` is that of the answer: a text that is cut off may seem to close
        where it does not.
        """
        self._readers = _READERS[place.wrapped, place.in_list] + ((_in_items,) if place.in_items else ())
        self._key = place.key
        self._quoted = b'"%s"' % place.key.encode()
        self._ends = ends
        self._tries = 0
        self._has_frames = False
        self._has_lines = _is_events(data) is not None
        if data.startswith(b"\0"):  # the length of a frame
            self._has_frames = not place.coded_at
            if place.coded_at:
                data = _decoded(data, place.coded_at)
                self._has_lines = self._ends = True
        self.data = data

    def last(self, before: int | None = None) -> tuple[int, dict[str, Any]] | None:
        """The last object whose key begins before a position, and where."""
        at = len(self.data) if before is None else before
        while (at := self.data.rfind(self._quoted, 0, at)) >= 0 and self._tries < TRIES_MAX:
            if found := self._object_at(at):
                return at, found
        return None

    def first(self, after: int, before: int) -> tuple[int, dict[str, Any]] | None:
        """The first object whose key begins after a position, and before another one."""
        at = after
        while 0 <= (at := self.data.find(self._quoted, at + 1)) < before and self._tries < 3 * TRIES_MAX // 2:
            if found := self._object_at(at):
                return at, found
        return None

    def stands_well(self, key_start: int, key: str) -> bool:
        """Whether `key`, which begins there, stands where that of the place does."""
        return self._value(self._rest(key_start), key) is not None

    def _rest(self, key_start: int) -> bytes:
        """From a key to the end of its text; empty if that end is not here."""
        if self._has_lines and (line_end := _line_end(self.data, key_start)):
            return self.data[key_start : line_end.start()]
        return self.data[key_start:] if self._ends else b""

    def _object_at(self, key_start: int) -> dict[str, Any] | None:
        """The object at the key that begins there; None if it is none, empty, cut off, or stands elsewhere."""
        if _opens_object(self.data, key_start + len(self._quoted)) is None:
            return None
        self._tries += 1
        if self._has_frames:
            return self._of_frame(key_start)
        found = self._value(self._rest(key_start), self._key)
        return found if type(found) is dict and found else None

    def _value(self, rest: bytes, key: str) -> Any:
        """The value of `key`, with which `rest` begins, if what follows closes what is open; None if it does not."""
        for members_of in self._readers:
            try:
                return _decode(members_of(rest)[key])
            except (msgspec.MsgspecError, RecursionError):
                continue
        return None

    def _of_frame(self, key_start: int) -> dict[str, Any] | None:
        """A frame's payload is the whole JSON text, and what follows it is no text."""
        start = self.data.rfind(_FRAME_SIGN, 0, key_start)
        payload = object_at(self.data, start + len(_FRAME_SIGN), OBJECT_BYTES_MAX) if start >= 0 else None
        found = (payload or {}).get(self._key)
        return found if isinstance(found, dict) else None


def _decoded(data: bytes, key: str) -> bytes:
    """The JSON texts inside the frames, one in a line."""
    texts = []
    for coded in re.findall(rb'"%s"\s*:\s*"([A-Za-z0-9+/=]+)"' % key.encode(), data):
        try:
            texts.append(b64decode(coded))
        except BinasciiError:
            continue
    return b"\n".join(texts)


def _bare(rest: bytes) -> _Members:
    return _members(b"{" + rest)


def _wrapped(rest: bytes) -> _Members:
    return _members(_members(b'{"":{' + rest)[""])


def _in_items(rest: bytes) -> _Members:
    return _members(_list(_members(b'{"":[{' + rest)[""])[0])


def _listed(rest: bytes) -> _Members:
    return _members(_list(b"[{" + rest)[0])


def _listed_wrapped(rest: bytes) -> _Members:
    return _members(_members(_list(b'[{"":{' + rest)[0])[""])


_READERS: Final[dict[tuple[bool, bool], tuple[Callable[[bytes], _Members], ...]]] = {
    (False, False): (_bare,),
    (True, False): (_bare, _wrapped),
    (False, True): (_bare, _listed),
    (True, True): (_bare, _wrapped, _listed, _listed_wrapped),
}
"""By `wrapped` and `in_list`: each opens again what may be open where the key stands, and reads on from there."""
