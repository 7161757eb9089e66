"""Lists of findings by compilers and linters: each file's path once, each long message once."""

import re

from proxy_pkg.compressors.alerts import none
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.folding import Folding, folded
from proxy_pkg.model import Grade

LINES_MIN = 4
SHARE_MIN = 0.5

_PLACE = re.compile(r"(?!\d+:)(?:[A-Za-z]:(?=[\\/]))?(?:[^\s:(]++|\((?!\d+[,)]))++(?::(?=\d)|\((?=\d+[,)]))")
_FINDING = re.compile(
    _PLACE.pattern + r"\d+(?:[:,]\d+)?(?:-\d+)?\)?(?::\d+)*:? "
    r"(?:\(?[A-Z]{1,6}-?[0-9]{2,5}\b|\[?[EWCRFIN]\d*[\]:] |[A-Z]\d{4}: "
    r"|(?i:fatal error|error|warning|warn|note|info|information|style|convention|refactor|hint|help)\b)"
)
_NUMBERED = re.compile("[:(][0-9]")
"""What each finding has, found faster."""


def looks_like(sample: str) -> str:
    """Return why a text that starts with `sample` is taken for a list of findings, "" if it is not."""
    lines = [line for line in sample.split("\n") if line.strip()]
    if len(_NUMBERED.findall(sample)) < max(LINES_MIN, SHARE_MIN * len(lines)):
        return ""
    found = sum(map(bool, map(_FINDING.match, lines)))
    if found >= LINES_MIN and found >= SHARE_MIN * len(lines):
        return f"{found} of the first {len(lines)} lines are findings with file and line"
    return ""


def after_path(line: str, shared: int) -> int:
    """Cut after a file's path, where a line number follows."""
    found = _PLACE.match(line)
    return found.end() if found and found.end() <= shared else 0


_FOLDING = Folding(looks_like, none, after_path)

LINT = Compressor("lint", Grade.INVERTIBLE, lambda text: folded(text, _FOLDING))
