"""Find the objects at one key in an answer, or in parts of it: a JSON text, a stream of events, or one of frames.

Only what stands where the API puts it counts. A model writes JSON too: the arguments of its tools are objects of their
own making inside the same text. Where a key stands is told from what follows it up to the end of its JSON text, which
must close just as many brackets as are open there; so of a long text its end alone is enough.
"""

import re
from base64 import b64decode
from binascii import Error as BinasciiError
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from proxy_pkg.wire.scan import object_at

TRIES_MAX: Final = 16
"""Objects that are looked at from each end, so that a text made of such keys costs little."""
OBJECT_BYTES_MAX: Final = 32 << 10

_check = msgspec.json.Decoder(msgspec.Raw).decode
_opens_object = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*\{").match
_is_events = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:data|event|id|retry)?:").match
_line_end = re.compile(rb"[\r\n]").search

_FRAME_SIGN: Final = b":message-type\x07\x00\x05event"
"""Of Amazon's event streams: the last header before the payload of a frame."""


class Place(Struct, frozen=True):
    """Where an object stands: at `key` of the JSON text, and if it may be `wrapped`, of an object that this holds.

    With `in_list` the text may be a list of such objects. `coded_at` is the key of a text in base64 which frames of a
    binary stream have around each JSON text.
    """

    key: str
    wrapped: bool = False
    in_list: bool = False
    coded_at: str = ""


def from_end(data: bytes, place: Place, *, ends: bool = True) -> Iterator[dict[str, Any]]:
    """The objects at `place`, the last one first. Numbers with a fraction are text.

    Say with `ends` whether the end of `data` is that of the answer: a text that is cut off may seem to close where it
    does not.
    """
    seen = _Texts(data, place, ends)
    at = len(seen.data)
    while (at := seen.data.rfind(seen.quoted, 0, at)) >= 0:
        if seen.tries == TRIES_MAX:
            return
        if found := seen.object_at(at):
            yield found


def from_start(data: bytes, place: Place, *, ends: bool = True) -> Iterator[dict[str, Any]]:
    """The same, the first one first."""
    seen = _Texts(data, place, ends)
    at = -1
    while (at := seen.data.find(seen.quoted, at + 1)) >= 0:
        if seen.tries == TRIES_MAX:
            return
        if found := seen.object_at(at):
            yield found


def stands_at(data: bytes, key_start: int, place: Place, *, ends: bool = True) -> bool:
    """Whether the key that begins at `key_start` stands where that of `place` does."""
    return _Texts(data, place, ends).stands_well(key_start)


class _Texts:
    """The JSON texts of an answer. `tries` are the objects at the key that were looked at."""

    def __init__(self, data: bytes, place: Place, ends: bool) -> None:
        self._place = place
        self._ends = ends
        self._has_frames = _FRAME_SIGN in data[:256]
        self.data = data
        if self._has_frames and place.coded_at:
            self.data, self._has_frames = _decoded(data, place.coded_at), False
            self._has_lines = self._ends = True
        else:
            self._has_lines = _is_events(data) is not None
        self.quoted = b'"%s"' % place.key.encode()
        self.tries = 0

    def object_at(self, key_start: int) -> dict[str, Any] | None:
        """The object at the key that begins there; None if it is none, empty, cut off, or stands elsewhere."""
        opened = _opens_object(self.data, key_start + len(self.quoted))
        if opened is None:
            return None
        self.tries += 1
        if self._has_frames:
            return self._of_frame(key_start)
        found = object_at(self.data, opened.end() - 1, OBJECT_BYTES_MAX)
        return found if found and self.stands_well(key_start) else None

    def stands_well(self, key_start: int) -> bool:
        end = _line_end(self.data, key_start) if self._has_lines else None
        if end is None and not self._ends:
            return False
        rest = self.data[key_start : end.start() if end else None]
        return any(_is_json(opening + rest) for opening in _openings(self._place))

    def _of_frame(self, key_start: int) -> dict[str, Any] | None:
        """A frame's payload is the whole JSON text, and what follows it is no text."""
        start = self.data.rfind(_FRAME_SIGN, 0, key_start)
        payload = object_at(self.data, start + len(_FRAME_SIGN), OBJECT_BYTES_MAX) if start >= 0 else None
        found = (payload or {}).get(self._place.key)
        return found if isinstance(found, dict) else None


def _openings(place: Place) -> Iterator[bytes]:
    """What may be open where the key stands."""
    for before in (b"", b"[") if place.in_list else (b"",):
        yield before + b"{"
        if place.wrapped:
            yield before + b'{"":{'


def _is_json(text: bytes) -> bool:
    try:
        _check(text)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def _decoded(data: bytes, key: str) -> bytes:
    """The JSON texts inside the frames, one in a line."""
    texts = []
    for coded in re.findall(rb'"%s"\s*:\s*"([A-Za-z0-9+/=]+)"' % key.encode(), data):
        try:
            texts.append(b64decode(coded))
        except BinasciiError:
            continue
    return b"\n".join(texts)
