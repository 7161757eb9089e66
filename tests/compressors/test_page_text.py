"""What is left of a page is the text a reader sees in its main part, in order, with each gap marked."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.page_elements import elements
from proxy_pkg.compressors.page_text import reduce
from tests.compressors.page_runs import has_only_runs_of

PARAGRAPH = "<p>The server <em>drains</em> its streams before it ends, and says so in its log.</p>\n"
MENU = "<nav><ul>" + "".join(f"<li><a href='/guide/{n}'>Chapter number {n}</a></li>" for n in range(9)) + "</ul></nav>"


def page(body: str, head: str = "") -> str:
    return f"<!doctype html>\n<html><head><title>Manual</title>{head}</head><body>{body}</body></html>\n"


def lines(body: str) -> list[str]:
    return [element.text for element in elements(body)]


def test_menus_and_markup_go_and_the_text_stays() -> None:
    assert reduce(page(MENU + "<h1>Draining &amp; ending</h1>" + PARAGRAPH * 8), ()) == (
        "[19 elements of a page as text, left out: tags, attributes, scripts, styles and images]\nManual\n"
        "[9 elements left out: 2-10]\n\nDraining & ending\n"
        + "\n".join(["The server drains its streams before it ends, and says so in its log."] * 8)
    )


def test_what_stands_beside_main_goes() -> None:
    beside = "<div>Read the other manuals that we have written this year, too.</div>"
    reduced = reduce(page(beside + "<main>" + PARAGRAPH * 8 + "</main>" + beside), ())
    assert reduced is not None
    assert reduced.endswith("\n[1 elements left out: 11]")
    assert "[1 elements left out: 2]" in reduced


def test_a_small_main_does_not_stand_for_the_page() -> None:
    reduced = reduce(page("<main><p>Loading</p></main>" + PARAGRAPH * 8), ())
    assert reduced is not None
    assert "left out: " not in reduced.partition("\n")[2]


def test_a_page_of_menus_keeps_them() -> None:
    reduced = reduce(page("<p>All chapters:</p>" + MENU * 6), ())
    assert reduced is not None
    assert reduced.count("Chapter number 7") == 6


def test_an_element_that_was_asked_for_stays() -> None:
    body = "<footer><p>Imprint</p><p>Licence number 4711-B, granted to the authors.</p></footer>"
    for wanted, is_seen in (((), False), (("4711-B",), True)):
        reduced = reduce(
            page(PARAGRAPH * 8 + body + "<footer>" + "<p>All rights reserved.</p>" * 9 + "</footer>"), wanted
        )
        assert reduced is not None
        assert ("4711-B" in reduced) is is_seen


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (page(PARAGRAPH * 8), ("XPath",)),
        (page("<div id='price-42'></div>" + PARAGRAPH * 8), ("price-42",)),
        (page(PARAGRAPH), ()),
        (page("<div id=root></div><script>" + "x" * 199_999 + "</script><p>" + "word " * 90), ()),
        (page("{% for each in all %}" + PARAGRAPH * 8), ()),
        (page(PARAGRAPH * 8 + "<pre>\n[3 lines left out: 2-4]\n</pre>"), ()),
        ("<?xml version='1.0'?><rss>" + PARAGRAPH * 9 + "</rss>", ()),
        ("<?xml version='1.0'?><article>" + PARAGRAPH * 9 + "</article>", ()),
        ("<testsuites>" + "<testcase name='a'>said something</testcase>" * 99 + "</testsuites>", ()),
        ("<svg><text>" + "word " * 999 + "</text></svg>", ()),
        ("Not a page: " + page(PARAGRAPH * 8), ()),
    ],
)
def test_it_stays_where_markup_matters_or_it_is_no_page(text: str, wanted: tuple[str, ...]) -> None:
    assert reduce(text, wanted) is None


def test_headers_before_a_page_and_what_follows_it_stay() -> None:
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n"
    reduced = reduce(
        head + page("<main>" + PARAGRAPH * 8 + "</main>") + "\n[took 12 ms, and ended with the code 0]\n", ()
    )
    assert reduced is not None
    assert " images]\nHTTP/1.1 200 OK\r\ncontent-type: text/html\nManual\n" in reduced
    assert reduced.endswith("\n[took 12 ms, and ended with the code 0]")


def test_lines_are_those_of_the_screen() -> None:
    assert lines("<p>a\n <b>b</b>c<i>d</i></p>e<br>f <!-- no --> g<div>h<div>i</div></div>j") == [
        *("a bcd", "e", "f g", "h", "i", "j")
    ]
    assert lines("<table><tr><th>name<th>age<tr><td>Ann<td></td><td>4<tr><td><td>x</table>") == [
        *("name\tage", "Ann\t\t4", "\tx")
    ]
    assert lines("<pre>\n  if a &lt; b:\n      <b>c</b>()\n</pre>") == ["  if a < b:\n      c()"]
    assert lines("x<script>a<p>b</script>y<style>p{}</style><svg><text>no</text></svg><svg/>z") == ["xyz"]
    assert lines("<h2>One</h2><p>a</p><h3></h3><p>b</p>") == ["\nOne", "a", "b"]
    assert lines("a < b && c > d <p title='a > b'>e &copy; &#99999999999;") == [
        "a < b && c > d",
        "e &copy; &#99999999999;",
    ]
    assert lines("<button>Copy</button><button>Share</button>") == ["Copy Share"]


def test_broken_pages_are_read_on() -> None:
    assert lines("<p>a<p>b</div></section><td>c") == ["a", "b", "c"]
    assert lines("<svg>a<p>b") == ["a", "b"]
    assert lines("<p>a<div title='b>c</div><p>d") == ["a", "c", "d"]
    assert lines("a<script>b") == ["a"]
    assert lines("a<!--b") == ["a"]
    assert [
        (each.text, each.is_beside) for each in elements("<div><nav>a</div>b<nav><table>c</nav>d</table></nav>e")
    ] == [*(("a", True), ("b", False), ("c", True), ("d", True), ("e", False))]


TAGS = ["<p>", "</p>", "<nav>", "</nav>", "<main>", "</main>", "<div class='a > b'>", "</div>", "<b>", "</b>", "<br>"]
TAGS += [
    "<table>",
    "<tr>",
    "<td>",
    "</table>",
    "<pre>",
    "</pre>",
    "<li>",
    "<h2>",
    "<footer>",
    "</footer>",
    "<!-- x -->",
]
TAGS += [
    "<title>t</title>",
    "<script>s</script>",
    "<x-y>",
    "<img alt='i'>",
    "<select>",
    "<option>",
    "<aside role='main'>",
]
TEXTS = ["word", " two words ", "&lt;", "&amp;amp;", "\n", "\t", "  indented", "a < b", "\u00a0", "漢字"]


@given(st.lists(st.sampled_from(TAGS + TEXTS), max_size=60))
@settings(max_examples=200, deadline=None)
def test_all_that_is_kept_is_the_page_s_own(parts: list[str]) -> None:
    text = page(PARAGRAPH * 8 + "".join(parts) + "</table></pre>" + PARAGRAPH * 2)
    reduced = reduce(text, ("two", "indented"))
    if reduced is not None:
        assert has_only_runs_of(text, reduced)
        assert reduce(reduced, ()) is None
