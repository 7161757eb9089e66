"""What kind of text a tool result is: cheap, bounded, and with a reason that can be shown.

A wrong kind is harmless: each compressor looks again and leaves alone what is not its own.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum

from msgspec import Struct

from proxy_pkg.compressors import (
    builds,
    configs,
    delimited,
    diffs,
    findings,
    gaps,
    go_test,
    hits,
    lint,
    listings,
    logs,
    markup,
    padded,
    paths,
    reports,
    ruled,
    runners,
    tree,
    unedited,
)
from proxy_pkg.compressors.documents import is_python
from proxy_pkg.compressors.json_wrapper import REST_CHARS, peel
from proxy_pkg.compressors.numbered import RUN_LINES_MIN, find_style, parse
from proxy_pkg.compressors.producers import NO_MORE, Tools, numbers_lines, prints_file, prints_no_file, shell_command
from proxy_pkg.model import Producer

SAMPLE_CHARS_MAX = 32_768
"""Structure is looked for in no more than so much of a text's start."""

_TWO_NUMBERS = re.compile(r"\n *L?[0-9]{1,9} *[→\t:|│][^\n]*\n *L?[0-9]{1,9} *[→\t:|│]")
"""What every numbered read has, found faster than its style."""
_CUT_OUT = re.compile("…[0-9]{1,9} (?:chars|tokens|lines) truncated…")
"""Where a client cut a piece out of a long output, in the middle of a line or between two."""
_RETURN = re.compile("\r(?=[^\r\n])")


class Kind(StrEnum):
    """A kind of text, as the table of chains knows it."""

    NUMBERED = "numbered"
    """A file read with a number before each line."""
    FILE = "file"
    """The text of a file: exact, because it is edited by exact text."""
    JSON = "json"
    RECORDS = "records"
    """JSON below words that say that it was found or answered: whoever printed it, it is no file's text."""
    PYTHON = "python"
    """A list or dictionary as Python writes it."""
    TERMINAL = "terminal"
    """Output with terminal sequences or overwritten lines."""
    DIFF = "diff"
    MARKUP = "markup"
    """HTML and XML."""
    SEARCH = "search"
    """Hits of grep, rg and their kin."""
    PATHS = "paths"
    """A list of paths."""
    TREE = "tree"
    """A tree drawn with lines."""
    RULED = "ruled"
    """Tables drawn with bars and rules, perhaps among other text."""
    LISTING = "listing"
    """A directory listing with modes, owners and sizes."""
    DELIMITED = "delimited"
    """CSV, TSV and their kin."""
    PADDED = "padded"
    """Columns padded with blanks."""
    GO_TEST = "go-test"
    """Events of go test -json."""
    LINT = "lint"
    """Findings of compilers and linters, one a line."""
    BUILD = "build"
    """Output of a test run or a build."""
    LOG = "log"
    """A log, or a stack trace."""
    YAML = "yaml"
    TOML = "toml"
    INI = "ini"
    OUTPUT = "output"
    """What a command printed that is none of the above."""
    GENERATED = "generated"
    """A part of a file that a package manager wrote: nobody edits it."""
    TEXT = "text"


_NEEDS_ALL_ROWS = frozenset((Kind.JSON, Kind.DELIMITED))
"""Kinds whose forms want every row whole."""


class Detection(Struct, frozen=True):
    """The kind of a text, and in a few words what it was told by."""

    kind: Kind
    why: str


def detect(text: str, producer: Producer, tools: Tools = NO_MORE) -> Detection:
    """Return the kind of `text`, a result of `producer`. Never raises; looks at a bounded sample.

    `tools` are further tools that print files or run shells.
    """
    whole = peel(text)
    found = _detect(whole.body, producer, tools)
    if found.kind in _NEEDS_ALL_ROWS and not whole.is_quoted and shell_command(producer, tools) and _is_cut(whole.body):
        return Detection(Kind.OUTPUT, "a piece was cut out of it")
    if prints_no_file(producer, tools):
        # Where the bytes need not come back, the text without the escapes of JSON is shorter.
        is_plain = found.kind in (Kind.TEXT, Kind.OUTPUT) or whole.rest_chars_max > REST_CHARS
        return _detect(peel(text, is_quoted=False).body, producer, tools) if whole.is_quoted and is_plain else found
    if found.kind == Kind.JSON and whole.tells_records:
        return Detection(Kind.RECORDS, "words around a JSON document tell of records")
    return found


def _detect(text: str, producer: Producer, tools: Tools) -> Detection:
    sample = text[:SAMPLE_CHARS_MAX]
    is_file = prints_file(producer, tools)
    numbered = _numbered(sample, producer, tools, is_file)
    if numbered is not None:
        return numbered
    if is_file:
        return _unedited(text, sample, producer, tools) or Detection(Kind.FILE, f"{producer.name} printed a file")
    return _by_content(text, sample) or _unspecial(producer, tools)


def _unspecial(producer: Producer, tools: Tools) -> Detection:
    if shell_command(producer, tools):
        return Detection(Kind.OUTPUT, "a command printed it, and nothing more special was found")
    return Detection(Kind.TEXT, "nothing more special was found")


