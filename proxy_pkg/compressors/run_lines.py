"""Which lines of a test run or a build stay at the level `balanced`: all but those that say that all went well.

A test that passed, a file that was compiled, a package that was fetched, a layer that was pulled: such lines go, but
for the first and the last of each stretch's first, those that took far longer than their like, and those asked for.
Failures, what was asserted, tracebacks, warnings, summaries, and every line of another form stay; but long stretches
without a complaint, such as what a program logged meanwhile, are chosen from as a log is.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from proxy_pkg.compressors import asked, gaps
from proxy_pkg.compressors.choice import Choice
from proxy_pkg.compressors.complaints import complaints
from proxy_pkg.compressors.contract import Reducer
from proxy_pkg.compressors.folding import is_folded
from proxy_pkg.compressors.log_lines import chosen as chosen_of_log
from proxy_pkg.compressors.outliers import far

LINES_MIN, LINES_MAX = 24, 250_000
LINE_CHARS_MAX = 2000
"""A longer line stays."""
NAMED_MAX, NAMED_SHARE = 24, 20
"""Lines of what went well that have a word of failure, such as the name of a test, stay if they are so few."""
SLOW_MAX = 8
"""So many lines that took far longer than others stay."""
QUIET_LINES_MIN = 120
"""A stretch of so many other lines without a complaint or a result is chosen from as a log is."""
QUIET_AROUND = 20
"""So many lines before and behind them belong to no such stretch."""

WELL = {
    "pytest": r"[^\s:]+\.(?:py|pyx|txt|md|rst)(?:::\S.*)? (?:PASSED|[.s]+)(?: +\[ *\d+%\])?$",
    "pytest -q": r"[.s]{8,}(?: +\[ *\d+%\])?$",
    "pytest-xdist": r"(?:\[gw\d+\] )?(?:\[ *\d+%\] )?PASSED \S",
    "unittest, cargo test": r".{1,200} \.\.\. ok$",
    "go test": r" *--- PASS: |=== (?:RUN|PAUSE|CONT|NAME) |ok  ?\t\S+\t|\?  ? ?\t\S+\t|PASS$",
    "cargo": r" *(?:Compiling|Checking|Downloaded|Downloading|Fresh|Adding|Updating|Locking|Unpacking) [\w./-]+(?: |$)",
    "jest, vitest, mocha": r" *(?:✓|✔|√) |PASS  ?\S",
    "TAP": r" *ok \d+ ",
    "dotnet": r" +Passed \S",
    "phpunit --debug": r"Test '[^']+' (?:started|ended)$",
    "ctest": r" *\d+/\d+ Test +#\d+:.* Passed | +Start +\d+: ",
    "gradle": r"\S+ > .+ PASSED$|> Task :\S+(?: (?:UP-TO-DATE|NO-SOURCE|FROM-CACHE|SKIPPED))?$",
    "bazel": r"\S+ +(?:\(cached\) )?PASSED in ",
    "maven": r"\[INFO\] (?:Download(?:ing|ed) |Tests run:.*Failures: 0, Errors: 0,.*Time elapsed)",
    "maven's downloads": r"Download(?:ing|ed) from ",
    "npm": r"npm (?:http|timing|info|verb|sill) ",
    "pip": r" *(?:Collecting|Downloading|Requirement already satisfied:|Using cached|Preparing metadata) | *[━╸╺]{3,}",
    "docker": r"#\d+ (?:\d+\.\d+ )?(?:sha256:|extracting |Get:\d|Selecting prev|Preparing to|Unpacking |Setting up )",
    "apt": r"(?:Get|Hit|Ign):\d+ |Selecting previously|Preparing to unpack|Unpacking |Setting up |Processing triggers ",
    "cmake, ninja": r"\[ *\d+%\] (?:Building|Built target|Generating|Linking|Automatic)|\[\d+/\d+\] \S",
    "make": r" *(?:CC|CXX|LD|AR|AS|GEN|INSTALL|HOSTCC)(?: \[M\])? +\S+$",
}
"""How a line begins, or is, that says that something went well, by the programs that write it."""

_WELL = re.compile("|".join(f"(?:{pattern})" for pattern in WELL.values()))
_OPENS = re.compile(r"=== (?:RUN|PAUSE|CONT|NAME)")
"""What go test says before the output of a test: it stays where there is some."""
_RESULT = re.compile(
    r"[E>] |\s*[-+?] ?\S|\s*(?:Expected|Received|left|right|expected|actual|got|want)\b|[^\s:]{1,400}:\d+:"
    r"|=+ \S.* =+$|_{3,} \S|\s*(?:Tests?|Test Suites|Test Files|test result|Ran \d+ tests?|\d+ (?:passed|failed))\b"
)
"""What was asserted, what came of it and where, and what a run says in the end."""
_TIME = re.compile(r"(?<![\w.])([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(ms|s|sec|m)\b")
_SECONDS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0}


def reduce(text: str, wanted: Sequence[str]) -> str | None:
    """Return the output of a test run or a build with gaps; None if it is short, has some already, or all stays."""
    if gaps.has_marks(text):
        return None
    kept = chosen(text, wanted)
    return gaps.with_gaps(text.split("\n"), kept) if kept is not None else None


def chosen(text: str, wanted: Sequence[str]) -> bytearray | None:
    """One byte for each line of a test run or a build, 1 where it stays; None for one of too few lines or too many.

    A text that was written shorter already gives None too.
    """
    lines = text.split("\n")
    if not LINES_MIN <= len(lines) <= LINES_MAX or is_folded(text):
        return None
    starts = [0, *accumulate(len(line) + 1 for line in lines)][:-1]
    complaining = complaints(text, starts)
    well = _well(lines, complaining)
    choice = Choice(lines, 0)
    choice.keep(line for line in range(len(lines)) if not well[line])
    for stretch in _quiet(lines, well, complaining):
        _choose_again(choice, lines, stretch)
    choice.keep(_examples(well))
    choice.keep(_slow(lines, well))
    choice.keep(
        bisect_right(starts, place) - 1 + beside for place in asked.places(text, wanted) for beside in (-1, 0, 1)
    )
    return choice.kept


def _well(lines: list[str], complaining: dict[int, bool]) -> bytearray:
    """Flag the lines that say that something went well."""
    flags = bytearray(len(line) <= LINE_CHARS_MAX and _WELL.match(line.rstrip("\r")) is not None for line in lines)
    below = bytes(flags[1:])
    for line, is_well in enumerate(below):
        if flags[line] and not is_well and _OPENS.match(lines[line]):
            flags[line] = 0
    named = [line for line in complaining if flags[line]]
    is_usual = len(named) > max(NAMED_MAX, flags.count(1) // NAMED_SHARE)
    for line in named:
        flags[line] = is_usual and not complaining[line]
    return flags


def _examples(well: bytearray) -> Iterator[int]:
    """The first and the last line of the first stretch of them."""
    first = well.find(1)
    if first >= 0:
        yield first
        end = well.find(0, first)
        yield (end if end >= 0 else len(well)) - 1


def _slow(lines: list[str], well: bytearray) -> list[int]:
    """Lines that took far longer than others."""
    timed = [(line, found) for line, text in enumerate(lines) if well[line] and (found := _TIME.search(text))]
    seconds = [float(found[1]) * _SECONDS[found[2]] for _, found in timed]
    scored = sorted(((score, row) for row, score in far(seconds) if seconds[row] > 0), reverse=True)
    return [timed[row][0] for _, row in scored[:SLOW_MAX]]


def _quiet(lines: list[str], well: bytearray, complaining: dict[int, bool]) -> Iterator[range]:
    """Stretches of lines that are far from any complaint or result, those that went well apart."""
    loud = bytearray(well)
    for line in (*complaining, *(line for line, text in enumerate(lines) if _RESULT.match(text))):
        first, last = max(0, line - QUIET_AROUND), min(len(lines), line + QUIET_AROUND)
        loud[first:last] = b"\x01" * (last - first)
    for is_loud, start, stop in gaps.runs(loud):
        if not is_loud and stop - start >= QUIET_LINES_MIN:
            yield range(start, stop)


def _choose_again(choice: Choice, lines: list[str], stretch: range) -> None:
    kept = chosen_of_log("\n".join(lines[stretch.start : stretch.stop]), ())
    if kept is not None:
        choice.kept[stretch.start : stretch.stop] = kept


RUN_LINES = Reducer("run-lines", reduce)
