"""Reading the output of grep, rg and their kin: which file, which line, hit or context.

Reading only splits a line where its parts lie, so that path, mark, number and text joined again are the line.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice

from msgspec import Struct

LINES_MIN = 3
SHARE_MIN = 0.6
"""So much of the lines with text must be hits, context or separators."""
SAMPLE_LINES = 100
SPLITS_MAX = 16
"""So many places in a line are tried as the end of its path."""
PATH_CHARS_MAX = 4096
FOLDERS_MAX = 64
"""So many folders of a path are tried as the one that other lines leave out."""

_NUMBERED = re.compile(r"((?:[A-Za-z]:(?=[\\/]))?[^:\n]{1,4096}):([1-9][0-9]{0,8}):")
_PLAIN = re.compile(r"((?:[A-Za-z]:(?=[\\/]))?[^:\s]{1,4096}):")
_TAIL = re.compile(r"([:-])([1-9][0-9]{0,8})\1")
_CONTEXT = re.compile(r"-[1-9][0-9]{0,8}-")
_DASH = re.compile("-")
_FOLDER = re.compile("/")
_BARE = re.compile(r"([1-9][0-9]{0,8})([:-])")
_LETTER = re.compile(r"[^\W\d_]")
_BLANK = re.compile(r"\s")
_FOLDERS = re.compile(r"[/\\]")
_EXTENSION = re.compile(r"\.[A-Za-z]\w{0,9}\Z")
_NO_NAME = frozenset("\"'`[<({#;,=*+-0123456789")
"""Where a line without folder or extension before its number starts so, the number is something else."""


class Line(Struct, frozen=True):
    """A hit or context line: its file, `:` or `-`, its number (0 where the tool printed none) and its text."""

    path: str
    mark: str
    number: int
    text: str


Item = Line | str
"""A str is a line of no file, or the separator `--`."""


class Hits(Struct, frozen=True):
    """What a search printed, line by line. `root` stood before the path in every Line without a colon."""

    form: str
    items: list[Item]
    root: str = ""


def read(lines: list[str]) -> Hits | None:
    """Return the hits in `lines`, None where most lines are something else."""
    for form in FORMS.values():
        if _is_search(form(lines[:SAMPLE_LINES]).items):
            hits = form(lines)
            return hits if _is_search(hits.items) else None
    return None


def looks_like(sample: str) -> str:
    """Return why `sample` is the output of a search, empty if it is not."""
    lines = sample.rstrip("\n").split("\n", SAMPLE_LINES)[:SAMPLE_LINES]
    return next((f"most lines are {name}" for name, form in FORMS.items() if _is_search(form(lines).items)), "")


def shows_one_file(text: str) -> bool:
    """Tell whether `text` is lines of one file, hits and context, with their numbers."""
    lines = text.rstrip("\n").split("\n")
    return _is_search(_one_file(lines[:SAMPLE_LINES]).items) and _is_search(_one_file(lines).items)


def _is_search(items: list[Item]) -> bool:
    others = sum(isinstance(item, str) for item in items)
    found = len(items) - others
    if found < LINES_MIN:
        return False
    others -= items.count("--") + items.count("")
    return found >= SHARE_MIN * (found + others)


def _with_hits(items: list[Item]) -> list[Item]:
    """The items, none of them if there is context alone."""
    return items if any(isinstance(item, Line) and item.mark == ":" for item in items) else []


def _numbered(lines: list[str]) -> Hits:
    """Read `path:12:text`, and `path-12-text` of the same files."""
    paths = _paths(lines, _NUMBERED)
    if not paths:
        return Hits("", [])
    root = _root(lines, paths)
    if root:
        items = list(_split(lines, paths, root))
        if all(isinstance(item, str) or item.path in paths for item in items):
            return Hits("path:number:text", _with_hits(items), root)
    return Hits("path:number:text", _with_hits(list(_split(lines, paths, ""))))


def _paths(lines: list[str], form: re.Pattern[str]) -> set[str]:
    found = {match[1] for match in map(form.match, lines) if match}
    return {path for path in found if _is_named(path)}


def _is_named(path: str) -> bool:
    """Tell whether `path` before a number can be a file's: `2024-01-02T10` cannot, `host a 1.2` cannot."""
    if not _LETTER.search(path) or path[0].isspace():
        return False
    if _BLANK.search(path):
        return bool(_EXTENSION.search(path))
    return path[0] not in _NO_NAME or bool(_FOLDERS.search(path) or _EXTENSION.search(path))


