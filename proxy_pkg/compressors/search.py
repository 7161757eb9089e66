"""Search hits of grep, rg and their kin: each file's path once, above its lines; runs of context numbered once.

    [hits by file (== path), paths below src/; unnumbered lines are context and count on]
    == cli/main.py
    41:    except OSError:
            raise
    --

Below `== path` a line begins with its number and `:` for a hit or `-` for context, as it came. A context line
right below line n is line n + 1 and stands without its number, but for every tenth. Without numbers in the
input, lines stand as they are, or with the `:` or `-` that told hit from context. `--` are the tool's own
separators. Text of no file stands before the first `== path` or below a bare `==`.

Four forms are read: `path:12:text`, `path:text`, `12:text` of one file, and rg's own headings, between which
blank lines are left out. Some clients shorten paths only in lines with a colon; the header then says what all
others began with.
"""

import re
from collections.abc import Callable, Iterable
from os.path import commonprefix

from msgspec import Struct

from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.model import Grade

HITS_MIN = 3
SHARE_MIN = 0.6
"""So much of the lines with text must be hits, context or separators."""
STEP = 10
SPLITS_MAX = 16
"""So many places in a line are tried as the end of its path."""
ROOT_LINES_MAX = 400
PREFIX_CHARS_MIN = 4
HEADER = "[hits by file"
ONE_FILE = "[hits; unnumbered lines are context and count on]"
COUNTING = "; unnumbered lines are context and count on"
MARKED = "; : hit, - context"
BLANKS = ", blank lines between"
ROOTED = "; lines without a colon had paths below "

_NUMBERED_HIT = re.compile(r"((?:[A-Za-z]:)?[^:\n]+):([1-9][0-9]{0,8}):")
_PLAIN_HIT = re.compile(r"((?:[A-Za-z]:(?=[\\/]))?[^:\s]+):")
_TAIL = re.compile(r"([:-])([1-9][0-9]{0,8})\1")
_CONTEXT_NUMBER = re.compile(r"-[1-9][0-9]{0,8}-")
_BELOW_HEADING = re.compile(r"([1-9][0-9]{0,8})([:-])")
_PATH = re.compile(r"(?:[A-Za-z]:)?(?=[^:]*[A-Za-z])(?=[^:]*(?:[/\\]|\.[A-Za-z]|file\Z))[^\s:\"'<>|*?{}()=,;][^:\"<>|*?{};]*")
_STRUCTURE = re.compile(r"[1-9][0-9]{0,8}[:-]|==(?: |\Z)|--\Z")


class Line(Struct, frozen=True):
    """A hit or context line: its file, `:` or `-`, its number (0 where the tool printed none) and its text."""

    path: str
    mark: str
    number: int
    text: str


Item = Line | str
"""A str is text of no file, or the separator `--`."""


def looks_like(sample: str) -> str:
    """Return why `sample` is the output of a search, empty if it is not."""
    lines = sample.split("\n")[:200]
    for name, parse in _FORMS:
        items = parse(lines)
        if _is_search(items):
            return f"most lines have the form {name}"
    return ""


def compress(text: str) -> str | None:
    """Return the hits in `text` below the paths of their files; None where that is not its form or not shorter."""
    if text.startswith((HEADER, ONE_FILE)):
        return None
    body = text.rstrip("\n")
    lines = body.split("\n")
    start = lines[:200]
    for name, parse in _FORMS:
        if _is_search(parse(start)):
            items = parse(lines)
            result = _write(items, name) if _is_search(items) else None
            if result is not None and len(result) + len(text) - len(body) < len(text):
                return result + text[len(body) :]
    return None
