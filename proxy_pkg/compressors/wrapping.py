"""What tools put around the output of a command, so that the output itself can be recognised and written shorter.

An exit code, a wall time, a folder, tags around the text, a reminder below it: these lines say nothing of what the
output is, and hide it. So do the words above and below a document, the head of an HTTP answer, and the fence of a block
of code. They are sent as they came.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from proxy_pkg.compressors import documents

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
    tells_records: bool = False
    """Head or tail say that the output was found, counted or answered: it is no file's text."""

    def around(self, body: str) -> str:
        """Return the text with another output in it."""
        return self.head + body + self.tail


def unwrap(text: str) -> Wrapped:
    """Take apart `text`. Head and tail are empty where nothing is known to stand around the output.

    One wrapper is taken off, with all that stands outside of it; there may be another inside.
    """
    for form in (_known, _answered, _untrusted, _fenced, _announced, _around_document):
        found = form(text)
        if found.head or found.tail:
            return found
    return Wrapped("", text, "")


def _known(text: str) -> Wrapped:
    """Take off the heads and tails of the tables below."""
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


def _answered(text: str) -> Wrapped:
    """Take off the heads of an HTTP answer, as `curl -i` prints them."""
    found = _HTTP_HEADS.match(text, 0, HEAD_CHARS_MAX)
    return Wrapped("", text, "") if found is None else Wrapped(found[0], text[found.end() :], "", tells_records=True)


def _untrusted(text: str) -> Wrapped:
    """Take off a pair of tags that says that what is between them came from elsewhere, with the words around it."""
    opened = _UNTRUSTED.search(text, 0, HEAD_CHARS_MAX) if "<untrusted" in text[:HEAD_CHARS_MAX] else None
    if opened is None:
        return Wrapped("", text, "")
    closed = text.rfind(f"</{opened[1]}>", max(opened.end(), len(text) - TAIL_CHARS_MAX))
    if closed < 0:
        return Wrapped("", text, "")
    body = text[opened.end() : closed].rstrip("\r\n")
    cut = opened.end() + len(body)
    return Wrapped(text[: opened.end()], body, text[cut:], tells_records=True)


def _fenced(text: str) -> Wrapped:
    """Take off the fence of the only block of code in a text, with the words around it."""
    has_fence = text.find("```", 0, HEAD_CHARS_MAX) >= 0 or text.find("~~~", 0, HEAD_CHARS_MAX) >= 0
    opened = _FENCE.search(text, 0, HEAD_CHARS_MAX) if has_fence else None
    if opened is None:
        return Wrapped("", text, "")
    fence = "\n" + opened[1]
    closed = text.find(fence, opened.end() - 1)
    is_last = closed >= 0 and text.find(fence, closed + 1) < 0 and len(text) - closed <= TAIL_CHARS_MAX
    if not is_last or not _FENCE_END.match(text, closed + len(fence)):
        return Wrapped("", text, "")
    closed = max(closed, opened.end())
    return Wrapped(text[: opened.end()], text[opened.end() : closed], text[closed:])


def _announced(text: str) -> Wrapped:
    """Take off lines above a page; and a line above a table and one below it that count its rows or head it."""
    page = _ABOVE_PAGE.match(text)
    if page is not None:
        return Wrapped(page[0], text[page.end() :], "")
    above = _ABOVE_TABLE.match(text)
    if above is not None and not (above[0].startswith("#") or _COUNTED.search(above[0])):
        above = None
    head = above[0] if above is not None else ""
    may_count = text[-_BLANKS_MAX:].rstrip()[-1:].isdigit()
    below = _BELOW_TABLE.search(text, max(len(head), len(text) - TAIL_CHARS_MAX)) if may_count else None
    if below is not None and not _has_cells(text[: below.start()][-_ROW_CHARS_MAX:]):
        below = None
    tail = below[0] if below is not None else ""
    return Wrapped(
        head, text[len(head) : len(text) - len(tail)], tail, tells_records=bool(_COUNTED.search(head + tail))
    )


def _has_cells(text: str) -> bool:
    """Tell whether the last line of `text` has three cells or more."""
    line = text[text.rfind("\n") + 1 :]
    return any(line.count(mark) > 1 for mark in ",;\t")


def _around_document(text: str) -> Wrapped:
    """Take off the words above and below a JSON document, or a value as Python writes it."""
    found = documents.find(text, HEAD_CHARS_MAX, TAIL_CHARS_MAX)
    if found is None:
        return Wrapped("", text, "")
    head, tail = text[: found.start], text[found.end :]
    return Wrapped(head, text[found.start : found.end], tail, tells_records=bool(_COUNTED.search(f"{head}\n{tail}")))


def _last_line(text: str) -> str:
    """Return the last line of `text` that has words, without blanks at its end."""
    ended = text.rstrip()
    return ended[ended.rfind("\n") + 1 :]


_HTTP_HEADS = re.compile(
    r"(?:HTTP/[0-9.]{1,3} [0-9]{3}[^\n]{0,200}+\n(?:[A-Za-z0-9-]{1,80}+:[^\n]{0,2000}+\n){0,80}+\r?\n){1,8}+"
)
_UNTRUSTED = re.compile(r"(?:^|(?<=\n))<(untrusted[-_A-Za-z0-9]{0,80})>\r?\n")
_FENCE = re.compile(r"(?:^|(?<=\n))(`{3,8}+|~{3,8}+)[\w+-]{0,40}+\r?\n")
_FENCE_END = re.compile(r"[ \t]{0,8}(?:\r?\n|\Z)")
_ABOVE_PAGE = re.compile(r"(?:[^\n<]{0,200}+\r?\n){1,4}+(?=<(?:!doctype|html)\b)", re.IGNORECASE)
_ABOVE_TABLE = re.compile(
    r"(?:[^\n,;|\t]{1,160}:|#{1,6} [^\n,;|\t]{1,160})\r?\n(?:\r?\n)?+(?=[^\n,;\t]{0,80}([,;\t])[^\n,;\t]{0,80}\1)"
)
_BELOW_TABLE = re.compile(r"\n{1,2}(?:total|count|rows|results)[\w ]{0,20}: ?[0-9]{1,12}\s*\Z", re.IGNORECASE)
_ROW_CHARS_MAX, _BLANKS_MAX = 2000, 16
_COUNTED = re.compile(
    r"(?<![\w.])[0-9][0-9,]{0,12} (?:[a-z]{1,20} ){0,2}"
    r"(?:results?|rows?|records?|items?|entries|matches|documents|hits)\b"
    r"|(?:^|\n)(?:total|count|rows|results)[\w ]{0,20}: ?[0-9]{1,12}(?![\w.])",
    re.IGNORECASE,
)
"""Words that count what was found."""
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
