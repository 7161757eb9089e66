"""What tools put around the output of a command, so that the output itself can be recognised and written shorter.

An exit code, a wall time, a folder, tags around the text, a reminder below it: these lines say nothing of what the
output is, and hide it. They are sent as they came.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from proxy_pkg.compressors.json_wrapper import Inside, inside

HEAD_CHARS_MAX = 4_096
TAIL_CHARS_MAX = 4_096
"""What stands around an output is looked for in no more than so much of the text's start and end."""

_TAG = (
    "(?:output|output_head|output_tail|stdout|stderr|results?|bash-stdout|local-command-stdout|(?:tool|command)_output)"
)
_CLOSED = f"(?:{_TAG}|untrusted_context)"
_STATUS = "(?:returncode|return_code|exit_?code|status)"
_KEY = (
    "(?:Chunk ID|Wall time|Process exited with code|Process running with session ID|Original token count"
    "|Total output lines|Exit [Cc]ode|Command(?: executed| completed)?|Directory|Status|Duration)"
)
_CUT = r"(?:Warning: truncated output \([^()\n]{0,80}\)\n)?(?:Total output lines: [0-9]{1,9}\n\n?)?"
"""What Codex says of an output that it cut in the middle."""
_SAID = (
    "(?:The command completed with|Command finished with|Current working directory: |Python interpreter: "
    "|Process exited with|exit code: )"
)


class Wrapped(Struct, frozen=True):
    """A text in three parts: what a tool put before an output, the output, what it put after it."""

    head: str
    body: str
    tail: str
    inside: Inside | None = None
    """The JSON object that holds all three, if one does."""

    def around(self, body: str) -> str:
        """Return the text with another output in it."""
        whole = self.head + body + self.tail
        return whole if self.inside is None else self.inside.around(whole)


def unwrap_all(text: str) -> Wrapped:
    """Take apart `text`, and the output of a tool that sends it in a JSON object likewise."""
    found = inside(text)
    if found is None:
        return unwrap(text)
    whole = unwrap(found.output)
    return Wrapped(whole.head, whole.body, whole.tail, found)


def unwrap(text: str) -> Wrapped:
    """Take apart `text`. Head and tail are empty where nothing is known to stand around the output."""
    start = text[:HEAD_CHARS_MAX]
    outer = _OUTER.match(start)
    head = outer.end() if outer else 0
    head = next((found.end() for form in HEADS if (found := form.match(start, head))), head)
    end = text[max(head, len(text) - TAIL_CHARS_MAX) :]
    cut = len(text)
    while _MAY_BE_TAIL.match(_last_line(end)) and (
        found := next((found for form in TAILS if (found := form.search(end))), None)
    ):
        before = end[: found.start()]
        before = before.rstrip("\n") if found[0].startswith("<") else before
        cut -= len(end) - len(before)
        end = before
    return Wrapped(text[:head], text[head:cut], text[cut:])


def _last_line(text: str) -> str:
    """Return the last line of `text` that has words, without blanks at its end."""
    ended = text.rstrip()
    return ended[ended.rfind("\n") + 1 :]


_OUTER = re.compile(r"<untrusted_context>\n")
"""What may stand around one of HEADS, or around an output by itself."""
HEADS: Sequence[re.Pattern[str]] = tuple(
    re.compile(form)
    for form in (
        # <returncode>0</returncode>, perhaps a warning, <output>
        rf"(?:<({_STATUS})>[^<\n]{{0,40}}</\1>\n)?(?:<(warning|error|exception)>(?s:.{{0,2000}}?)</\2>\n?)?<{_TAG}>\n?",
        # Exit code: 0, Wall time: 1 seconds, Output:, and perhaps how much was cut out
        rf"(?:{_KEY}\b[^\n]{{0,1000}}\n+){{0,8}}?(?:Command output|Output|Stdout|stdout):[ \n]\n?{_CUT}",
        r"Exit code:? -?[0-9]{1,5}\n+",
    )
)
"""The first that matches ends where the output begins."""
TAILS: Sequence[re.Pattern[str]] = tuple(
    re.compile(rf"{form}\s*\Z")
    for form in (
        rf"</{_CLOSED}>",
        r"<(system-reminder|bash_metadata|metadata)>\n(?s:(?!\n?<\1>).)*</\1>",
        r"(?:\n(?:Error|Exit Code|Signal|Background PIDs|Process Group PGID|Stderr): [^\n]*)+",
        rf"(?:(?<!\n)\n+\[{_SAID}[^\n]*\])+",
        r"(?<!\n)\n+Shell cwd was reset to [^\n]*",
    )
)
"""Taken off from the end as long as one is found, a tag with the line breaks before it."""
_MAY_BE_TAIL = re.compile(
    rf".*</(?:{_CLOSED}|system-reminder|bash_metadata|metadata)>\Z|\[.*\]\Z"
    r"|(?:Error|Exit Code|Signal|Background PIDs|Process Group PGID|Stderr):|Shell cwd was reset to\b"
)
"""What the last line of every tail is like, told faster."""
