"""Copying large bytes a piece at a time.

A copy of fifty megabytes holds the interpreter for some fifty milliseconds, mostly for fresh memory. Done in pieces,
other threads get their turn in between.
"""

from collections.abc import Iterable
from io import BytesIO
from typing import Final

PIECE_BYTES: Final = 1 << 20


def joined(parts: Iterable[bytes | memoryview]) -> bytes:
    """The parts end to end."""
    whole = BytesIO()
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(view), PIECE_BYTES):
            whole.write(view[start : start + PIECE_BYTES])
    return whole.getvalue()


def holds_at(body: memoryview, start: int, part: memoryview) -> bool:
    """Whether `part` stands at `start` of a body."""
    if start + len(part) > len(body):
        return False
    return all(
        body[start + at : start + min(at + PIECE_BYTES, len(part))] == part[at : at + PIECE_BYTES]
        for at in range(0, len(part), PIECE_BYTES)
    )
