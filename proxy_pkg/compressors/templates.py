"""Columns whose strings can be made from other columns, or that begin or end alike in all rows.

    url=https://e.org/{id}, title=M {} - {place}, source or {name}-{version}.src.rpm

A column is made only from columns with fewer characters in all, or as many and further left, so that forms
never turn in a circle.
"""

import re
from collections.abc import Iterator
from itertools import repeat
from operator import contains, eq

from proxy_pkg.compressors.columns import BARE_NAME, Column, form

COLUMNS_MAX = 64
"""Of a wider table, only the first columns take part."""
PROBES = 7
TRIES = 3
WORD_CHARS_MIN = 3
"""What is put into other strings has at least so many characters, on average."""
ALIKE_CHARS_MIN = 3
ALIKE_CHARS = 8
ALIKE_SHARE = 4
"""What all words share leaves the cells if it is so many characters, or one in so many of all."""
EXCEPTION_ROWS_MIN = 6
EXCEPTIONS_SHARE = 3
"""A form with exceptions needs so many rows, and holds for all but one in so many of them, or more."""

_HEAD = re.compile(r".*[\W_]", re.DOTALL)
_TAIL = re.compile(r"[\W_].*", re.DOTALL)

Part = str | Column


def make(columns: list[Column]) -> None:
    """Give each column that can be made from others, in all rows or in most, the form that says how."""
    ranked = sorted(
        (len("".join(column.words)), index, column)
        for index, column in enumerate(columns[:COLUMNS_MAX])
        if column.words
    )
    sources: list[Column] = []
    for length, _, column in ranked:
        if column.is_text and sources:
            _make_one(column, sources)
        is_long = length >= WORD_CHARS_MIN * len(column.cells)
        if is_long and column.hole is None and BARE_NAME.fullmatch(column.name):
            sources.append(column)


def share(column: Column) -> None:
    """Take from the words of `column` what they all begin and end with."""
    words = column.words
    if column.hole is not None:
        words = [word for word, cell in zip(words, column.cells, strict=True) if cell != column.hole]
    probes = words[:: len(words) // PROBES + 1]
    if len({word[:1] for word in probes}) == 1 or len({word[-1:] for word in probes}) == 1:
        head, tail = _alike(words)
        both = len(head) + len(tail)
        if both >= ALIKE_CHARS_MIN and (both >= ALIKE_CHARS or both * len(words) * ALIKE_SHARE >= len("".join(words))):
            _rewrite(column, column.words, [head, None, tail])


def _make_one(target: Column, sources: list[Column]) -> None:
    words = target.words
    rows = [row for row, word in enumerate(words) if word] if "" in words else range(len(words))
    if len(rows) < 2:
        return
    probes = [rows[len(rows) * n // PROBES] for n in range(PROBES)]
    sources = [source for source in sources if _varies([source.words[row] for row in probes])]
    for probe in probes[:: PROBES // TRIES]:
        parts = _taken_apart(target.words[probe], sources, probe)
        if len(parts) > 1 or isinstance(parts[0], Column):
            alike = sum(_made(parts, row) == target.words[row] for row in probes)
            if alike * 2 > PROBES and _whole(target, parts):
                return
    if len(rows) == len(target.words):
        _partly(target, sources, probes)


def _varies(words: list[str]) -> bool:
    return max(map(words.count, words)) * 2 <= len(words) + 1


def _taken_apart(text: str, sources: list[Column], row: int) -> list[Part]:
    """Return `text` as literals and those of `sources` whose word in `row` it holds, longest first."""
    found = [(word, source) for source in sources if len(word := source.words[row]) > 1 and word in text]
    parts: list[Part] = [text]
    for word, source in sorted(found, key=lambda pair: -len(pair[0])):
        for at, part in enumerate(parts):
            if isinstance(part, str) and word in part:
                before, _, after = part.partition(word)
                parts[at : at + 1] = [piece for piece in (before, source, after) if piece]
                break
    return parts


def _made(parts: list[Part], row: int) -> str:
    return "".join(part if isinstance(part, str) else part.words[row] for part in parts)


def _all_made(parts: list[Part], rows: int) -> Iterator[str]:
    columns = (repeat(part, rows) if isinstance(part, str) else part.words for part in parts)
    return map("".join, zip(*columns, strict=True))


def _whole(target: Column, parts: list[Part]) -> bool:
    """Let `target` be made of `parts`, where that holds for all or most of its rows."""
    text = form(parts)
    same = list(map(eq, _all_made(parts, len(target.cells)), target.words))
    words = len(target.cells) - (0 if target.hole is None else target.cells.count(target.hole))
    exceptions = words - sum(same)
    if not text or exceptions * EXCEPTIONS_SHARE > words:
        return False
    if not exceptions and target.hole is None:
        target.form, target.is_shown = text, False
        return True
    if len(same) < EXCEPTION_ROWS_MIN or (target.absent is None and "" in target.cells):
        return False
    absent = target.absent or ""
    target.cells = ["" if made else cell or absent for made, cell in zip(same, target.cells, strict=True)]
    target.fallback = text
    return True


def _partly(target: Column, sources: list[Column], probes: list[int]) -> None:
    """Let `target` have cells with what is left of its words without the words of one of `sources`."""
    tries = 0
    for source in reversed(sources):
        if tries == TRIES:
            return
        if not all(source.words[row] and source.words[row] in target.words[row] for row in probes):
            continue
        tries += 1
        if not all(map(contains, target.words, source.words)):
            continue
        cuts = [word.partition(part) for word, part in zip(target.words, source.words, strict=True)]
        before, after = [cut[0] for cut in cuts], [cut[2] for cut in cuts]
        if after.count(after[0]) == len(after):
            head, tail = _alike(before)
            done = _rewrite(target, before, [head, None, tail, source, after[0]])
        elif before.count(before[0]) == len(before):
            head, tail = _alike(after)
            done = _rewrite(target, after, [before[0], source, head, None, tail])
        else:
            continue
        if done:
            target.is_mixed = True
            return


def _rewrite(column: Column, words: list[str], parts: list[Part | None]) -> bool:
    """Let the cells of `column` be `words` without the literals around the cell in `parts`."""
    at = parts.index(None)
    head, tail = parts[at - 1], parts[at + 1]
    text = form(parts)
    if not text or not isinstance(head, str) or not isinstance(tail, str):
        return False
    start, end = len(head), len(tail)
    column.rewrite([word[start : len(word) - end] for word in words], text)
    return True


def _alike(words: list[str]) -> tuple[str, str]:
    """Return what `words` all begin and end with, up to a place between words."""
    head = _HEAD.match(_common(min(words), max(words)))
    start = head.end() if head else 0
    if len({word[-1:] for word in words[:: len(words) // PROBES + 1]}) > 1:
        return words[0][:start], ""
    room = min(map(len, words)) - start
    backwards = [word[: -room - 1 : -1] for word in words] if room else [""]
    tail = _TAIL.search(_common(min(backwards), max(backwards))[::-1])
    return words[0][:start], tail[0] if tail else ""


def _common(one: str, other: str) -> str:
    """Return what two strings begin with."""
    length = min(len(one), len(other))
    return one[: next((at for at in range(length) if one[at] != other[at]), length)]
