"""Output of test runs and builds: passing lines by file and outcome, what comes again counted.

Lines that tell of a failure stay word for word, and so do those beside them.
"""

import re

from proxy_pkg.compressors import go_runs, pytest_column
from proxy_pkg.compressors.alerts import failures
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.folding import SAMPLE_CHARS_MAX, Folding, folded, is_folded
from proxy_pkg.model import Grade

MARKS_MIN = 2
"""So many different or repeated signs of a test run or a build are enough."""

_MARK = re.compile(
    r"""\n(?:
        \ *+(?:---\ (?:PASS|FAIL|SKIP|BENCH):\ |[✓✔√✗✕×○❯][ ]
            |(?:Compiling|Checking|Downloaded|Fresh|Finished|Running|Doc-tests)\ \S+)
        |\ ++(?:ok|FAILED|Passed|Failed)\ +\d
        |=+\ (?:test\ session\ starts|FAILURES|ERRORS|PASSES|warnings\ summary|short\ test\ summary\ info
            |(?:\d+\ \w+(?:,\ )?)+\ in\ [\d.]+s.*)\ =+$
        |===\ (?:RUN|PAUSE|CONT|NAME|SKIP|FAIL)[\ :]
        |(?=[A-Z])(?:
            (?:PASSED|FAILED|ERROR)\ \S+\.py(?:::|\ |$)
            |Ran\ \d+\ tests?\ in\ |OK(?:\ \(.*\))?$
            |(?:PASS|FAIL)\ \ ?\S+\.[cm]?[jt]sx?\b
            |Tests?(?:\ Suites|\ Files)?:?\ +\d+\ (?:passed|failed|skipped|total)
            |(?:Test\ Suites|Tests|Snapshots|Time|Duration):\ +\d
            |BUILD\ (?:SUCCESSFUL|FAILED|SUCCESS|FAILURE)
            |(?:Collecting|Downloading|Requirement\ already\ satisfied:|Successfully\ installed|Using\ cached)\ \S
            |(?:CC|CXX|LD|AR)\ +\S+
        )
        |(?=[a-z])(?:
            test_\w+\ \([\w.]+\)(?:\ \.\.\.|$)|test\ \S+(?:\ -\ .*)?\ \.\.\.\ |test\ result:\ |running\ \d+\ tests?$
            |npm\ (?:WARN|warn|ERR!|error|notice)\ |added\ \d+\ packages
            |(?:not\ )?ok\ \d+\ |make(?:\[\d+\])?:[ ]
        )
        |(?:ok|FAIL|\?)\ *\t\S+
        |\[(?:(?:INFO|WARNING|ERROR)\]\ |\ *\d+%\]\ |\d+/\d+\]\ )
        |\#\d+\ (?:\[|\d+\.\d|DONE|CACHED|sha256)
        |>\ Task\ :
        |\d+/\d+\ Test\ +\#\d+:
        |[.FEsxX]{20,}(?:\ +\[\ *\d+%\])?$
        |(?=\S)(?:
            [\w./\\-]+\.py(?:::\S.*)?\ (?:PASSED|FAILED|SKIPPED|XFAIL|XPASS|ERROR|[.FEsxX]+)(?:\ +\[\ *\d+%\])?$
            |\S+\ >\ .+\ (?:PASSED|FAILED|SKIPPED)$
        )
    )""",
    re.VERBOSE | re.MULTILINE,
)


def looks_like(sample: str) -> str:
    """Return why a text that starts with `sample` is taken for a test run or a build, "" if it is not."""
    found = len(_MARK.findall("\n" + sample))
    lines = sample.count("\n") + 1
    if (found >= MARKS_MIN and found * 8 >= lines) or "= test session starts =" in sample:
        return f"{found} of the first {lines} lines are a test runner's or a build's"
    return ""


def compress(text: str) -> str | None:
    """Return `text` shorter, None where it is no test run or build, in our form already, or nothing is saved."""
    if (
        text.startswith((pytest_column.HEADER, go_runs.HEADER))
        or is_folded(text)
        or not looks_like(text[:SAMPLE_CHARS_MAX])
    ):
        return None
    result = pytest_column.left_out(text) or go_runs.left_out(text) or text
    result = folded(result, _FOLDING) or result
    return result if len(result) < len(text) else None


def shown_whole(text: str, lines: list[str]) -> bytearray:
    """Flag failures, the lines beside them, and the lines that pytest marks: what was asserted and what came of it."""
    flags = failures(text, lines)
    if "\nE  " in text:
        for n, line in enumerate(lines):
            if line.startswith(("E  ", ">  ")):
                flags[n] = 1
    return flags


_FOLDING = Folding(looks_like, shown_whole, suffixes=True)

BUILD = Compressor("build", Grade.INVERTIBLE, compress)
