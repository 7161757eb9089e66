"""Verdict to replacement: the bytes that stand for a text in a JSON body."""

import msgspec

from proxy_pkg.model import Verdict


def literal(verdict: Verdict) -> bytes | None:
    """The JSON string literal of the text to send instead, or None where the text stays."""
    return None if verdict.text is None else msgspec.json.encode(verdict.text)
