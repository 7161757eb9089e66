"""Text without long runs of base64 or hexadecimal digits: certificates, encoded files, dumps.

    -----BEGIN CERTIFICATE-----
    MIIFazCCA1OgAwIBAgIRAIIQz7DSQONZRGPgu2OCiwAwDQYJKoZIhvcNAQELBQAw
    [26 lines left out: 3-28]
    nLRbwHOoq7hHwg==
    -----END CERTIFICATE-----

Only whole lines go. The first of a run of several stays, to tell one from another, and so does one that was asked for.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from proxy_pkg.compressors import asked, gaps
from proxy_pkg.compressors.contract import Reducer

RUN_CHARS_MIN = 512

# Shorter lines may be names or keys that are worth reading.
_CODED = (
    r"[ \t]*+(?:[A-Za-z0-9+/]{48,}+|[A-Za-z0-9_-]{48,}+|(?:[0-9A-Fa-f]{2}[ :]){16,}+[0-9A-Fa-f]{0,2})={0,2}[ \t\r]*+"
)
_RUN = re.compile(rf"^{_CODED}(?:\n{_CODED})*+$", re.MULTILINE)
_DIGIT, _LETTER = re.compile("[0-9]"), re.compile("[A-Za-z+/_-]")
_HASHES = re.compile(r"(?:(?:[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})\r?\n)+[0-9a-f]*", re.IGNORECASE)
"""Lines as long as a hash each are a list of names."""
DIGITS_SHARE = (0.05, 0.9)
"""Of encoded bytes, so much is digits: less in names and words, more in numbers."""


def reduce(text: str, wanted: Sequence[str]) -> str | None:
    """Return `text` without encoded lines, None where it has no long run of them."""
    if gaps.has_marks(text):
        return None
    lines = text.split("\n")
    ends = list(accumulate(len(line) + 1 for line in lines))
    kept = bytearray(b"\x01" * len(lines))
    for run in _RUN.finditer(text):
        if len(run[0]) >= RUN_CHARS_MIN and _is_coded(run[0]):
            first, last = (bisect_right(ends, at) for at in (run.start(), run.end()))
            first += last > first
            kept[first : last + 1] = bytes(last + 1 - first)
    if all(kept):
        return None
    for place in asked.places(text, wanted):
        kept[bisect_right(ends, place)] = 1
    return gaps.with_gaps(lines, kept)


def _is_coded(run: str) -> bool:
    """Whether a run has the mix of digits and letters that encoded bytes have, and is no list of hashes."""
    sample = run[:4096]
    if _HASHES.fullmatch(sample):
        return False
    digits = len(_DIGIT.findall(sample))
    least, most = DIGITS_SHARE
    return least <= digits / (digits + len(_LETTER.findall(sample)) or 1) <= most


OPAQUE_LINES = Reducer("opaque-lines", reduce)
