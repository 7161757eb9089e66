"""The text of an HTML page, element by element, as a browser lays it out in lines.

An element here is a run of text between two line breaks of the page: a paragraph, heading, list item, table row (its
cells a tab apart) or `pre`. White space in it is collapsed as on screen, but for `pre`. Scripts, styles, drawings and
embedded media have no text. One pass with a stack of open containers, after the rules of the HTML standard where they
bear on lines: what is broken is read on, and costs no more than what is whole.
"""

import html
import re

from msgspec import Struct

CELL = "\x1f"
"""Stands for the start of a cell while a page is read: no text of a page may have it."""
DEPTH_SEARCHED_MAX = 64
"""An end tag closes no element further up than this."""

_BLANK = r"[ \t\n\r\f]"
_INSIDE = rf"(?:[^>=]++|={_BLANK}*+(?:\"[^\"]*+\"|'[^']*+')|=)*+"
_WITHIN_LINES = (
    r"</?(?i:a|abbr|b|bdi|bdo|big|cite|code|del|dfn|em|font|i|ins|kbd|mark|nobr|q|s|samp|small|span|strike|strong|sub|sup"
    rf"|time|tt|u|var|wbr)(?:[ \t\n\r\f/]{_INSIDE})?+>"
)
_TAG_WITHIN_LINE = re.compile(_WITHIN_LINES)
_RUN = re.compile(rf"(?:[^<]++|<(?![A-Za-z/!?])|{_WITHIN_LINES})*+")
"""Text with tags that change nothing but its looks."""
_TOKEN = re.compile(
    r"<!--(?:-?>|.*?--!?>|.*)"
    rf"|<(?P<raw>(?i:script|style|iframe|noembed|noframes|xmp|title|textarea))(?={_BLANK}|[/>])[^>]*+>?"
    rf"|<(?P<name>/?[A-Za-z][^ \t\n\r\f/>]*+)(?P<inside>{_INSIDE})>"
    r"|<[A-Za-z].*"
    r"|<[!?/][^>]*+>?",
    re.DOTALL,
)
_NO_CHARACTER = re.compile("&#[0-9]{9}")
"""A number without end, which Python refuses to read."""
_ROLE = re.compile(rf"{_BLANK}role{_BLANK}*={_BLANK}*[\"']?([a-z]+)", re.IGNORECASE)
_ENDS = {
    name: re.compile(rf"</{name}(?={_BLANK}|[/>])[^>]*+>?", re.IGNORECASE)
    for name in """script style iframe noembed noframes xmp title textarea svg template canvas video audio
    datalist""".split()  # noqa: SIM905
}
_SHOWN = frozenset(("title", "textarea", "xmp"))
_CONTAINERS = frozenset(
    """
    address article aside blockquote center details dialog dir div dl fieldset figure footer form header hgroup main
    menu nav ol section select table ul pre body
    """.split()  # noqa: SIM905
)
_BREAKS = frozenset(
    """
    br hr p li dt dd tr thead tbody tfoot caption colgroup option optgroup legend summary figcaption h1 h2 h3 h4 h5 h6
    html head
    """.split()  # noqa: SIM905
)
_SPACED = {"td": CELL, "th": CELL, "button": " ", "/button": " ", "label": " ", "/label": " ", "img": " ", "input": " "}
"""What stands apart from what is before it in the same line."""
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_BESIDE = {"nav": "nav", "select": "nav", "dialog": "nav", "footer": "foot", "aside": "foot"}
"""Containers of what stands beside the text; a foot only where it is the page's, not that of an article."""
_BESIDE_ROLES = {
    "navigation": "nav",
    "menu": "nav",
    "menubar": "nav",
    "search": "nav",
    "dialog": "nav",
    "contentinfo": "foot",
    "complementary": "foot",
}


class Element(Struct, frozen=True):
    """A run of text, and whether it stands in the page's main part, or beside the text (menus, footers)."""

    text: str
    is_main: bool
    is_beside: bool


def elements(text: str) -> list[Element]:
    """Return the elements of the page `text`, in order. Never raises; time grows with the length of the text."""
    return Reader(text).read()


