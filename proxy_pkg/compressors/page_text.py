"""HTML pages as text: every line of text a reader would see in the page's main part, without the markup around it.

    [812 elements of a page as text, left out: tags, attributes, scripts, styles and images]
    Exceptions - Example 1.2 documentation
    [41 elements left out: 2-42]

    Exceptions
    All exceptions of the library derive from ExampleError.
    name	when
    ExampleTimeout	the deadline passed

Elements are lines of the page (see page_elements), numbered from 1 on. What stands in menus, footers, asides and
dialogs goes, and so does what stands beside the page's `main`, if that holds most of the rest. An element that was
asked for stays. A page stays as it is where markup is what was asked for, where a name that was asked for stands in
its source only, and where it has too little text to speak for it.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from proxy_pkg.compressors import asked, gaps
from proxy_pkg.compressors.contract import Reducer
from proxy_pkg.compressors.page_elements import CELL, Element, elements

TEXT_CHARS_MIN = 160
TEXT_SHARE_MIN = 0.003
"""A page whose text is less of its source keeps it elsewhere, in scripts that build it."""
MAIN_SHARE_MIN = 0.6
"""`main` stands for the page if it holds so much of the text that is not beside it."""
KEPT_SHARE_MIN = 0.1
"""If less of the text would be kept, the menus are what the page is about."""

_NOUN, _GONE = "elements of a page as text,", "tags, attributes, scripts, styles and images"
_PAGE = re.compile(
    r"(?:<!--.*?-->|\s)*+(?:<(?:!doctype\s+html|html|body|main|article|section|header|nav|div|table|ul|ol|p|h[1-6])"
    r"|<\?xml[^>]*>(?:<!--.*?-->|\s)*+<(?:!doctype\s+html|html))(?=[\s/>])",
    re.IGNORECASE | re.DOTALL,
)
_TEMPLATE = re.compile(r"<\?(?:php|=)|<%|\A.{0,1000}\{%", re.DOTALL)
"""The source of a page that a program has yet to make."""
_HEAD = re.compile(r"\s*(?:HTTP/[0-9.]+ [0-9]+[^\n]*\n(?:[\w-]+:[^\n]*\n)*)?")
_MARKUP_WORDS = frozenset(
    """
    html css xpath selector selectors markup dom href hrefs links hyperlinks urls iframe scrape scraper scraping
    beautifulsoup bs4 lxml selectolax cheerio playwright puppeteer selenium queryselector htmlq pup xmllint favicon
    opengraph stylesheet stylesheets
    """.split()  # noqa: SIM905
)


def reduce(text: str, wanted: Sequence[str]) -> str | None:
    """Return the text of the page `text`, None where it is no page or should stay as it is."""
    head = _HEAD.match(text)
    start = head.end() if head else 0
    if not _PAGE.match(text, start) or _TEMPLATE.search(text) or "\x00" in text or CELL in text:
        return None
    if gaps.has_marks(text) or any(word.lower() in _MARKUP_WORDS for word in wanted):
        return None
    found = elements(text[start:])
    lines = [element.text for element in found]
    whole = "\n".join(lines)
    if len(whole) < max(TEXT_CHARS_MIN, TEXT_SHARE_MIN * len(text)) or gaps.has_marks(whole):
        return None
    if any(_stands_in_source_only(term, text, whole) for term in wanted):
        return None
    kept = _kept(found)
    ends = list(accumulate(len(line) + 1 for line in lines))
    for place in asked.places(whole, wanted):
        kept[bisect_right(ends, place)] = 1
    body = gaps.with_gaps(lines, kept, "elements") or whole
    headers = text[:start].strip()
    result = "\n".join((gaps.legend(len(found), _NOUN, _GONE), *[headers] * bool(headers), body))
    return result if len(result) < len(text) else None


def _kept(found: list[Element]) -> bytearray:
    """Return for each element whether it stays."""
    kept = bytearray(not element.is_beside for element in found)
    chars = sum(len(element.text) for element in found)
    rest = _chars(found, kept)
    if rest < KEPT_SHARE_MIN * chars:
        return bytearray(b"\x01" * len(found))
    main = bytearray(keeps and element.is_main for keeps, element in zip(kept, found, strict=True))
    return main if _chars(found, main) >= MAIN_SHARE_MIN * rest else kept


def _chars(found: list[Element], kept: bytearray) -> int:
    return sum(len(element.text) for keeps, element in zip(kept, found, strict=True) if keeps)


def _stands_in_source_only(term: str, text: str, whole: str) -> bool:
    """Whether a name is a value or a word of its own in the source of a page, and not in its text."""
    if term.isalpha() or "/" in term or term in whole:
        return False
    return any(text[place - 1 : place] in tuple("\"'=>#. ") for place in asked.places(text, (term,)))


PAGE_TEXT = Reducer("page-text", reduce)
