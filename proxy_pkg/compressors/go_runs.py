"""Lines `=== RUN   TestA` of `go test -v` right above `--- PASS: TestA (0.00s)`, which says the same.

A header says that they are left out. Below it a line that says PASS or SKIP at its start, for a test without
a RUN line since the test's result before, had that line right above.
"""

import re
from collections.abc import Iterator

HEADER = '[each "=== RUN" line right above its "--- PASS" or "--- SKIP" is left out]'
RUN = "=== RUN   "
LEFT_OUT_MIN = 6

_RESULT = re.compile(r"--- (?:PASS|SKIP): (\S+) \(")


def left_out(text: str) -> str | None:
    """Return `text` without such lines, None where they are few or would not follow."""
    if text.count(RUN) < LEFT_OUT_MIN:
        return None
    lines = text.split("\n")
    shown = list(_shown(lines))
    if len(lines) - len(shown) < LEFT_OUT_MIN or list(_written(shown)) != lines:
        return None
    return "\n".join((HEADER, *shown))


def _shown(lines: list[str]) -> Iterator[str]:
    for line, below in zip(lines, (*lines[1:], ""), strict=True):
        result = _RESULT.match(below) if line.startswith(RUN) else None
        if result is None or line[len(RUN) :] != result[1]:
            yield line


def _written(lines: list[str]) -> Iterator[str]:
    """Yield the lines as go test prints them."""
    running: set[str] = set()
    for line in lines:
        if line.startswith(RUN):
            running.add(line[len(RUN) :])
        elif result := _RESULT.match(line):
            if result[1] not in running:
                yield RUN + result[1]
            running.discard(result[1])
        yield line
