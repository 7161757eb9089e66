"""The header and the lines of a table, in the fewest characters that still read as a table.

What is the same in all rows, or follows from another column, stands in the header alone; so does a value
that many rows have. Columns whose values come in runs move into lines that begin with `# ` and hold for
the rows below them.
"""

from collections import Counter
from itertools import islice
from operator import ne, or_

from proxy_pkg.compressors import templates
from proxy_pkg.compressors.columns import ABSENT, HEAD, OWN, REPEATED, SEPARATOR_WEIGHT, Column, form, value, weight

SAMPLED = 48
SHARE_OF_ROWS = 4
"""The header has a value for empty cells where at least one row in so many has it."""
GROUP_ROWS_MIN = 2
"""A line that begins with # holds for at least so many rows, on average."""
ROWS_MIN = 6
"""A table of fewer rows has no such lines."""
CUTS_MAX = 8


class Run:
    """A column, or the beginnings of its words, as it would stand in lines that begin with #."""

    __slots__ = ("changes", "column", "count", "head_weight", "heads", "tail_weight", "tails", "usual_weight")

    def __init__(self, column: Column, heads: list[str], tails: list[str], usual_weight: int) -> None:
        self.column = column
        self.heads = heads
        self.tails = tails
        self.changes = list(map(ne, heads, islice(heads, 1, None)))
        self.count = 1 + sum(self.changes)
        self.head_weight = weight(heads) // len(heads) + 1
        self.tail_weight = weight(tails) if tails else 0
        self.usual_weight = usual_weight


def lay_out(columns: list[Column]) -> tuple[str, list[list[str]], list[tuple[int, list[str]]]]:
    """Return the header's items, the rows' cells, and the lines between rows: (row that follows, its cells)."""
