"""Output of test runs and builds: passing lines by file and outcome, what comes again counted.

Lines that tell of a failure stay word for word, and so do those beside them.
"""

import re

from proxy_pkg.compressors import ctest, go_runs, passed_tests, pytest_column, steps
from proxy_pkg.compressors.alerts import failures
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.folding import SAMPLE_CHARS_MAX, Folding, is_folded, shared
from proxy_pkg.model import Grade

MARKS_MIN = 2
"""So many different or repeated signs of a test run or a build are enough."""

_MARK = re.compile(
    r"""\n(?:
        \ *+(?:---\ (?:PASS|FAIL|SKIP|BENCH):\ |[✓✔√✗✕×○❯][ ]
            |(?:Compiling|Checking|Downloaded|Fresh|Finished|Running|Doc-tests)\ \S+
            |\d+/\d+\ Test\ +\#\d+:|Start\ +\d+:\ \S|●\ \S|\d+\)\ \S|\d+\ (?:passing|failing|pending)\b)
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
            |(?:Selecting\ previously\ unselected|Preparing\ to\ unpack|Unpacking|Setting\ up)\ \S
            |(?:Get|Hit|Ign):\d+\ \S|Finished\ in\ \d|FAILURES!$|Failures:$|PHPUnit\ \d|Test\ '\S+'\ (?:started|ended)$
        )
        |(?=[a-z])(?:
            test_\w+\ \([\w.]+\)(?:\ \.\.\.|$)|test\ \S+(?:\ -\ .*)?\ \.\.\.\ |test\ result:\ |running\ \d+\ tests?$
            |npm\ (?:WARN|warn|ERR!|error|notice)\ |added\ \d+\ packages|rspec\ \./\S+
            |(?:not\ )?ok\ \d+\ |make(?:\[\d+\])?:[ ]
        )
        |(?:ok|FAIL|\?)\ *\t\S+
        |\[(?:(?:INFO|WARNING|ERROR)\]\ |\ *\d+%\]\ |\d+/\d+\]\ )
        |\#\d+\ (?:\[|\d+\.\d|DONE|CACHED|sha256)
        |>\ Task\ :
        |[.FEsxX]{20,}(?:\ +\[\ *\d+%\])?$
        |(?=\S)(?:
            [\w./\\-]+\.py(?:::\S.*)?\ (?:PASSED|FAILED|SKIPPED|XFAIL|XPASS|ERROR|[.FEsxX]+)(?:\ +\[\ *\d+%\])?$
            |\S+\ >\ .+\ (?:PASSED|FAILED|SKIPPED)$
        )
    )""",
    re.VERBOSE | re.MULTILINE,
)

_SURE = re.compile(
    r"""^(?:
        (?:FAIL|PASS)\ \ ?\S+\.(?:test|spec)\.[cm]?[jt]sx?\b.*|\ RUN\ \ v\d+\.\d.*|\ \ \d+\ (?:passing|failing)\b.*
        |Test\ (?:Suites:\ +\d+\ |project\ /).*|\ Test\ Files\ \ \d+\ .*|test\ result:\ \w+\.\ \d+\ passed.*
        |Finished\ in\ [\d.]+\ seconds\ \(files\ took.*|\d+\ examples?,\ \d+\ failures?.*|PHPUnit\ \d+\.\d+.*
        |(?:Selecting\ previously\ unselected\ package|Preparing\ to\ unpack|Setting\ up)\ \S+.*\ \.\.\.
        |BUILD\ (?:SUCCESSFUL|FAILED)\ in\ .*|\[INFO\]\ Scanning\ for\ projects.*
    )$""",
    re.VERBOSE | re.MULTILINE,
)
"""What no other text says: the failures of such a run may be far longer than all else."""


def looks_like(sample: str) -> str:
    """Return why a text that starts with `sample` is taken for a test run or a build, "" if it is not."""
    found = len(_MARK.findall("\n" + sample))
    lines = sample.count("\n") + 1
    if (found >= MARKS_MIN and (found * 8 >= lines or _SURE.search(sample))) or "= test session starts =" in sample:
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
    result = min((text, *filter(None, (left_out(text) for left_out in FORMS))), key=len)
    result = shared(result, _FOLDING) or result
    return result if len(result) < len(text) else None


def shown_whole(text: str, lines: list[str]) -> bytearray:
    """Flag failures, the lines beside them, and the lines that pytest marks: what was asserted and what came of it."""
    flags = failures(text, lines)
    if "\nE  " in text:
        for n, line in enumerate(lines):
            if line.startswith(("E  ", ">  ")):
                flags[n] = 1
    return flags


FORMS = (pytest_column.left_out, go_runs.left_out, ctest.left_out, steps.left_out, passed_tests.left_out)
"""What is peculiar to one program's output: the shortest is taken."""
_FOLDING = Folding(looks_like, shown_whole, suffixes=True)

BUILD = Compressor("build", Grade.INVERTIBLE, compress, version=3)
