"""Put new bytes in place of some byte ranges of a body; every other byte stays."""

from collections.abc import Sequence

from proxy_pkg.model import Replacement


def splice(body: bytes, replacements: Sequence[Replacement]) -> bytes:
    """The body with each range replaced. Without replacements it is the same object, not a copy.

    Ranges are in ascending order and do not overlap.
    """
    if not replacements:
        return body
    parts: list[bytes] = []
    position = 0
    for replacement in replacements:
        assert position <= replacement.start <= replacement.end <= len(body), "ranges overlap or leave the body"
        parts.append(body[position : replacement.start])
        parts.append(replacement.data)
        position = replacement.end
    parts.append(body[position:])
    return b"".join(parts)
