"""HTML and XML without what only lays out their source: elements, attributes and text stay.

In HTML, a run of white space in text becomes one line break or one blank, as a browser shows it, but for `pre`,
`textarea`, scripts and all else that is shown or run as written. Attributes stand one blank apart, without quotes
where they need none (`class=wide`, `hidden` for `hidden=""`). `&gt;`, `&quot;` and `&#39;` in text are written as
themselves. In XML only the blanks around line breaks between two tags go, and those between attributes. In HTML,
a comment that stood before in the same text is not repeated.

HTTP headers before the document stay as they are, and so does what follows `</html>` or else the last `>`, and
what follows the start of a comment, tag or script that does not end. Tags end where the tokenizer of the HTML
standard ends them, sloppy ones too. A text that asks for white space as written (`white-space:`, `xml:space`) is
left alone.
"""

import re

from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.model import Grade

HEAD_CHARS_MAX = 4096
"""HTTP headers before the document are no longer than this."""
TAGS_MIN = 6
"""A fragment has at least so many closed elements."""
TAG_LINES_SHARE_MIN = 0.6
"""So much of a fragment's lines begin with a tag: prose and programs with some tags do not."""

_BLANKS = " \t\n\r\f"
_DOCUMENT = re.compile(
    r"\s*(?:HTTP/[\d.]+ \d+.*\n(?:[\w-]+:.*\n)*\r?\n\s*)?(?=<(?:!doctype|html|\?xml)\b)", re.IGNORECASE
)
_END = re.compile(r"</html[ \t\n\r\f]*>", re.IGNORECASE)
_HTML = re.compile(r"<(?:!doctype html|html|body|head|div|span|p|a|ul|ol|table|h[1-6]|img|br)[\s>]", re.IGNORECASE)
_KEEPS_SPACE = re.compile(r"white-space|xml:space|<(?:plaintext|listing|xmp)\b", re.IGNORECASE)
_MARKUP = re.compile("<(?=[A-Za-z/!?])")
_NAME = r"""(?!=[ \t\n\r\f]*+["'])[^ \t\n\r\f/>][^ \t\n\r\f/>=]*+"""
_VALUE = r""""[^"]*+"|'[^']*+'|[^ \t\n\r\f>"'][^ \t\n\r\f>]*+"""
_EQUALS = r"[ \t\n\r\f]*+=[ \t\n\r\f]*+"
_TAG = re.compile(
    rf"<([A-Za-z][^ \t\n\r\f/>]*+)((?:[ \t\n\r\f/]*+{_NAME}(?:{_EQUALS}(?:{_VALUE}))?+)*+)([ \t\n\r\f/]*+)>"
)
_ATTRIBUTE = re.compile(rf"[ \t\n\r\f/]*+({_NAME})(?:{_EQUALS}({_VALUE}))?+")
_SLOPPY_NAME = re.compile("[=\"'<]")
_NEEDS_NO_QUOTES = re.compile(r"[^\s\"'=<>`]+")
_WHITE = re.compile(r"[ \t\n\r\f]{2,}")
_REFERENCE = re.compile("&(?:gt|#62|quot|#34|apos|#39|#x27);")
_REFERENCES = {"&gt;": ">", "&#62;": ">", "&quot;": '"', "&apos;": "'", "&#39;": "'", "&#34;": '"', "&#x27;": "'"}
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())  # noqa: SIM905
_AS_WRITTEN = {
    name: re.compile(rf"</{name}(?=[ \t\n\r\f/>])", re.IGNORECASE)
    for name in ("script", "style", "textarea", "title", "iframe", "noembed", "noframes", "xmp")
}
_SPECIAL = frozenset((*_AS_WRITTEN, "pre"))
_HTML_MARKUP = re.compile(
    r"<(?:[A-Za-z][^ \t\n\r\f/>]{0,32}+[ \t\n\r\f/]|[!?]"
    rf"|(?i:/pre(?=[ \t\n\r\f/>])|(?:{'|'.join(sorted(_SPECIAL))})>))"
)
"""Of a page, what may have to change, and what says how to read on: most tags are like text."""
_COMMENT_END = re.compile("--!?>")
_AFTER_TEXT = frozenset(("", ">", *_BLANKS))
"""Where a comment can go without joining what is before and after it."""


def looks_like(sample: str) -> str:
    """Return why `sample` is HTML or XML, empty if it is not."""
    if _DOCUMENT.match(sample, 0, HEAD_CHARS_MAX):
        return "begins like an HTML or XML document"
    if sample.lstrip()[:1] != "<" or sample.count("</") < TAGS_MIN:
        return ""
    lines = [line.lstrip()[:1] for line in sample.split("\n") if line and not line.isspace()]
    return "most lines begin with a tag" if lines.count("<") >= TAG_LINES_SHARE_MIN * len(lines) else ""