def _unedited(text: str, sample: str, producer: Producer, tools: Tools) -> Detection | None:
    """What a printed file is that nobody edits, by its path and by its content; None for any other file."""
    origin = unedited.origin(producer, tools)
    if origin is None:
        return None
    if origin == unedited.Origin.LOCK:
        why = unedited.has_hashes(sample)
        return Detection(Kind.GENERATED, why) if why else None
    found = _by_content(text, sample)
    if found is None or found.kind not in _CONTENTS[origin]:
        return None
    if origin == unedited.Origin.DUMP and sample.count("\n") < unedited.DUMP_LINES_MIN:
        return None
    return Detection(found.kind, f"a {origin}'s text: {found.why}")


def _by_content(text: str, sample: str) -> Detection | None:
    """What a text is by itself, None where nothing special is found."""
    for kind, looks_like in BEFORE_JSON:
        why = looks_like(sample)
        if why:
            return Detection(kind, why)
    for kind, is_one, why in WHOLE:
        if is_one(text):
            return Detection(kind, why)
    for kind, looks_like in RECOGNISERS:
        why = looks_like(sample)
        if why:
            return Detection(kind, why)
    return None


def _numbered(sample: str, producer: Producer, tools: Tools, is_file: bool) -> Detection | None:
    """What a text is whose lines carry their numbers; None if they carry none."""
    if is_file and numbers_lines(producer, tools) and shell_command(producer, tools) and hits.shows_one_file(sample):
        return Detection(Kind.SEARCH, "lines of a file, hits and context, carry their numbers")
    if not _is_numbered(sample, producer, tools):
        return None
    why = "" if is_file else hits.looks_like(sample)  # grep -n numbers lines too, in a row where hits are
    if why:
        return Detection(Kind.SEARCH, why)
    return Detection(Kind.NUMBERED, f"{RUN_LINES_MIN} lines in a row have consecutive numbers")


def _is_numbered(sample: str, producer: Producer, tools: Tools) -> bool:
    if not _TWO_NUMBERS.search(sample):
        return False
    lines = sample.split("\n")
    style = find_style(lines)
    if style is None:
        return False
    if numbers_lines(producer, tools):
        return True
    # Compilers and linters show two or three numbered lines below each finding.
    if sum(line.number is not None for line in parse(lines, style)) * 2 < sum(map(bool, map(str.strip, lines))):
        return False
    # Not from a reader: a column of ids or hours looks the same unless padding, an arrow or a letter gives it away.
    if not (style.lead or style.mark == "→" or style.width):
        return False
    if markup.looks_like(sample) or builds.looks_like(sample):
        return False  # lines of source inside a page, or below a test that failed
    return "|" not in style.mark or sum("|" in line.partition("|")[2] for line in lines) * 2 < len(lines)


def _is_cut(text: str) -> bool:
    return " truncated…" in text and _CUT_OUT.search(text) is not None


def _is_rewritten(text: str) -> bool:
    return "\x1b" in text or "\x08" in text or ("\r" in text and _RETURN.search(text) is not None)


def _is_json(text: str) -> bool:
    return text[:SAMPLE_CHARS_MAX].lstrip()[:1] in ("{", "[") and text[-SAMPLE_CHARS_MAX:].rstrip()[-1:] in ("}", "]")


def _is_reduced(sample: str) -> str:
    return "has marks of what was left out" if gaps.has_marks(sample) else ""


_CONTENTS: Mapping[unedited.Origin, frozenset[Kind]] = {
    unedited.Origin.LOG: frozenset((Kind.LOG, Kind.BUILD, Kind.LINT, Kind.TERMINAL)),
    unedited.Origin.DUMP: frozenset((Kind.DELIMITED,)),
}
"""What the content of a file of each origin has to be."""
WHOLE: tuple[tuple[Kind, Callable[[str], bool], str], ...] = (
    (Kind.PYTHON, lambda text: is_python(text) and _is_json(text), "starts and ends like a value that Python wrote"),
    (Kind.JSON, _is_json, "starts and ends like a JSON document"),
    (Kind.TERMINAL, _is_rewritten, "has terminal sequences or overwritten lines"),
)
"""What is told by the whole text, before RECOGNISERS."""
BEFORE_JSON: tuple[tuple[Kind, Callable[[str], str]], ...] = (
    (Kind.TEXT, _is_reduced),
    (Kind.GO_TEST, go_test.looks_like),
    (Kind.LOG, logs.opens_with_bracket),
)
"""As RECOGNISERS, for texts that start and end like a JSON document as well."""
RECOGNISERS: tuple[tuple[Kind, Callable[[str], str]], ...] = (
    (Kind.DIFF, diffs.looks_like),
    (Kind.MARKUP, markup.looks_like),
    (Kind.LINT, lint.looks_like),
    (Kind.LINT, findings.looks_like),
    (Kind.LISTING, listings.looks_like),
    (Kind.BUILD, builds.looks_like),
    (Kind.BUILD, runners.looks_like),
    (Kind.SEARCH, reports.looks_like),
    (Kind.SEARCH, hits.looks_like),
    (Kind.RULED, ruled.looks_like),
    (Kind.PADDED, padded.looks_like),
    (Kind.PATHS, paths.looks_like),
    (Kind.TREE, tree.looks_like),
    (Kind.LOG, logs.looks_like),
    (Kind.DELIMITED, delimited.looks_like),
    (Kind.YAML, configs.looks_like_yaml),
    (Kind.TOML, configs.looks_like_toml),
    (Kind.INI, configs.looks_like_ini),
    (Kind.RULED, ruled.holds_some),
)
"""The first that gives a reason names the kind; each sees no more than SAMPLE_CHARS_MAX characters of the text."""
