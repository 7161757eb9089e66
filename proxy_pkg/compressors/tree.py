"""Directory and dependency trees, as tree and cargo tree draw them: by indentation alone.

    [tree: 4 entries below line 1, indented instead of ├──]
    .
    src
     cli
      main.py
    README.md

The header is not counted as a line. What is above and below the entries stays. An entry was drawn after `├── `,
the last of its parent after `└── `; below a parent that was not the last stood `│   `, else four blanks. The header
names the marks in use: `├──`; `├── and hard blanks` where `│` had two no-break blanks and a blank after it; `|--`
with `|   ` and "`-- ".
"""

import re

from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.model import Grade

ENTRIES_MIN = 5
LINES_BEFORE_MAX = 5
DEPTH_MAX = 200
HEADER = "[tree: "

_ENTRY = re.compile(r"((?:│   |│\xa0\xa0 |\|   |    )*+)([├└]── |[|`]-- )(?! )(.*)")
_STYLES = {
    "├──": ("│   ", "├── ", "└── "),
    "├── and hard blanks": ("│\xa0\xa0 ", "├── ", "└── "),
    "|--": ("|   ", "|-- ", "`-- "),
}


def looks_like(sample: str) -> str:
    """Return why `sample` is a drawn tree, empty if it is not."""
    lines = sample.split("\n", ENTRIES_MIN + LINES_BEFORE_MAX)
    start = _first(lines)
    found = lines[start : start + ENTRIES_MIN]
    return "has a tree drawn at its start" if len(found) == ENTRIES_MIN and all(map(_ENTRY.match, found)) else ""


def compress(text: str) -> str | None:
    """Return the tree in `text` by indentation, None where it is no tree or not one of ours to draw again."""
    if text.startswith(HEADER) or not looks_like(text):
        return None
    lines = text.split("\n")
    start = _first(lines)
    entries: list[tuple[int, str]] = []
    for line in lines[start:]:
        match = _ENTRY.fullmatch(line)
        if match is None:
            break
        entries.append((len(match[1]) // 4, match[3]))
    end = start + len(entries)
    drawn = lines[start:end]
    mark = next((mark for mark, style in _STYLES.items() if _draw(entries, style) == drawn), None)
    if mark is None or len(entries) < ENTRIES_MIN:
        return None
    header = f"{HEADER}{len(entries)} entries below line {start}, indented instead of {mark}]"
    result = "\n".join((header, *lines[:start], *(" " * depth + name for depth, name in entries), *lines[end:]))
    return result if len(result) < len(text) else None


def _first(lines: list[str]) -> int:
    """Return the index of the first entry, LINES_BEFORE_MAX + 1 at most."""
    return next((at for at, line in enumerate(lines[: LINES_BEFORE_MAX + 1]) if _ENTRY.match(line)), len(lines))


def _draw(entries: list[tuple[int, str]], style: tuple[str, str, str]) -> list[str]:
    """Return the lines that the tool prints for `entries`, empty if they go deeper than it can draw."""
    bar, branch, last = style
    out: list[str] = []
    open_levels: list[bool] = []
    for depth, name in reversed(entries):
        if depth > DEPTH_MAX:
            return []
        open_levels += [False] * (depth + 1 - len(open_levels))
        lead = "".join([bar if each else "    " for each in open_levels[:depth]])
        out.append(lead + (branch if open_levels[depth] else last) + name)
        del open_levels[depth + 1 :]
        open_levels[depth] = True
    out.reverse()
    return out


TREE = Compressor("tree", Grade.INVERTIBLE, compress)
