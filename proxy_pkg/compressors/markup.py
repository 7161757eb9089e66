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
_KEEPS_SPACE = tuple(
    re.compile(sign, re.IGNORECASE)  # each begins with a mark that is searched for fast
    for sign in ("-space(?<=white-space)", ":space(?<=xml:space)", r"<(?:plaintext|listing|xmp)\b")
)
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
_WHITE = re.compile(r"([ \t\n\r\f]{2,})")
_REFERENCES = {"&gt;": ">", "&#62;": ">", "&quot;": '"', "&apos;": "'", "&#39;": "'", "&#34;": '"', "&#x27;": "'"}
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())  # noqa: SIM905
_AS_WRITTEN = {
    name: re.compile(rf"</{name}(?=[ \t\n\r\f/>])", re.IGNORECASE)
    for name in ("script", "style", "textarea", "title", "iframe", "noembed", "noframes", "xmp")
}
_SPECIAL = frozenset((*_AS_WRITTEN, "pre"))
_TURN = re.compile(
    r"<(?:[!?]|/[pP](?i:re)(?=[ \t\n\r\f/>])"
    r"|(?=[pP][rR]|[sS][cCtT]|[tT][eEiI]|[iI][fF]|[nN][oO]|[xX][mM])"  # few tags begin so
    rf"(?i:{'|'.join(sorted(_SPECIAL))})(?=[ \t\n\r\f/>]))"
)
"""What says how a page is to be read on."""
_WITH_ATTRIBUTES = re.compile(
    r"(<[A-Za-z][^ \t\n\r\f/>]{0,32}+(?=[ \t\n\r\f/])"
    rf"(?:(?:[ \t\n\r\f/]*+{_NAME}(?:{_EQUALS}(?:{_VALUE}))?+)*+[ \t\n\r\f/]*+>|[\s\S]*+))"
)
"""A start tag that may have to change, or one that does not end, to the end of the text. Other tags are like text."""
_NO_TAG = re.compile(r"</[^A-Za-z>\"'\\]|<!\[(?!CDATA\[|if|else|endif)")
"""What browsers take for a comment although it looks like an end tag or a section."""
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
    if not looks_like(text) or any(sign.search(text) for sign in _KEEPS_SPACE) or _NO_TAG.search(text):
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
        self._tags: dict[str, str] = {}

    def written(self) -> str:
        """Return the document."""
        while self._to_markup() if not self._is_html else self._to_turn():
            sign = self._text[self._at + 1]
            if self._text.startswith("<!--", self._at):
                self._comment()
                continue
            self._write_run()
            if sign in "!?/":
                self._verbatim(self._end(sign))
            else:
                self._start_tag()
        self._write_run()
        return "".join(self._out)

    def _to_markup(self) -> bool:
        """Go on to the next tag of any kind, with the text before it in `_run`; False where no more comes."""
        found = _MARKUP.search(self._text, self._at)
        stop = found.start() if found else len(self._text)
        self._run += self._text[self._at : stop]
        self._at = stop
        return found is not None

    def _to_turn(self) -> bool:
        """Go on to the next place in a page that says how to read on, with the text right before it in `_run`."""
        while True:
            found = _TURN.search(self._text, self._at)
            stop = found.start() if found else len(self._text)
            texts, tags = _apart(self._text[self._at : stop])
            is_open = bool(tags) and not _TAG.fullmatch(tags[-1])
            if is_open:
                stop -= len(tags.pop())
                texts.pop()
            self._write_all(texts, tags)
            self._at = stop
            if not is_open:
                return found is not None
            self._write_run()
            self._start_tag()  # what looked like a turn stands inside a tag

    def _write_all(self, texts: list[str], tags: list[str]) -> None:
        """Write texts with start tags between them, but for the last text."""
        texts[0] = self._run + texts[0]
        self._run = texts.pop()
        if tags:
            pieces = [""] * (2 * len(tags))
            pieces[::2] = self._written_texts(texts)
            pieces[1::2] = [self._tags.get(tag) or self._shortened(tag) for tag in tags]
            self._out += pieces

    def _written_texts(self, texts: list[str]) -> list[str]:
        """Write texts of a page all at once."""
        joined = "\0".join(texts)
        if joined.count("\0") >= len(texts):
            return [self._written_text(text) for text in texts]
        return self._written_text(joined).split("\0")

    def _write_run(self) -> None:
        if self._run:
            self._out.append(self._written_text(self._run))
            self._run = ""

    def _written_text(self, run: str) -> str:
        if not self._is_html:
            return "\n" if "\n" in run and not run.strip(_BLANKS) else run
        if not self._pre_depth:
            run = _narrowed(run)
        if "&" in run:
            for reference, character in _REFERENCES.items():
                run = run.replace(reference, character)
        return run

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
        self._out.append(self._tags.get(match[0]) or self._shortened(match[0]))
        self._at = match.end()
        special = match[1].lower() if self._is_html and not match[3].startswith("/") else ""
        if special == "pre":
            self._pre_depth += 1
        elif special in _AS_WRITTEN:
            end = _AS_WRITTEN[special].search(self._text, self._at)
            self._verbatim(end.start() if end else len(self._text))

    def _shortened(self, tag: str) -> str:
        match = _TAG.fullmatch(tag)
        assert match, "a start tag"
        short = self._tags[tag] = _shorten(match, self._is_html)
        return short

    def _comment(self) -> None:
        run = self._run
        end = _COMMENT_END.search(self._text, self._at + 2)
        stop = end.end() if end else len(self._text)
        comment = self._text[self._at : stop]
        ready = run if self._pre_depth else run.rstrip(_BLANKS)
        if self._is_html and comment in self._comments and self._written_text(run)[-1:] in _AFTER_TEXT:
            self._out.append(self._written_text(ready))
            self._at, self._run = stop, _narrowed(run[len(ready) :])
            return
        self._comments.add(comment)
        self._write_run()
        self._verbatim(stop)


def _apart(text: str) -> tuple[list[str], list[str]]:
    """Return the texts before, between and after start tags that may have to change, and these tags."""
    pieces = _WITH_ATTRIBUTES.split(text)
    return pieces[::2], pieces[1::2]


def _narrowed(text: str) -> str:
    """Return `text` with each run of white space as one line break or one blank."""
    pieces = _WHITE.split(text)
    if len(pieces) > 1:
        runs = {run: "\n" if "\n" in run or "\r" in run else " " for run in set(pieces[1::2])}
        pieces[1::2] = [runs[run] for run in pieces[1::2]]
    return "".join(pieces)


def _shorten(tag: re.Match[str], is_html: bool) -> str:
    """Return a start tag with its attributes one blank apart, in HTML without quotes where they need none."""
    attributes = _ATTRIBUTE.findall(tag[2])
    if _SLOPPY_NAME.search("".join([name for name, _ in attributes])):
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
