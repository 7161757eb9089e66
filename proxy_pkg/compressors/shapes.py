"""Shapes of lines: which lines a program wrote from one pattern, however their numbers, names and times differ.

After Drain (He, Zhu, Zheng, Lyu: Drain, an online log parsing approach with fixed depth tree, ICWS 2017): lines are
compared with lines of as many words only, word by word, and words with digits are alike. Its tree is replaced by a
short list of the shapes that came last.
"""

import re
from operator import eq

from msgspec import Struct

WORDS_MAX = 48
"""Lines are compared up to here."""
RECENT_MAX = 12
"""A line is compared with no more shapes of as many words."""
ALIKE_SHARE = 0.6
TABS_MIN = 4
"""Where lines have more tabs than this, blanks part no words."""

_SEPARATORS = b"\t\r,;|'(){}[]<>"
_BLANKED = bytes.maketrans(_SEPARATORS, b" " * len(_SEPARATORS))
_NO_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_DIGITS = re.compile(rb"(?<![^ \n])[^ \n0]*+0[^ \n]*+")
_QUOTED = re.compile(rb'"[^"\n]{0,4096}"')
_BLANK, _JOINED, _ANY = b" ", b"\x01", b"0"

Words = list[bytes]


class Shapes(Struct, frozen=True):
    """For each line of a text the number of its shape, and its words, WORDS_MAX at most.

    Lines of one shape have the same number of words, those at the end left out included.
    """

    of_lines: list[int]
    words: list[Words]
    has_phrases: bool
    """Some words are phrases: what stood between quotes, or tabs, its blanks replaced."""

    def groups(self) -> list[list[int]]:
        """The lines of each shape, in order."""
        found: dict[int, list[int]] = {}
        for line, shape in enumerate(self.of_lines):
            found.setdefault(shape, []).append(line)
        return list(found.values())


def shapes(text: str) -> Shapes:
    """The shapes of the lines in `text`: linear in its length."""
    data = text.encode(errors="surrogatepass")
    if data.count(b"\t") > TABS_MIN * data.count(b"\n"):
        data = data.replace(_BLANK, _JOINED)
    data = data.translate(_BLANKED)
    if b'"' in data:
        data = _QUOTED.sub(_as_one_word, data)
    masked = _DIGITS.sub(_ANY, data.translate(_NO_DIGITS)).split(b"\n")
    shape_of: dict[bytes, int] = {}
    recent: dict[int, list[_Known]] = {}
    for line in masked:
        if line not in shape_of:
            shape_of[line] = _shape(line.split(), recent, len(shape_of))
    words = [line.split()[:WORDS_MAX] for line in data.split(b"\n")]
    return Shapes([shape_of[line] for line in masked], words, _JOINED in data)


class _Known(Struct, frozen=True):
    """A shape: its number, the words of its first line, empty for those with digits, and how many have none."""

    shape: int
    words: Words
    plain: int


def _as_one_word(quoted: re.Match[bytes]) -> bytes:
    return quoted[0].replace(_BLANK, _JOINED)


def _shape(words: Words, recent: dict[int, list[_Known]], unused: int) -> int:
    """The number of the shape that a line of `words` has, `unused` if it is the first of its shape."""
    known = recent.setdefault(len(words), [])
    words = words[:WORDS_MAX]
    plain = len(words) - words.count(_ANY)
    for at, one in enumerate(known):
        if sum(map(eq, words, one.words)) >= int(ALIKE_SHARE * max(plain, one.plain)):
            if at:
                known.insert(0, known.pop(at))
            return one.shape
    known.insert(0, _Known(unused, [word if word != _ANY else b"" for word in words], plain))
    del known[RECENT_MAX:]
    return unused
