"""Whether what is left of a page is text of that page, in order, with each gap marked in its place."""

import re

from proxy_pkg.compressors import gaps
from proxy_pkg.compressors.page_elements import elements
from tests.compressors.page import Page

_LEGEND = re.compile(r"\[(\d+) elements of a page as text, left out: tags, attributes, scripts, styles and images\]")
_SILENT = (
    "script",
    "style",
    "iframe",
    "noembed",
    "noframes",
    "svg",
    "template",
    "canvas",
    "video",
    "audio",
    "datalist",
)
_HEAD = re.compile(r"\s*HTTP/\S+ [0-9]+.*\n(?:[\w-]+:.*\n)*")


def has_only_runs_of(before: str, after: str) -> bool:
    """Whether all of `after` but its marks is text of the page `before`, and the marks count just what went."""
    head = _HEAD.match(before)
    start = head.end() if head else 0
    legend, _, body = after.partition("\n")
    found = _LEGEND.fullmatch(legend)
    kept = body.removeprefix(before[:start].strip() + "\n") if before[:start].strip() else body
    lines = [element.text for element in elements(before[start:])]
    return (
        found is not None
        and int(found[1]) == len(lines)
        and _adds_up(lines, kept)
        and _is_in_order(kept, Page(before[start:]))
    )


def _adds_up(lines: list[str], kept: str) -> bool:
    """Whether `kept` is `lines` one after the other, but for those that a mark names."""
    at = 0
    while at < len(lines):
        first, _, rest = kept.partition("\n")
        gap = gaps.read(first)
        if gap is not None:
            if gap[0] != at + 1 or gap[1] > len(lines):
                return False
            at, kept = gap[1], rest
        elif (kept + "\n").startswith(lines[at] + "\n"):
            kept = kept[len(lines[at]) + 1 :]
            at += 1
        else:
            return False
    return not kept


def _is_in_order(kept: str, page: Page) -> bool:
    """Whether the page has each line of `kept`, white space apart, after the one before it."""
    shown = "".join(_shown(page).split())
    at = 0
    for line in kept.split("\n"):
        if gaps.read(line) is None:
            run = "".join(line.split())
            at = shown.find(run, at) + len(run)
            if at < len(run):
                return False
    return True


def _shown(page: Page) -> str:
    """All text of the page but what stands in elements that show none."""
    texts = []
    within = ""
    for event in page.events:
        if event[0] == "<" and event[1] in _SILENT and not within:
            within = str(event[1])
        elif event == (">", within):
            within = ""
        elif event[0] == "text" and not within:
            texts.append(str(event[1]))
    return "".join(texts)
