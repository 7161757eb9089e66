"""The percentages that pytest writes at the right of each line of progress: they follow from the count of tests.

A header says how many tests there are, how wide the lines are, and how many tests came before the first
line. Below it every line of results (one test and its outcome, or a letter for each test) had the share of
tests done behind it, `[ 12%]`, set to the right, one blank at least before it.
"""

import re
from collections import Counter
from collections.abc import Iterator

HEADER = "[percentages of pytest left out: "
FORM = HEADER + "{tests} tests, {width} wide, {before} before]"
LINES_MIN = 4

_COLUMN = re.compile(r" *(?<= )\[([ \d]{2}\d)%\]\Z")
_RESULT = re.compile(
    r"\S.*(?: |::)(?:PASSED|FAILED|SKIPPED|XFAIL|XPASS|ERROR)(?: \(.*\))?|(?:\S+\.(?:py|pyx|txt|md|rst) )?([.FEsxX]+)"
)
_RESULT_ENDS = frozenset("DLSR).FEsxX")
_COLLECTED = re.compile(r"collected (\d+) items?(?: / [\w /]*?(\d+) selected)?")
_SUMMARY = re.compile(r"^=* ?((?:\d+ (?:passed|failed|skipped|xfailed|xpassed|errors?)(?:, )?)+)", re.MULTILINE)
_COUNT = re.compile(r"(\d+) [pfsxe]")


def left_out(text: str) -> str | None:
    """Return `text` without the column, None where any of it would not follow."""
    if text.count("%]") < LINES_MIN:
        return None
    lines = text.split("\n")
    columns = [_COLUMN.search(line) if line.endswith("%]") else None for line in lines]
    heads = [line[: found.start()] if found else line for line, found in zip(lines, columns, strict=True)]
    counts = [_results(head) for head in heads]
    if any(bool(count) != bool(found) for count, found in zip(counts, columns, strict=True)):
        return None
    tests = _tests(text, sum(counts))
    shown = [line for line, found in zip(lines, columns, strict=True) if found]
    if not tests or len(shown) < LINES_MIN:
        return None
    width = min(Counter(map(len, shown)).most_common(2), key=lambda pair: (-pair[1], pair[0]))[0]
    for before in (0, tests - sum(counts)):
        if before >= 0 and list(_written(heads, counts, tests, width, before)) == lines:
            return "\n".join((FORM.format(tests=tests, width=width, before=before), *heads))
    return None


def _results(head: str) -> int:
    """Return how many tests a line tells of."""
    found = _RESULT.fullmatch(head) if head[-1:] in _RESULT_ENDS else None
    return (len(found[1]) if found[1] else 1) if found else 0


def _tests(text: str, seen: int) -> int:
    """Return how many tests there are by pytest's own words, 0 if it does not say or shows more."""
    collected = _COLLECTED.search(text)
    if collected:
        tests = int(collected[2] or collected[1])
    else:
        tests = sum(sum(map(int, _COUNT.findall(summary))) for summary in _SUMMARY.findall(text)[-1:])
    return tests if tests >= seen else 0


def _written(heads: list[str], counts: list[int], tests: int, width: int, before: int) -> Iterator[str]:
    """Yield the lines as pytest writes them."""
    done = before
    for head, count in zip(heads, counts, strict=True):
        done += count
        percent = f" [{done * 100 // tests:3d}%]"
        yield head + percent.rjust(width - len(head)) if count else head
