"""Put new bytes in place of some byte ranges of a body; every other byte stays."""

from collections.abc import Sequence

from proxy_pkg.model import Replacement
from proxy_pkg.wire.joining import PIECE_BYTES, joined


def splice(body: bytes, replacements: Sequence[Replacement]) -> bytes:
    """The body with each range replaced. Without replacements it is the same object, not a copy.

    Ranges are in ascending order and do not overlap.
    """
    if not replacements:
        return body
    source = body if len(body) <= PIECE_BYTES else memoryview(body)
    parts: list[bytes | memoryview] = []
    position = 0
    for replacement in replacements:
        assert position <= replacement.start <= replacement.end <= len(body), "ranges overlap or leave the body"
        parts.append(source[position : replacement.start])
        parts.append(replacement.data)
        position = replacement.end
    parts.append(source[position:])
    return b"".join(parts) if source is body else joined(parts)
