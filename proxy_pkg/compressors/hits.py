"""Reading the output of grep, rg and their kin: which file, which line, hit or context.

Reading only splits a line where its parts lie, so that path, mark, number and text joined again are the line.
"""

import re
from collections.abc import Callable, Iterator

from msgspec import Struct

LINES_MIN = 3
SHARE_MIN = 0.6
"""So much of the lines with text must be hits, context or separators."""
SAMPLE_LINES = 200
SPLITS_MAX = 16
"""So many places in a line are tried as the end of its path."""
ROOT_PATHS_MAX = 64

_NUMBERED = re.compile(r"((?:[A-Za-z]:(?=[\\/]))?[^:\n]+):([1-9][0-9]{0,8}):")
_PLAIN = re.compile(r"((?:[A-Za-z]:(?=[\\/]))?[^:\s]+):")
_TAIL = re.compile(r"([:-])([1-9][0-9]{0,8})\1")
_CONTEXT = re.compile(r"-[1-9][0-9]{0,8}-")
_BARE = re.compile(r"([1-9][0-9]{0,8})([:-])")
_NAMED = re.compile(r"[^\s\d\"'`\[<({#;,=*+-][^\s:]*|\S*[/\\]\S*|[^\s:\"'].*\.[A-Za-z]\w{0,9}")
_FILE = re.compile(r"(?:[A-Za-z]:)?(?:\S*[/\\]\S+|\S+\.[A-Za-z]\w{0,9})")


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
    for name, form in FORMS.items():
        if _is_search(form(lines[:SAMPLE_LINES]).items):
            hits = form(lines)
            return hits if _is_search(hits.items) else None
    return None


def looks_like(sample: str) -> str:
    """Return why `sample` is the output of a search, empty if it is not."""
    lines = sample.split("\n", SAMPLE_LINES)[:SAMPLE_LINES]
    return next((f"most lines are {name}" for name, form in FORMS.items() if _is_search(form(lines).items)), "")


def _is_search(items: list[Item]) -> bool:
    found = sum(type(item) is Line for item in items)
    others = sum(item not in ("", "--") for item in items if type(item) is str)
    return found >= LINES_MIN and found >= SHARE_MIN * (found + others)


def _numbered(lines: list[str]) -> Hits:
    """Read `path:12:text`, and `path-12-text` of the same files."""
    paths = _paths(lines, _NUMBERED)
    if not paths:
        return Hits("", [])
    root = _root(lines, paths)
    if root:
        items = list(_split(lines, paths, root))
        if all(type(item) is str or item.path in paths for item in items):
            return Hits("path:number:text", items, root)
    return Hits("path:number:text", list(_split(lines, paths, "")))


def _paths(lines: list[str], form: re.Pattern[str]) -> set[str]:
    found = {match[1] for match in map(form.match, lines) if match}
    return {path for path in found if _NAMED.fullmatch(path)}


def _root(lines: list[str], paths: set[str]) -> str:
    """Return the folder that context lines name in full where hits name it not, empty if there is none."""
    for line in lines[:SAMPLE_LINES]:
        if line.startswith("/") and ":" not in line:
            for split in _splits(line, _CONTEXT):
                for path in sorted(paths, key=len, reverse=True)[:ROOT_PATHS_MAX]:
                    if line.endswith("/" + path, 0, split):
                        return line[: split - len(path)]
    return ""


def _splits(line: str, end: re.Pattern[str]) -> Iterator[int]:
    for count, match in enumerate(end.finditer(line)):
        if count == SPLITS_MAX:
            return
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
    paths = {path for path in _paths(lines, _PLAIN) if _FILE.fullmatch(path)}
    return Hits("path:text", list(_split_plain(lines, paths)) if paths else [])


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


_DASH = re.compile("-")


def _one_file(lines: list[str]) -> Hits:
    """Read `12:text` and `12-text`, numbers rising, with context."""
    items: list[Item] = []
    last = 0
    marks = set()
    for line in lines:
        match = _BARE.match(line)
        if match and int(match[1]) > last:
            last = int(match[1])
            marks.add(match[2])
            items.append(Line("", match[2], last, line[match.end() :]))
        elif line == "--":
            items.append(line)
        else:
            return Hits("", [])
    return Hits("number:text", items if len(marks) == 2 else [])


def _headings(lines: list[str]) -> Hits:
    """Read a path on a line of its own, `12:text` and `12-text` below it, and a blank line before the next."""
    items: list[Item] = []
    path = ""
    for index, line in enumerate(lines):
        match = _BARE.match(line) if path else None
        if match:
            items.append(Line(path, match[2], int(match[1]), line[match.end() :]))
        elif path and line == "--":
            items.append(line)
        elif _is_heading(lines, index):
            if items:
                items.pop()
            path = line
        else:
            path = ""
            items.append(line)
    return Hits("numbers below a path", items)


def _is_heading(lines: list[str], index: int) -> bool:
    """Tell whether a path stands at `index`, with a blank line before and a numbered line after it."""
    line = lines[index]
    if index + 1 == len(lines) or (index and lines[index - 1]) or not _BARE.match(lines[index + 1]):
        return False
    return bool(_NAMED.fullmatch(line)) and not _BARE.match(line)


FORMS: dict[str, Callable[[list[str]], Hits]] = {
    "path:number:text": _numbered,
    "number:text": _one_file,
    "numbers below a path": _headings,
    "path:text": _plain,
}
