"""What an agent asked for: the words of its question and of the tool call's arguments, and where a text has them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

TERMS_MAX = 48
HITS_MAX = 24
"""A term with more places in a text than this tells nothing apart there."""

_SOURCE_CHARS_MAX = 16_384
_WORD = re.compile(r"[^\W_](?:[\w.:/@-]*\w)?")
_TERM_CHARS_MIN = 3
_DEPTH_MAX = 4
_PLAIN_WORDS = frozenset(
    """
    about after again all also and any are because been before but can check code command could did does done
    each error errors fail failed failing file files find first fix for from get give had has have how into
    its just let line lines list look make many may more most need not now only out output over please read
    result results run see show some such tell test tests than that the their them then there these they this
    true false null none until use used using want was were what when where which who why will with would you your
    """.split()  # noqa: SIM905  reads better than a hundred quoted words
)


def terms(arguments: Mapping[str, Any], question: str = "") -> tuple[str, ...]:
    """The words worth looking for, without repetition: names, numbers and paths before plain words.

    Bounded: at most TERMS_MAX of the first _SOURCE_CHARS_MAX characters of the arguments and of the question.
    """
    found: dict[str, bool] = {}
    for source in (_joined(arguments), question[:_SOURCE_CHARS_MAX]):
        for word in _WORD.findall(source):
            if len(word) >= _TERM_CHARS_MIN and word.lower() not in _PLAIN_WORDS:
                found.setdefault(word, not word.isalpha())
    return tuple(sorted(found, key=lambda word: not found[word])[:TERMS_MAX])


def places(text: str, wanted: Sequence[str]) -> list[int]:
    """Where `text` has one of the terms `wanted` as a whole word: offsets in characters, in order.

    Terms with more than HITS_MAX places count as asked for nowhere.
    """
    found: list[int] = []
    for term in wanted:
        found += _hits(text, term)
    return sorted(found)


def _hits(text: str, term: str) -> list[int]:
    """All places of `term`; none if there are more than HITS_MAX, parts of longer words included."""
    hits, seen = [], 0
    at = text.find(term)
    while at >= 0:
        seen += 1
        if seen > HITS_MAX:
            return []
        end = at + len(term)
        if not (at and text[at - 1].isalnum()) and not text[end : end + 1].isalnum():
            hits.append(at)
        at = text.find(term, end)
    return hits


def _joined(arguments: Mapping[str, Any]) -> str:
    parts: list[str] = []
    left = _SOURCE_CHARS_MAX
    for text in _strings(arguments, _DEPTH_MAX):
        parts.append(text[:left])
        left -= len(text)
        if left <= 0:
            break
    return "\n".join(parts)


def _strings(value: Any, depth_left: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float):
        yield str(value)
    elif depth_left:
        inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
        for item in inside:
            yield from _strings(item, depth_left - 1)
