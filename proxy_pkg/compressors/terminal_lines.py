"""Which lines of terminal output stay at the level `balanced`: those that would if it had no colours.

Lines are chosen by how they look on a screen, and kept as they came.
"""

from collections.abc import Sequence

from proxy_pkg.compressors import builds, gaps, lint, log_lines, logs, run_lines
from proxy_pkg.compressors.contract import Reducer
from proxy_pkg.compressors.folding import SAMPLE_CHARS_MAX
from proxy_pkg.compressors.terminal import TERMINAL


def reduce(text: str, wanted: Sequence[str]) -> str | None:
    """Return a test run, a build or a log with gaps; None if it is something else, or has some already."""
    if gaps.has_marks(text):
        return None
    shown = TERMINAL.compress(text) or text
    sample = shown[:SAMPLE_CHARS_MAX]
    if lint.looks_like(sample):
        return None
    chosen = next((chosen for looks_like, chosen in KINDS if looks_like(sample)), None)
    kept = chosen(shown, wanted) if chosen else None
    lines = text.split("\n")
    return gaps.with_gaps(lines, kept) if kept is not None and len(kept) == len(lines) else None


KINDS = ((builds.looks_like, run_lines.chosen), (logs.looks_like, log_lines.chosen))
"""How each kind is told, and what chooses its lines; the first that fits is taken."""

TERMINAL_LINES = Reducer("terminal-lines", reduce)
