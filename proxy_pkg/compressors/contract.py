"""What a compressor is, and the laws that each one keeps."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from proxy_pkg.model import Grade


class Compressor(Struct, frozen=True):
    """A pure function that writes one kind of text shorter, and what it promises.

    `compress(text)` returns the shorter text, or None where it has nothing to do or is in any doubt. Laws,
    tested for every compressor:

    - never raises, whatever the text (lone surrogates excepted, which callers keep out);
    - pure: the same text gives the same result in every process;
    - never longer: a result has fewer characters than the text;
    - idempotent: compressing a result gives None or the same result;
    - linear: time and memory grow with the length of the text, worst cases included;
    - its grade holds: an inverse, equal values, or the same text on a screen (see model.Grade).

    `version` goes up with every change of output: texts already sent must keep the form they were sent in.
    """

    name: str
    grade: Grade
    compress: Callable[[str], str | None]
    version: int = 1


class Reducer(Struct, frozen=True):
    """A pure function that leaves out lines or records of one kind of text, for the level `balanced`.

    `reduce(text, wanted)` returns the text with gaps, or None where nothing should go. `wanted` are the words that
    were asked for (asked.terms). It runs before the kind's chain of compressors, which takes what it leaves.
    Laws beside those of a compressor, tested for every reducer:

    - every line, record or run of text that is kept is one of the input, unchanged and in order;
    - every gap has a mark in its place (gaps.mark) that says how many of what went, and their numbers;
    - a text that has such marks gives None, so that nothing is reduced twice;
    - errors, summaries, and what was asked for stay, with the lines that explain them.
    """

    name: str
    reduce: Callable[[str, Sequence[str]], str | None]
    version: int = 1

    @property
    def grade(self) -> Grade:
        return Grade.LOSSY
