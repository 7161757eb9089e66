"""Lists of paths, as find, glob, ls-files and rg --files print them: each directory written once.

    [97 paths by directory, all below /srv/app/]
    src/cli/
     main.py
     report.py
    README.md

A line that ends in `/`, in lists of Windows paths `\\`, is a directory if the next line begins with a blank and more
than one path is yet to come; lines that begin with a blank name what is in it. Any other line is a path by itself.
The order is the input's. `all below` gives what every path began with. The header counts the paths; lines before it
and those after the last path are other words of the tool.
"""

import re
from collections.abc import Collection
from itertools import groupby

from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.model import Grade

PATHS_MIN = 5
OTHER_LINES_MAX = 3
"""So many lines before, and so many after, may be other words."""
NESTED_SHARE_MIN = 0.6
PREFIX_CHARS_MIN = 4
SAMPLE_LINES = 100

_SUM = re.compile(r"[0-9a-f]{32,128} [ *]")
"""A checksum before a path: no part of it, and another one on each line."""
_HEADER = re.compile(r"\[[0-9]+ paths by directory[\],]")
_FIRST = r"[^\s\"'<>|{}()\[\],;=#`*]"
_PATH = re.compile(rf"{_FIRST}[^\s\"<>|{{}};,]*+|(?=[^/\\]*[/\\]){_FIRST}[^\t\r\f\v\"<>|{{}};,:]*[^\s\"<>|{{}};,:.]")


def looks_like(sample: str) -> str:
    """Return why `sample` is a list of paths, empty if it is not."""
    lines = sample.rstrip("\n").split("\n", SAMPLE_LINES)
    if sum(map(bool, map(_SUM.match, lines))) * 2 > len(lines):
        return ""
    return "nearly every line is a path" if _run(lines[:SAMPLE_LINES]) else ""


def compress(text: str) -> str | None:
    """Return the list of paths `text` with each directory written once, None where it is none or not shorter so."""
    if not looks_like(text):
        return None
    body = text.rstrip("\n")
    lines = body.split("\n")
    run = _run(lines)
    if run is None or any(_HEADER.match(line) for line in lines[: run.start]):
        return None
    paths = lines[run.start : run.stop]
    mark = "/" if any("/" in path for path in paths) else "\\"
    prefix = shared_folder(paths, mark)
    below = [path[len(prefix) :] for path in paths]
    if any(path.startswith(" ") for path in below):
        return None
    header = f"[{len(paths)} paths by directory" + (f", all below {prefix}]" if prefix else "]")
    out = [*lines[: run.start], header, *_by_directory(below, mark), *lines[run.stop :]]
    result = "\n".join(out) + text[len(body) :]
    return result if len(result) < len(text) else None


def _run(lines: list[str]) -> slice | None:
    """Return where the paths in `lines` are, None where it is not nearly all of them."""
    is_path = _PATH.fullmatch
    start, stop = 0, len(lines)
    while start < min(stop, OTHER_LINES_MAX) and not _is_nested(lines[start]):
        start += 1
    while stop > max(start, len(lines) - OTHER_LINES_MAX) and not is_path(lines[stop - 1]):
        stop -= 1
    if stop - start < PATHS_MIN or not all(map(is_path, lines[start:stop])):
        return None
    nested = sum(map(_is_nested, lines[start:stop]))
    return slice(start, stop) if nested >= NESTED_SHARE_MIN * (stop - start) else None


def _is_nested(line: str) -> bool:
    return ("/" in line or "\\" in line) and _PATH.fullmatch(line) is not None


def shared_folder(paths: Collection[str], marks: str) -> str:
    """Return the folder that two `paths` or more all lie in, with the one of `marks` at its end; empty if short."""
    first, last = min(paths, default=""), max(paths, default="")
    if first == last:
        return ""
    length = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    shared = first[: max(first.rfind(mark, 0, length) for mark in marks) + 1]
    return shared if len(shared) >= PREFIX_CHARS_MIN else ""


def _by_directory(paths: list[str], mark: str) -> list[str]:
    out: list[str] = []
    for folder, group in groupby(paths, lambda path: path[: path.rfind(mark, 0, -1) + 1]):
        inside = list(group)
        if len(folder) * (len(inside) - 1) > len(inside) + 1:
            out.append(folder)
            out += [" " + path[len(folder) :] for path in inside]
        else:
            out += inside
    return out


PATHS = Compressor("paths", Grade.INVERTIBLE, compress)
