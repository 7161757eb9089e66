"""Whether a request tells the API to drop old results before a model reads them: then nothing may point at these."""

import re
from typing import Any

from proxy_pkg.protocols.grammar import Conversation
from proxy_pkg.wire.scan import object_at

_VALUE = re.compile(rb"\s*+:\s*+")
_NULL = re.compile(rb"null\b")
_VALUE_BYTES_MAX = 64 << 10
_KEYS_MAX = 8
"""A request says the key once. More than a few stand in something else, and are not looked into."""


def forgets(conversation: Conversation, data: bytes) -> bool:
    """Whether `data`, the bytes of a body outside its items, says so, or may say so in words that are not known."""
    if any(sign in data for sign in conversation.forgetting):
        return True
    key = conversation.edits_at
    if not key:
        return False
    at = data.find(key)
    for _ in range(_KEYS_MAX):
        if at < 0:
            return False
        value = _VALUE.match(data, at + len(key))
        if value is not None and not _spares(data, value.end(), conversation.edits_sparing):
            return True
        at = data.find(key, at + len(key))
    return at >= 0


def _spares(data: bytes, start: int, sparing: tuple[str, ...]) -> bool:
    """Whether all edits that are listed from `start` on leave results as they are."""
    if _NULL.match(data, start):
        return True
    value = object_at(data, start, _VALUE_BYTES_MAX)
    if value is None or not value.keys() <= {"edits"}:
        return False
    edits = value.get("edits") or []
    return isinstance(edits, list) and all(_type(edit) in sparing for edit in edits)


def _type(edit: Any) -> Any:
    return edit.get("type") if isinstance(edit, dict) else None
