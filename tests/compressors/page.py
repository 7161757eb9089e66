"""What a page holds: its elements with their attributes, and its text as a browser shows it."""

import re
from html.parser import HTMLParser

VERBATIM = ("pre", "textarea", "script", "style", "title")
VOID = ("br", "hr", "img", "input", "link", "meta", "source", "wbr", "area", "base", "col", "embed", "track", "param")
Event = tuple[object, ...]


class Page(HTMLParser):
    """Lists tags, attributes, text and declarations in order; comments apart, each once."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.events: list[Event] = []
        self.comments: list[str] = []
        self._text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self._end_text()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._end_text()
        self.events.append(("<", tag, tuple((name, value or "") for name, value in attrs)))
        if tag in VERBATIM:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._end_text()
        self.events.append(("<" if tag in VOID else "</>", tag, tuple((name, value or "") for name, value in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self._end_text()
        self.events.append((">", tag))
        if tag in self._open:
            self._open.remove(tag)

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_comment(self, data: str) -> None:
        if data not in self.comments:
            self.comments.append(data)

    def handle_decl(self, decl: str) -> None:
        self._end_text()
        self.events.append(("!", decl))

    def handle_pi(self, data: str) -> None:
        self._end_text()
        self.events.append(("?", data))

    def _end_text(self) -> None:
        text = self._text if self._open else re.sub("[ \t\n\r\f]+", " ", self._text)
        if text:
            self.events.append(("text", text))
        self._text = ""


def held(text: str) -> tuple[list[Event], list[str]]:
    """Return what the page `text` holds: equal for two texts of one page."""
    page = Page(text)
    return page.events, page.comments
