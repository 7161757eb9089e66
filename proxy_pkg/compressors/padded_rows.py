"""Columns padded with blanks, as kubectl, docker and ps print them, with lines left out; worth.py chooses which."""

from collections.abc import Sequence

from proxy_pkg.compressors import gaps
from proxy_pkg.compressors.contract import Reducer
from proxy_pkg.compressors.delimited import OWN_HEADER
from proxy_pkg.compressors.legend import START
from proxy_pkg.compressors.padded import cells_of
from proxy_pkg.compressors.worth import Column, choose


def reduce(text: str, wanted: Sequence[str]) -> str | None:
    """The lines of `text` that stay, with marks; None if all do, or they are no columns below a line of names."""
    if text.startswith(START) or OWN_HEADER.match(text) or gaps.has_marks(text):
        return None
    body = text.removesuffix("\n")
    columns = cells_of(body)
    kept = choose([Column(names_cell, cells) for names_cell, *cells in columns], wanted) if columns else None
    if kept is None:
        return None
    result = gaps.with_gaps(body.split("\n"), b"\1" + kept)
    return None if result is None else result + text[len(body) :]


PADDED_ROWS = Reducer("padded-rows", reduce)