class Reader:
    """Reads one page; its life is one call of `read`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: list[Element] = []
        self._pieces: list[str] = []
        """The text since the last line break."""
        self._open: list[tuple[str, str]] = []
        """Open containers: name, and what they are in the page."""
        self._within = {"main": 0, "article": 0, "nav": 0, "foot": 0, "pre": 0, "": 0}
        self._unended: set[str] = set()
        self._heads = False
        self._is_over = False

    def read(self) -> list[Element]:
        """Return all elements."""
        text, at = self._text, 0
        while at < len(text):
            run = _RUN.match(text, at)
            if run and run.end() > at:
                self._pieces.append(_TAG_WITHIN_LINE.sub("", run[0]) if "<" in run[0] else run[0])
                at = run.end()
            token = _TOKEN.match(text, at)
            if token is None:
                break
            at = token.end()
            raw, name, inside = token.group("raw", "name", "inside")
            if raw:
                at = self._raw(raw.lower(), at)
            elif name:
                at = self._tag(name.lower(), inside, at)
        self._break()
        return self._found

    def _tag(self, name: str, inside: str, at: int) -> int:
        """Take a tag that ends at `at`; return where to read on."""
        if name in _ENDS:
            return at if inside.endswith("/") else self._skipped(name, at)
        if name in _CONTAINERS:
            self._break()
            self._start(name, inside)
        elif name in _SPACED:
            self._pieces.append(_SPACED[name])
        elif name in _BREAKS:
            if name == "br" and self._within["pre"]:
                self._pieces.append("\n")
                return at
            self._break()
            self._heads = name in _HEADINGS
        elif name[0] == "/":
            self._end(name[1:])
        return at

    def _raw(self, name: str, at: int) -> int:
        """Take an element whose inside is no markup; return where it ends."""
        end = _ENDS[name].search(self._text, at)
        stop = end.start() if end else len(self._text)
        if name in _SHOWN:
            self._break()
            self._pieces.append(self._text[at:stop])
            self._break(is_title=name == "title")
        return end.end() if end else stop

    def _skipped(self, name: str, at: int) -> int:
        """Return where the element that starts before `at` ends; `at` if it does not."""
        end = None if name in self._unended else _ENDS[name].search(self._text, at)
        if end is None:
            self._unended.add(name)
            return at
        return end.end()

    def _start(self, name: str, inside: str) -> None:
        role = _ROLE.search(inside) if "role" in inside or "ROLE" in inside else None
        part = _BESIDE.get(name, name if name in self._within else "")
        if role:
            part = "main" if role[1] == "main" else _BESIDE_ROLES.get(role[1].lower(), part)
        if part == "foot" and (self._within["main"] or self._within["article"]):
            part = ""
        self._within[part] += 1
        self._open.append((name, part))

    def _end(self, name: str) -> None:
        if name in _CONTAINERS:
            self._break()
            self._close(name)
        elif name in _BREAKS:
            self._break()
            self._heads = False
            self._is_over |= name == "html"

    def _close(self, name: str) -> None:
        """Close the innermost container `name` with all that is open in it; a table is not left by other ends."""
        for depth in range(1, min(len(self._open), DEPTH_SEARCHED_MAX) + 1):
            opened = self._open[-depth][0]
            if opened == name:
                for _, part in self._open[-depth:]:
                    self._within[part] -= 1
                del self._open[-depth:]
                return
            if opened == "table":
                return

    def _break(self, *, is_title: bool = False) -> None:
        """End the line."""
        if not self._pieces:
            return
        run = _unescaped("".join(self._pieces))
        self._pieces.clear()
        run = _trimmed(run) if self._within["pre"] else _collapsed(run)
        if not run:
            return
        within = self._within
        self._found.append(
            Element(
                "\n" + run if self._heads else run,
                is_title or self._is_over or within["main"] > 0,
                not (is_title or self._is_over) and within["nav"] + within["foot"] > 0,
            )
        )
        self._heads = False


def _unescaped(run: str) -> str:
    """Return text with its character references resolved."""
    return run if "&" not in run or _NO_CHARACTER.search(run) else html.unescape(run)


def _trimmed(run: str) -> str:
    """Return preformatted text without empty lines around it."""
    return run.replace(CELL, "").strip("\r\n").rstrip()


def _collapsed(run: str) -> str:
    """Return the text of a line, or of a row with a tab between its cells, with white space as on screen."""
    if CELL not in run:
        return " ".join(run.split())
    before, *cells = (" ".join(cell.split()) for cell in run.split(CELL))
    return "\t".join([before, *cells] if before else cells).rstrip("\t")
