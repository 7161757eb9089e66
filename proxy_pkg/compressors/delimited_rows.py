"""CSV, TSV and their kin with lines left out, each run of them marked in its place; worth.py chooses which.

date,precipitation,weather
2012-01-01,0.0,drizzle
[2919 lines left out: 3-2921]
2015-12-31,1.0,sun
"""

from collections.abc import Sequence
from itertools import chain, repeat

from proxy_pkg.compressors import gaps
from proxy_pkg.compressors.contract import Reducer
from proxy_pkg.compressors.delimited import OWN_HEADER, cut, names_columns
from proxy_pkg.compressors.legend import START
from proxy_pkg.compressors.worth import Column, choose


def reduce(text: str, wanted: Sequence[str]) -> str | None:
    """The lines of `text` that stay, with marks; None if all do, or not all have the same number of cells."""
    if text.startswith(START) or OWN_HEADER.match(text) or gaps.has_marks(text):
        return None
    found = cut(text)
    if found is None:
        return None
    names, *rows = found.rows if names_columns(found.rows[0]) else [[""] * len(found.rows[0]), *found.rows]
    kept = choose([Column(name, cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)], wanted)
    if kept is None:
        return None
    has_header = len(rows) < len(found.rows)
    of_lines = chain.from_iterable(
        repeat(keeps, 1 + line.count("\n"))
        for keeps, line in zip(chain(b"\1" * has_header, kept), found.lines, strict=True)
    )
    body = text.removesuffix("\n")
    result = gaps.with_gaps(body.split("\n"), bytes(of_lines))
    return None if result is None else result + text[len(body) :]


DELIMITED_ROWS = Reducer("delimited-rows", reduce)
