"""Search results as the tools of coding agents report them: a file's path above its lines, each with its number.

    [below "== a" was "/srv/app/a:", "12:x" was "  Line 12: x"]
    Found 3 matches
    == src/cli.py
    41:    except OSError:
    == src/web.py
    7:import os

The header says, by example, how paths and lines were written, with the folders that all paths begin with. All other
lines stay.
"""

import re
from itertools import pairwise

from msgspec import Struct

from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.paths import shared_folder
from proxy_pkg.model import Grade

HITS_MIN = 3
SHARE_MIN = 0.5
SAMPLE_LINES = 100
HEADER = '[below "== a" was "'

_OURS = re.compile(r"== |[0-9]+[:-]")


class Form(Struct, frozen=True):
    """How one tool writes a path, and a line of a file: with its number, `:` or `-`, and its text."""

    client: str
    path: re.Pattern[str]
    line: re.Pattern[str]
    written_path: str
    written_line: str


FORMS = (
    Form(
        "OpenCode",
        re.compile(r"(?=\S)(.+):"),
        re.compile(r"  Line ([1-9][0-9]*)(:) (.*)"),
        "{}:",
        "  Line {}{} {}",
    ),
    Form(
        "Gemini CLI",
        re.compile(r"File: (\S.*)"),
        re.compile(r"L([1-9][0-9]*)([:-]) (.*)"),
        "File: {}",
        "L{}{} {}",
    ),
)


def looks_like(sample: str) -> str:
    """Return why `sample` is what a coding agent's search tool reports, empty if it is not."""
    lines = [line for line in sample.split("\n", SAMPLE_LINES)[:SAMPLE_LINES] if line]
    form = _form(lines)
    return f"hits as the search of {form.client} reports them" if form else ""


def compress(text: str) -> str | None:
    """Return the report `text` in fewer words, None where it is none or not shorter so."""
    if text.startswith(HEADER):
        return None
    lines = text.split("\n")
    form = _form([line for line in lines[:SAMPLE_LINES] if line])
    if form is None:
        return None
    paths = _paths(lines, form)
    folder = shared_folder(set(paths.values()), "/\\")
    shown = []
    for number, line in enumerate(lines):
        hit = form.line.fullmatch(line)
        if number in paths:
            shown.append("== " + paths[number][len(folder) :])
        elif hit:
            shown.append(hit[1] + hit[2] + hit[3])
        elif _OURS.match(line):
            return None
        else:
            shown.append(line)
    header = (
        f'{HEADER}{form.written_path.format(folder + "a")}", "12:x" was "{form.written_line.format(12, ":", "x")}"]'
    )
    result = "\n".join((header, *shown))
    return result if len(result) < len(text) else None


def _form(lines: list[str]) -> Form | None:
    """Return the form that most of `lines` have, None if they have none."""
    for form in FORMS:
        found = sum(map(bool, map(form.line.fullmatch, lines)))
        has_path = any(form.path.fullmatch(line) and form.line.fullmatch(below) for line, below in pairwise(lines))
        if found >= HITS_MIN and found >= SHARE_MIN * len(lines) and has_path:
            return form
    return None


def _paths(lines: list[str], form: Form) -> dict[int, str]:
    """Return the paths above hits by the numbers of their lines."""
    found = {}
    for number, (line, below) in enumerate(pairwise(lines)):
        match = form.path.fullmatch(line)
        if match and form.line.fullmatch(below) and not form.line.fullmatch(line):
            found[number] = match[1]
    return found


REPORTS = Compressor("reports", Grade.INVERTIBLE, compress)
