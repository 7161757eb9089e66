"""Which model a request asks for, at a glance: neither it nor its answer is read through for that."""

import re
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Struct

from proxy_pkg.protocols.grammar import UsageMap
from proxy_pkg.stats.record import UNKNOWN
from proxy_pkg.wire.scan import text_at

_HEAD_BYTES: Final = 2048
_TAIL_BYTES: Final = 4096
_ANSWER_BYTES: Final = 8192
_WHOLE_BYTES: Final = 16 << 10
"""A body up to this length is read whole where a glance does not tell."""


class _Named(Struct):
    model: str


_NAME = rb'"([^"\\]{1,128})"'
# Members whose values are no objects or lists may come before it.
_in_head = re.compile(
    rb'[ \t\r\n]*\{(?:\s*"(?!model")[^"\\]*"\s*:\s*(?:"[^"\\]*"|[-+.\w]+)\s*,)*\s*"model"\s*:\s*' + _NAME
).match
_named_in_answer = re.compile(rb'"\w+"\s*:\s*' + _NAME).match
_decode = msgspec.json.Decoder(_Named).decode
_is_plain = re.compile(r"[A-Za-z0-9._:/@-]{1,64}").fullmatch


def asked_in(body: bytes) -> str:
    """The model that a JSON body names at its key "model"; empty if that stands between long members of a long body."""
    if found := _in_head(body, 0, _HEAD_BYTES):
        return found[1].decode("utf-8", "replace")
    at = body.rfind(b'"model"', -_TAIL_BYTES)
    if at >= 0:
        try:
            # With a brace before it the rest is an object again, but only if the key stands in the body's own.
            return _decode(b"{" + body[at:]).model
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass
    return text_at(body, "model") if len(body) <= _WHOLE_BYTES else ""


def reported_in(answer: bytes, places: UsageMap) -> tuple[str, int]:
    """The model that an answer seems to name and where, empty if it names none. Quotes within texts are escaped, so no
    text is taken for it, but an argument of a tool may be.
    """
    at = answer.find(b'"%s"' % places.model.encode(), 0, _ANSWER_BYTES) if places.model else -1
    found = _named_in_answer(answer, at) if at >= 0 else None
    return (found[1].decode("utf-8", "replace"), at) if found else ("", 0)


@lru_cache(maxsize=256)
def label(model: str) -> str:
    """`model` as a label has it: "other" if it is no plain name, UNKNOWN if there is none."""
    if not model:
        return UNKNOWN
    return model if _is_plain(model) else "other"
