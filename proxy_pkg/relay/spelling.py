"""Heads of requests leave with the bytes that came, also where these are no UTF-8.

Header values are text here, each byte one character (latin-1), and aiohttp writes text as UTF-8. It has no place to
say otherwise but the function that writes a head.
"""

from aiohttp import http_writer
from multidict import CIMultiDict

_written = http_writer._serialize_headers


def head_bytes(status_line: str, headers: "CIMultiDict[str]") -> bytes:
    """The head as aiohttp writes it, and each character up to 255 as one byte. Raises what aiohttp raises."""
    data = _written(status_line, headers)
    if data.isascii():
        return data
    text = data.decode()
    # What stands above 255 came from no client of ours.
    return text.encode("latin-1") if max(text) <= "\xff" else data


def spell_heads_as_they_came() -> None:
    """From now on every head that this process writes upstream. A second call changes nothing."""
    http_writer._serialize_headers = head_bytes
