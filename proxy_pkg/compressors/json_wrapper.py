"""An output that a tool sends as a string in a JSON object, with a few words about the run behind it.

    {"output":"total 12\\ndrwxr-xr-x …","metadata":{"exit_code":0,"duration_seconds":0.1}}

What is inside is treated as it would be by itself, and written back as a JSON string in the same way, so that bytes
that did not change come back as they were. A text that is spelled in another way is no such object.
"""

import re
from json import JSONDecoder  # noqa: TID251  reads one string out of a text, and says where it ends
from json.encoder import encode_basestring, encode_basestring_ascii  # noqa: TID251  quotes as others wrote them

from msgspec import Struct

REST_CHARS_MAX = 4096
"""So much may stand behind the output."""

_OPENING = re.compile(r'\{\s{0,8}"(?:output|stdout)"\s{0,4}:\s{0,4}(?=")')
_REST = re.compile(r"\s{0,8}[,}]")
_DECODER = JSONDecoder()


class Inside(Struct, frozen=True):
    """An output, and the object around it: `head` ends before its quote, `tail` begins behind it."""

    head: str
    output: str
    tail: str
    is_ascii: bool

    def around(self, output: str) -> str:
        """Return the object with another output in it."""
        return self.head + _encoded(output, self.is_ascii) + self.tail


def may_be_wrapped(text: str) -> bool:
    """Tell, at no cost, whether `text` begins like such an object."""
    return text[:1] == "{" and _OPENING.match(text) is not None


def inside(text: str) -> Inside | None:
    """Take apart `text`; None if it is no output in an object, or does not come back as it was spelled."""
    found = _OPENING.match(text) if text[:1] == "{" else None
    if found is None:
        return None
    start = found.end()
    try:
        output, end = _DECODER.raw_decode(text, start)
        output.encode()
    except ValueError:  # no JSON, or half of a surrogate pair
        return None
    tail = text[end:]
    if len(tail) > REST_CHARS_MAX or not _REST.match(tail) or not tail.rstrip().endswith("}"):
        return None
    for is_ascii in (False, True):
        if text[start:end] == _encoded(output, is_ascii):
            return Inside(text[:start], output, tail, is_ascii)
    return None


def line_breaks(text: str) -> int:
    """Return at least how many line breaks `text`, or the output in it, has."""
    return text.count("\n") + (text.count("\\n") if may_be_wrapped(text) else 0)


def _encoded(output: str, is_ascii: bool) -> str:
    return encode_basestring_ascii(output) if is_ascii else encode_basestring(output)
