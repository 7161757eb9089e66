"""Long names, quoted strings, addresses and phrases that come often, written once in a list at the top.

The first lines are `[&1 stands for "…"]` spelled as a list; further down the short name stands for the
text. Lines that report errors, and those beside them, keep every word.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import pairwise

from proxy_pkg.compressors.estimate import tokens

HEADER = "[short names, each standing for the text after its =]"
SIGILS = "&§¤~"
SAMPLE_CHARS_MAX = 49_152
"""Phrases are looked for in so much of a text: its start, middle and end."""
PHRASE_CHARS_MIN = 16
PHRASE_CHARS_MAX = 400
CANDIDATES_MAX = 64
NAMES_MAX = 32
NAME_TOKENS = 2
SAVED_TOKENS_MIN = 32
"""A name that saves less is not worth looking up."""

_QUOTED = re.compile(rf'"[^"\n]{{{PHRASE_CHARS_MIN},{PHRASE_CHARS_MAX}}}"')
_WORD = re.compile(rf"[^\s\"'(),;\[\]{{}}<>=&]{{{PHRASE_CHARS_MIN},{PHRASE_CHARS_MAX}}}")
_FIELD = re.compile(rf"(?<=\t)[^\t\n]{{{PHRASE_CHARS_MIN},{PHRASE_CHARS_MAX}}}(?=[\t\n])")
_LETTER = re.compile(r"[^\W\d_]")
_PROSE = re.compile(rf"(?<!\S)[^\s0-9\"][^0-9\n\"]{{{PHRASE_CHARS_MIN},{PHRASE_CHARS_MAX}}}(?!\S)")


def named(text: str, kept: Collection[str]) -> str | None:
    """Return `text` with short names for what comes often, None where that saves nothing.

    Lines in `kept` stay as they are.
    """
    sigil = next((one for one in SIGILS if not re.search(one + "[0-9]", text)), None)
    if sigil is None or "\x00" in text:
        return None
    # Lines to keep are out of reach while names are put in.
    whole = [line for line in text.split("\n") if line in kept] if kept else []
    body = "\n".join("\x00" if line in kept else line for line in text.split("\n")) if whole else text
    body, phrases = _named(body, sigil)
    if not phrases:
        return None
    if whole:
        left = iter(whole)
        body = "\n".join(next(left) if line == "\x00" else line for line in body.split("\n"))
    names = "\n".join(f"{sigil}{n}={phrase}" for n, phrase in enumerate(phrases, 1))
    result = f"{HEADER}\n{names}\n\n{body}"
    return result if len(result) < len(text) else None


def _named(body: str, sigil: str) -> tuple[str, list[str]]:
    """Return `body` with names in it and what they stand for, the first named first."""
    phrases: list[str] = []
    for phrase in _phrases(body):
        name = f"{sigil}{len(phrases) + 1}"
        shorter, count = _replaced(body, phrase, name)
        if _saved(phrase, count) < SAVED_TOKENS_MIN:
            continue
        body = shorter
        phrases.append(phrase)
        if len(phrases) == NAMES_MAX:
            break
    return body, phrases


def _replaced(body: str, phrase: str, name: str) -> tuple[str, int]:
    """Return `body` with `name` where `phrase` stands apart from words beside it, and how often that is."""
    parts = body.split(phrase)
    if _saved(phrase, len(parts) - 1) < SAVED_TOKENS_MIN:
        return body, 0
    pieces, count = [parts[0]], 0
    for before, after in pairwise(parts):
        last, following = before[-1:], after[:1]
        # Glued to a word, a name is hard to tell from it; and a digit behind a sigil is part of a name.
        inside = last == name[0] or _is_word(last) or _is_word(following)
        pieces += (phrase if inside else name, after)
        count += not inside
    return "".join(pieces), count


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _phrases(body: str) -> list[str]:
    """Return the phrases that may save most, the best first."""
    counts: Counter[str] = Counter()
    sampled = 0
    for piece in _sample(body):
        sampled += len(piece)
        counts.update(_candidates(piece))
    share = len(body) / max(1, sampled)
    scores = {
        phrase: _saved(phrase, int(count * share))
        for phrase, count in counts.items()
        if count > 2 and count * share * len(phrase) > SAVED_TOKENS_MIN * 3 and _LETTER.search(phrase)
    }
    best = sorted((phrase for phrase in scores if scores[phrase] >= SAVED_TOKENS_MIN), key=lambda p: (-scores[p], p))
    return best[:CANDIDATES_MAX]


def _candidates(piece: str) -> dict[str, int]:
    """Return whole words, folders, quoted strings, fields and runs of words, and how often each was seen."""
    words = Counter(word.rstrip("-") for word in _WORD.findall(piece))
    found = dict(words)
    for word, count in words.items():
        # The slash behind a folder stays, so that no name is glued to a file's.
        folder = word[: max(0, word.rfind("/"))]
        scheme = word.find("://")
        if scheme > 0:
            host = word[: max(0, word.find("/", scheme + 3))]
            if len(host) >= PHRASE_CHARS_MIN and host not in (word, folder):
                found[host] = found.get(host, 0) + count
        if len(folder) >= PHRASE_CHARS_MIN and folder != word:
            found[folder] = found.get(folder, 0) + count
    if '"' in piece:
        found.update(Counter(_QUOTED.findall(piece)))
    if "\t" in piece:
        found.update(Counter(_FIELD.findall(piece)))
    for phrase, count in Counter(_PROSE.findall(piece)).items():
        found[phrase.rstrip()] = count
    return found


def _sample(body: str) -> Iterator[str]:
    if len(body) <= SAMPLE_CHARS_MAX:
        yield body
        return
    third = SAMPLE_CHARS_MAX // 3
    for start in (0, (len(body) - third) // 2, len(body) - third):
        yield body[start : start + third]


def _saved(phrase: str, count: int) -> int:
    size = tokens(phrase)
    return (size - NAME_TOKENS) * count - size - 4
