"""Logs: what comes again is counted, the start that lines share is a heading, long names have short ones.

Lines that report errors or warnings stay word for word, and so do those beside them.
"""

import re

from proxy_pkg.compressors.alerts import alerts
from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.folding import Folding, folded
from proxy_pkg.model import Grade

LINES_MIN = 4
LINES_MAX = 100
"""So many lines are looked at."""
TABLE_LINES_MAX = 20
SHARE_MIN = 0.4
"""So much of the sample's lines must look logged, or lie in a stack trace."""

_STAMPED = re.compile(
    r"""(?!\{|[-dlbcps][-rwxsStT]{9})(?:
        \[?\ *\d+\.\d{3,6}\][^\S\n]                   # dmesg
        |\d{6}\ \d{6}\                                 # Hadoop
        |[IWEF]\d{4}\ \d\d:\d\d                         # glog
        |\[?\d\d:\d\d(?::\d\d)?\]?[^\S\n]
        |\[?(?i:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR)\]?:?[^\S\n]
        |\d{10}(?:\d{3})?\.?\d*(?:[^\S\n]|[\],:])       # seconds since 1970
        |(?=[^\n\d]{0,60}\d)[^\n]{0,48}?(?:
            (?=\d)(?:
                \d{4}[-/.]\d\d[-/.]\d\d[T\ :_]\ ?\d\d:?\d\d    # 2024-05-01 10:00, 2024/05/01T1000
                |\d\d[-/.]\d\d[-/.](?:\d\d){1,2}[\ T,-]{1,2}\d\d:\d\d
                |\d\d-\d\d\ \d\d:\d\d:\d\d\.\d{3}              # Android
                |\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d          # web servers
                |\d\d:\d\d:\d\d[.,]\d{2,}
            )
            |[A-Z][a-z]{2}\ [\ \d]\d\ \d\d:\d\d                 # syslog
            |(?:[^\S\n]|\[|:)\d{10}(?:\d{3})?\.?\d*(?:[^\S\n]|[\],:])
        )
    )""",
    re.VERBOSE,
)
_FRAME = re.compile(
    r"[^\S\n]*(?:at [\w.$<>/@ -]+[(:]|File \"[^\"\n]+\", line \d|#\d+ "
    r"|\d+: (?:0x[0-9a-f]+ - )?[\w<&*']+(?: as [\w:]+>)?::|\.\.\. \d+ more)"
    r"|(?:Caused by: |Traceback \(|goroutine \d+ \[|\[stacktrace\]|thread '|Exception in thread )"
)

_BRACKETED = re.compile(r"\[(?:\d+[-:/T ]|\d+\.\d+\]|[A-Z]{2})")


def looks_like(sample: str) -> str:
    """Return why a text that starts with `sample` is taken for a log or a stack trace, "" if it is not."""
    lines = [line for line in sample.split("\n", LINES_MAX)[:LINES_MAX] if line.strip()]
    if len(lines) < LINES_MIN:
        return ""
    if _is_table(lines):
        return ""
    stamped = sum(map(bool, map(_STAMPED.match, lines)))
    if stamped >= LINES_MIN and stamped >= SHARE_MIN * len(lines):
        return f"{stamped} of the first {len(lines)} lines begin with a time or level"
    frames = sum(map(bool, map(_FRAME.match, lines)))
    if frames >= LINES_MIN and frames + stamped >= SHARE_MIN * len(lines):
        return f"{frames} of the first {len(lines)} lines are stack frames"
    return ""


def _is_table(lines: list[str]) -> bool:
    """Tell whether `lines` are rows below the names of their columns."""
    names, *rows = (line.strip() for line in lines[:TABLE_LINES_MAX])
    if _STAMPED.match(names) or _FRAME.match(names):
        return False
    return any(mark in names and {row.count(mark) for row in rows} == {names.count(mark)} for mark in ",;\t")


def opens_with_bracket(sample: str) -> str:
    """Return as looks_like does, but only for a text that opens with a bracket and yet not as JSON would."""
    return looks_like(sample) if _BRACKETED.match(sample) else ""


_FOLDING = Folding(looks_like, alerts)

LOGS = Compressor("logs", Grade.INVERTIBLE, lambda text: folded(text, _FOLDING))
