"""Tokens to a character of what a draft has pending, told by one sample of all of it.

For texts that there is no time to look at: a sample of each would take as long as deciding about many.
"""

from typing import Final

from proxy_pkg.planning.draft import Draft
from proxy_pkg.planning.policy import Tokens

_PIECES: Final = 48
_PIECE_CHARS: Final = 96


def density_of(draft: Draft, tokens: Tokens) -> float:
    """Told once for each draft. A piece of a text counts for all of it, so long texts are met by more pieces."""
    if draft.density is None:
        pieces = list(_pieces(draft))
        chars = sum(map(len, pieces))
        # A piece begins and ends inside a token, which adds one to its count.
        counted = sum(max(1, tokens.count(piece) - (len(piece) == _PIECE_CHARS)) for piece in pieces)
        draft.density = counted / chars if chars else 0.0
    return draft.density


def _pieces(draft: Draft) -> list[str]:
    """Pieces at equal steps through all pending texts, as if they were one."""
    texts = [place.text.text for place in draft.pending]
    step = max(1, sum(map(len, texts)) // _PIECES)
    found: list[str] = []
    until_next = 0
    for text in texts:
        start = until_next
        while start < len(text) and len(found) < _PIECES:
            begin = max(0, min(start, len(text) - _PIECE_CHARS))
            found.append(text[begin : begin + _PIECE_CHARS])
            start += step
        until_next = start - len(text)
    return found
