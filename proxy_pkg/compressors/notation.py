"""What a text looks like that a server of ours has shortened: by the headers and marks that our forms begin with.

Not every form has one: what only loses blanks or escape sequences looks like any text, and finds nothing to do again.
"""

import re
from typing import Final

_HEAD_CHARS: Final = 4096
"""Headers stand above what they explain; before them comes at most what a tool puts around its output."""

# At the beginning of a line; of a text inside a JSON string, too.
_HEADER = re.compile(
    r'(?:^|(?<=[\n"])|(?<=\\n))'
    r"(?:"
    r"\[short names, each standing for the text after its =\]"
    r"|\[In tables: "
    r"|\[diff; "
    r"|\[hits by file \(== path\)|\[hits(?:, paths start with [^\n]{1,400})?; (?:unnumbered|: hits|blank|lines without)"
    r"|\[every 10th line numbered"
    r'|\[below \\?"(?:\[A…|== a\\?" was \\?"|, \\?")'
    r'|\[below, \\?"'
    r'|\[each \\?"=== RUN\\?" line right above its '
    r"|\[percentages of pytest left out: "
    r"|\[tree: [0-9]+ entries below line "
    r"|\[go test -json events: @ start and end of times"
    r"|\[[0-9]+ paths by directory[,\]]"
    r"|[\[{][0-9]+ (?:JSON lines|(?:[a-zA-Z]{1,9} )?rows(?: without header)?(?:, CRLF)?): "
    r"|\[… in [^\n]{1,200} is the (?:JSON|text) below"
    r")"
)
_REFERENCE: Final = "[lines "
_reference = re.compile(
    r"\[lines [0-9]+-[0-9]+: as (?:lines [0-9]+-[0-9]+ (?:of result |there\])|there\]|in result )"
).search
_REPEATS: Final = (" [the ", " [block ")
_repeat = re.compile(
    r"(?:^|(?<=[\n\"])|(?<=\\n))"
    r" \[(?:the (?:line|[0-9]+ lines) above [0-9]+ more times|block [0-9]+(?:, [0-9]+ lines| again))\]"
).search


def is_ours(text: str) -> bool:
    """Whether a text bears a header or a mark of our forms. Linear in its length, for what it looks for is literal."""
    if "[" not in text and "{" not in text:
        return False
    if _HEADER.search(text, 0, _HEAD_CHARS):
        return True
    if _REFERENCE in text and _reference(text):
        return True
    return any(mark in text for mark in _REPEATS) and _repeat(text) is not None
