"""How logs, test runs and lists of findings are written shorter: repeats, then shared beginnings, then long names."""

import re
from collections.abc import Callable
from itertools import compress

from msgspec import Struct

from proxy_pkg.compressors import aliases, gaps, grouping, repeats, signs
from proxy_pkg.compressors.alerts import Flag

SAMPLE_CHARS_MAX = 32_768

_TABLE = re.compile(r"\[[0-9]+ (?:\w+ )?rows: ")


class Folding(Struct, frozen=True):
    """What is particular about a kind of text.

    `looks_like` returns why a sample is of the kind, "" if it is not. Lines that `flag` marks stay word for
    word; `cut` says where lines may be parted; with `suffixes` lines share their ends as well.
    """

    looks_like: Callable[[str], str]
    flag: Flag
    cut: grouping.Cut = grouping.at_mark
    suffixes: bool = False


def is_folded(text: str) -> bool:
    """Tell whether `text` is, or looks like, a text that was written shorter already, here or as a table."""
    return (
        text.startswith((aliases.HEADER, grouping.HEADER, signs.HEADER))
        or bool(_TABLE.match(text))
        or repeats.has_marks(text)
    )


def folded(text: str, folding: Folding) -> str | None:
    """Return `text` shorter, None where it is not of the kind, in our form already, or nothing is saved."""
    if is_folded(text) or not folding.looks_like(text[:SAMPLE_CHARS_MAX]):
        return None
    return shared(text, folding)


def shared(text: str, folding: Folding) -> str | None:
    """Return `text`, which is of the kind, shorter, None where nothing is saved."""
    result = repeats.counted(text) or text
    lines = result.split("\n")
    fixed = folding.flag(result, lines)
    if gaps.has_marks(result):
        fixed = bytearray(is_fixed or gaps.read(line) is not None for line, is_fixed in zip(lines, fixed, strict=True))
    result = grouping.grouped(result, fixed, folding.cut, folding.suffixes) or result
    result = aliases.named(result, set(compress(lines, fixed))) or result
    return result if len(result) < len(text) else None