def compress(text: str) -> str | None:
    """Return the HTML or XML in `text` without its layout, None where it has none or its end is in doubt."""
    if not looks_like(text) or _KEEPS_SPACE.search(text):
        return None
    document = _DOCUMENT.match(text, 0, HEAD_CHARS_MAX)
    start = document.end() if document else 0
    is_html = not text.startswith("<?xml", start) and _HTML.search(text, start) is not None
    end = _END.search(text, start)
    stop = end.end() if end else text.rfind(">") + 1
    result = text[:start] + Writer(text[:stop], start, is_html).written() + text[stop:]
    return result if len(result) < len(text) else None


class Writer:
    """Writes one document from `start` on; its life is one call of `written`."""

    def __init__(self, text: str, start: int, is_html: bool) -> None:
        self._text = text
        self._at = start
        self._is_html = is_html
        self._out: list[str] = []
        self._run = ""
        """White space before a comment that is left out: it joins with what follows."""
        self._pre_depth = 0
        self._comments: set[str] = set()
        self._tags: dict[str, tuple[str, str]] = {}

    def written(self) -> str:
        """Return the document."""
        text = self._text
        find = (_HTML_MARKUP if self._is_html else _MARKUP).search
        while True:
            markup = find(text, self._at)
            if markup is None:
                break
            start = markup.start()
            run = self._run + text[self._at : start]
            self._at, self._run = start, ""
            if text.startswith("<!--", start):
                self._comment(run)
                continue
            if run:
                self._out.append(self._written_text(run))
            if text[start + 1] in "!?/":
                self._verbatim(self._end(text[start + 1]))
            else:
                self._start_tag()
        self._out.append(self._written_text(self._run + text[self._at :]))
        return "".join(self._out)

    def _written_text(self, run: str) -> str:
        if not self._is_html:
            return "\n" if "\n" in run and not run.strip(_BLANKS) else run
        if not self._pre_depth:
            run = _WHITE.sub(_narrow, run)
        return _REFERENCE.sub(_character, run) if "&" in run else run

    def _verbatim(self, end: int) -> None:
        self._out.append(self._text[self._at : end])
        self._at = end

    def _end(self, sign: str) -> int:
        """Return where an end tag, a declaration or an instruction ends."""
        text, at = self._text, self._at
        mark = ">"
        if sign == "/":
            self._pre_depth = max(0, self._pre_depth - 1)  # for HTML, where no other end tag matters
        elif text.startswith("<![CDATA[", at):
            mark = "]]>"
        elif sign == "?" and not self._is_html:
            mark = "?>"
        end = text.find(mark, at)
        return end + len(mark) if end >= 0 else len(text)

    def _start_tag(self) -> None:
        match = _TAG.match(self._text, self._at)
        if match is None:
            self._verbatim(len(self._text))
            return
        tag = match[0]
        known = self._tags.get(tag)
        if known is None:
            special = match[1].lower() if self._is_html and not match[3].startswith("/") else ""
            known = self._tags[tag] = _shorten(match, self._is_html), special if special in _SPECIAL else ""
        short, special = known
        self._out.append(short)
        self._at = match.end()
        if special == "pre":
            self._pre_depth += 1
        elif special:
            end = _AS_WRITTEN[special].search(self._text, self._at)
            self._verbatim(end.start() if end else len(self._text))

    def _comment(self, run: str) -> None:
        end = _COMMENT_END.search(self._text, self._at + 2)
        stop = end.end() if end else len(self._text)
        comment = self._text[self._at : stop]
        ready = run if self._pre_depth else run.rstrip(_BLANKS)
        if self._is_html and comment in self._comments and self._written_text(run)[-1:] in _AFTER_TEXT:
            self._out.append(self._written_text(ready))
            self._at, self._run = stop, _WHITE.sub(_narrow, run[len(ready) :])
            return
        self._comments.add(comment)
        self._out.append(self._written_text(run))
        self._verbatim(stop)


def _narrow(white: re.Match[str]) -> str:
    run = white[0]
    return "\n" if "\n" in run or "\r" in run else " "


def _character(reference: re.Match[str]) -> str:
    return _REFERENCES[reference[0]]


def _shorten(tag: re.Match[str], is_html: bool) -> str:
    """Return a start tag with its attributes one blank apart, in HTML without quotes where they need none."""
    attributes = _ATTRIBUTE.findall(tag[2])
    if any(_SLOPPY_NAME.search(name) for name, _ in attributes):
        return tag[0]
    parts = ["<" + tag[1]]
    for name, value in attributes:
        inner = value[1:-1] if value[:1] in ("'", '"') else value
        if is_html and not inner:
            parts.append(name)
        elif is_html and _NEEDS_NO_QUOTES.fullmatch(inner):
            parts.append(f"{name}={inner}")
        else:
            parts.append(f"{name}={value}" if value else name)
    short = " ".join(parts)
    if "/" not in tag[3] or (is_html and tag[1].lower() in _VOID):
        return short + ">"
    return short + (" />" if attributes and short[-1] not in "\"'" else "/>")


MARKUP = Compressor("markup", Grade.PRESENTATION, compress)
