"""How an answer ended, told from the end of its copy: complete, or with an error that its status knew nothing of.

An upstream that fails after it has begun to answer says so in an event of the stream, below a status of 200; some send
a whole body with an error so. Read once, when the answer is over; a model's own words are in quotes that are escaped.
"""

import re
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Struct

from proxy_pkg.billing.usage import Copy
from proxy_pkg.protocols.grammar import Protocol
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.wire.tellings import Tellings

FAILED_PHASE: Final = "answer"
"""The phase of a failure that the upstream tells of in its answer."""
_TEXT_BYTES_MAX: Final = 64 << 10
_LINES: Final = 3
"""Data lines at the end that may hold an error: after it APIs send at most an event or two that end the stream."""
_LINE_BYTES_MAX: Final = 32 << 10
_KIND_WORDS: Final = ("type", "code", "status", "reason")

_is_kind = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,47}").fullmatch
_exception_in = re.compile(rb":(?:exception-type|error-code)\x07\x00.([A-Za-z]{1,48})", re.DOTALL).search
_failed_response = re.compile(rb'"type"\s*:\s*"response\.failed"').search
_gap = re.compile(rb"(?:\r\n|\n|\r){2,}")


class _Place(Struct, frozen=True):
    """Where an error stands in a JSON text; see `wire.tellings.Place`."""

    wrapped: bool
    key: str = "error"
    in_list: bool = True
    in_items: bool = False
    coded_at: str = ""


class _Flat(Struct):
    """An event that is an error itself."""

    type: str = ""
    code: Any = None


_ERROR: Final = _Place(wrapped=False)
_ERROR_OF_RESPONSE: Final = _Place(wrapped=True)
_flat: Final = msgspec.json.Decoder(_Flat).decode


def look(copy: Copy | None, record: RequestRecord, last: bytes = b"") -> str:
    """Write down that a copied answer tells of an error, `last` being what is not yet in the copy. What went wrong, as
    a sentence; empty if nothing did. Nothing comes after that, so whoever watches the copy is shown its end.
    """
    if copy is not None:
        copy.end(last)
    if copy is None or record.status_class != "2xx" or record.outcome != "relayed":
        return ""
    kind = error_in(copy.text(last))
    if not kind:
        return ""
    record.outcome, record.failure_phase, record.answer_error = "failed", FAILED_PHASE, kind
    return f"the upstream's answer ended with an error: {kind}"


def error_in(text: bytes) -> str:
    """The kind of the error that an answer tells of, in the API's own word; empty without one."""
    if b'"error"' not in text and b"response.failed" not in text:
        return _exception(text) if b":exception-type" in text or b":error-code" in text else ""
    text = text[-_TEXT_BYTES_MAX:]
    if found := Tellings(text, _ERROR).last():
        return _kind(found[1])
    if _failed_response(text):
        told = Tellings(text, _ERROR_OF_RESPONSE).last()
        return _kind(told[1]) if told else "response.failed"
    return _flat_error(text) or _exception(text)


def is_ended(copy: Copy | None, protocol: Protocol) -> bool:
    """Whether the last event that was relayed is the one that ends an answer, or tells of an error."""
    if copy is None or not protocol.endings:
        return False
    text = copy.text()
    return bool(error_in(text)) or _is_complete(text, protocol)


def _is_complete(text: bytes, protocol: Protocol) -> bool:
    if text.startswith(b"\0") and protocol.usage is not None:
        last = Tellings(text, protocol.usage).data  # of frames, the texts in them
        last = last[max(0, last.rfind(b":event-type"), last.rfind(b"\n")) :]
    elif _gap.search(text, max(0, len(text) - 4)):
        last = _gap.split(text.rstrip()[-_TEXT_BYTES_MAX:])[-1]
    else:
        return False
    return any(all(sign(last) for sign in signs) for signs in _compiled(protocol.endings))


def _exception(text: bytes) -> str:
    """Of Amazon's event streams: the type in the head of the frame."""
    found = _exception_in(text)
    return found[1].decode() if found else ""


def _flat_error(text: bytes) -> str:
    for line in text.splitlines()[: -_LINES * 3 - 1 : -1]:
        data = line.removeprefix(b"data:").strip()
        if not data.startswith(b"{") or len(data) > _LINE_BYTES_MAX:
            continue
        try:
            event = _flat(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            continue
        if event.type == "error":
            return event.code if isinstance(event.code, str) and _is_kind(event.code) else "error"
    return ""


def _kind(error: dict[str, Any]) -> str:
    inner = error.get("error")
    words = [error.get(word) for word in _KIND_WORDS] + ([inner.get("type")] if isinstance(inner, dict) else [])
    for word in words:
        if isinstance(word, str) and _is_kind(word) and word != "error":
            return word
    numbers = [word for word in words if type(word) is int]
    return f"status_{numbers[0]}" if numbers and 100 <= numbers[0] < 600 else "unnamed"


@lru_cache(maxsize=32)
def _compiled(endings: tuple[tuple[str, ...], ...]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(re.compile(sign.encode()).search for sign in signs) for signs in endings)
