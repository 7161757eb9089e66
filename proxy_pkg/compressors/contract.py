"""What a compressor is, and the laws that each one keeps."""

from collections.abc import Callable

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
