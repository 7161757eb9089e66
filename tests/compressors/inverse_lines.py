"""Inverse of the forms that logs, test runs and lists of findings take, written from their documented rules."""

import re

from proxy_pkg.compressors import gaps
from tests.compressors.inverse_builds import built

_NAMES = "[short names, each standing for the text after its =]"
_HEADINGS = '[below "[A…'
_RUNS = '[each "=== RUN" line right above its "--- PASS" or "--- SKIP" is left out]\n'
_PERCENTAGES = re.compile(r"\[percentages of pytest left out: (\d+) tests, (\d+) wide, (\d+) before\]\n")
_OUTCOME = "PASSED|FAILED|SKIPPED|XFAIL|XPASS|ERROR"
_RESULT = re.compile(rf"\S.*(?: |::)(?:{_OUTCOME})(?: \(.*\))?|(?:\S+\.(?:py|pyx|txt|md|rst) )?(?P<letters>[.FEsxX]+)")
_TIMES = re.compile(r" \[the (?:line|([0-9]+) lines) above ([0-9]+) more times\]")
_BLOCK = re.compile(r" \[block ([0-9]+), ([0-9]+) lines\]")
_AGAIN = re.compile(r" \[block ([0-9]+) again\]")


def lines(text: str) -> str:
    """Return what `compressors.folding` was given."""
    if text.startswith(_NAMES):
        text = _without_names(text)
    if text.startswith(_HEADINGS):
        text = _without_headings(text)
    text = _without_marks(text)
    if text.startswith(_RUNS):
        return _with_runs(text.removeprefix(_RUNS))
    found = _PERCENTAGES.match(text)
    return _with_percentages(text[found.end() :], *map(int, found.groups())) if found else built(text)


def _with_runs(text: str) -> str:
    out: list[str] = []
    running: list[str] = []
    for line in text.split("\n"):
        run = re.fullmatch(r"=== RUN   (.*)", line)
        result = re.match(r"--- (?:PASS|SKIP): (\S+) \(", line)
        if run:
            running.append(run[1])
        if result and result[1] not in running:
            out.append(f"=== RUN   {result[1]}")
        elif result:
            running = [name for name in running if name != result[1]]
        out.append(line)
    return "\n".join(out)


def _with_percentages(text: str, tests: int, width: int, done: int) -> str:
    out = []
    for line in text.split("\n"):
        result = _RESULT.fullmatch(line)
        if result:
            done += len(result["letters"] or "x")
            percentage = f" [{done * 100 // tests:3d}%]"
            line += " " * (width - len(line) - len(percentage)) + percentage
        out.append(line)
    return "\n".join(out)


def _without_names(text: str) -> str:
    names, body = text.removeprefix(_NAMES + "\n").split("\n\n", 1)
    sigil = names[0]
    meanings = {}
    for number, line in enumerate(names.split("\n"), 1):
        name, _, meaning = line.partition("=")
        assert name == f"{sigil}{number}", line
        meanings[name] = meaning
    return re.sub(re.escape(sigil) + "[0-9]+", lambda found: meanings[found[0]], body)


def _without_headings(text: str) -> str:
    _, *rest = text.split("\n")
    out = []
    start = end = ""
    for line in rest:
        if line.startswith("[") and line.endswith("]") and "…" in line:
            start, _, end = line[1:-1].partition("…")
        elif not start or not line or line[0].isspace() or line.startswith(start) or gaps.read(line):
            out.append(line)
        else:
            out.append(start + line + end)
    return "\n".join(out)


def _without_marks(text: str) -> str:
    once: list[str] = []
    starts: dict[str, tuple[int, int]] = {}
    for line in text.split("\n"):
        block, again = _BLOCK.fullmatch(line), _AGAIN.fullmatch(line)
        if block:
            starts[block[1]] = (len(once), int(block[2]))
        elif again:
            first, count = starts[again[1]]
            once += once[first : first + count]
        else:
            once.append(line)
    out: list[str] = []
    for line in once:
        times = _TIMES.fullmatch(line)
        if times:
            out += out[len(out) - int(times[1] or 1) :] * int(times[2])
        else:
            out.append(line)
    return "\n".join(out)


yaml = lines