def _is_file(path: str) -> bool:
    """Tell whether `path` looks like a file's even without a number after it."""
    if len(path) > PATH_CHARS_MAX or _BLANK.search(path) or not _LETTER.search(path):
        return False
    return bool(_FOLDERS.search(path[:-1]) or _EXTENSION.search(path))


def _root(lines: list[str], paths: set[str]) -> str:
    """Return the folder that context lines name in full where hits name it not, empty if there is none."""
    for line in lines[:SAMPLE_LINES]:
        if line.startswith("/") and ":" not in line:
            for split in _splits(line, _CONTEXT):
                folders = islice(_FOLDER.finditer(line, 0, split), FOLDERS_MAX)
                root = next((line[: each.end()] for each in folders if line[each.end() : split] in paths), "")
                if root:
                    return root
    return ""


def _splits(line: str, end: re.Pattern[str]) -> Iterator[int]:
    for match in islice(end.finditer(line), SPLITS_MAX):
        yield match.start()


def _split(lines: list[str], paths: set[str], root: str) -> Iterator[Item]:
    path = ""
    for line in lines:
        whole = line
        if root and ":" not in line:
            if not line.startswith(root):
                yield line
                continue
            whole = line[len(root) :]
        tail = _TAIL.match(whole, len(path)) if path and whole.startswith(path) else None
        if tail is None:
            known = _known(whole, paths)
            tail = _TAIL.match(whole, len(known)) if known else None
            if tail is None:
                yield line
                continue
            path = known
        yield Line(path, tail[1], int(tail[2]), whole[tail.end() :])


def _known(line: str, paths: set[str]) -> str:
    """Return the path that `line` starts with, empty if that is none of `paths`."""
    for split in _splits(line, _CONTEXT):
        if line[:split] in paths:
            return line[:split]
    match = _NUMBERED.match(line)
    return match[1] if match and match[1] in paths else ""


def _plain(lines: list[str]) -> Hits:
    """Read `path:text`, and `path-text` of the same files."""
    paths = {path for path in _paths(lines, _PLAIN) if _is_file(path)}
    return Hits("path:text", _with_hits(list(_split_plain(lines, paths))) if paths else [])


def _split_plain(lines: list[str], paths: set[str]) -> Iterator[Item]:
    path = ""
    for line in lines:
        if not path or not line.startswith(path) or line[len(path) : len(path) + 1] not in (":", "-"):
            match = _PLAIN.match(line)
            known = match[1] if match and match[1] in paths else ""
            if not known:
                known = next((line[:split] for split in _splits(line, _DASH) if line[:split] in paths), "")
            if not known:
                yield line
                continue
            path = known
        yield Line(path, line[len(path)], 0, line[len(path) + 1 :])


def _one_file(lines: list[str]) -> Hits:
    """Read `12:text` and `12-text`, numbers rising: hits with context, or half of them one right below another."""
    items: list[Item] = []
    last = following = 0
    marks = set()
    for line in lines:
        match = _BARE.match(line)
        if match is None:
            items.append(line)
            continue
        number = int(match[1])
        if number <= last:
            return Hits("", [])
        following += number == last + 1
        last = number
        marks.add(match[2])
        items.append(Line("", match[2], number, line[match.end() :]))
    if len(marks) == 2 or ("-" in marks and following * 2 > len(items)):
        return Hits("number:text", items)
    return Hits("", [])


def _headings(lines: list[str]) -> Hits:
    """Read a path on a line of its own, `12:text` and `12-text` below it, and a blank line before the next."""
    items: list[Item] = []
    path = ""
    last = 0
    for index, line in enumerate(lines):
        match = _BARE.match(line) if path else None
        if match and int(match[1]) > last:
            last = int(match[1])
            items.append(Line(path, match[2], last, line[match.end() :]))
        elif path and line == "--":
            items.append(line)
        elif _is_heading(lines, index):
            if items:
                items.pop()
            path, last = line, 0
        else:
            path = ""
            items.append(line)
    return Hits("numbers below a path", _with_hits(items))


def _is_heading(lines: list[str], index: int) -> bool:
    """Tell whether a path stands at `index`, with a blank line before and a numbered line after it."""
    line = lines[index]
    if index + 1 == len(lines) or (index and lines[index - 1]) or not _BARE.match(lines[index + 1]):
        return False
    return _is_file(line) and not _BARE.match(line)


FORMS: dict[str, Callable[[list[str]], Hits]] = {
    "path:number:text": _numbered,
    "numbers below a path": _headings,
    "number:text": _one_file,
    "path:text": _plain,
}
