import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.markup import compress, looks_like
from tests.compressors.page import held

SPACES = st.sampled_from(["", " ", "\n", "\n   \n  ", "   ", "\t\t"])
VALUES = st.sampled_from(["x", "a b", "", "1", "a/b/", "it's", "&gt;", "&quot;x", "x=y", "é", "<b>", "`", "a  b"])
WORDS = st.sampled_from(
    ["text", "a &gt; b", "&quot;q&quot;", "&#39;", "&amp;gt;", "a < b", "&lt;i&gt;", "x > y", "\xa0", "&amp"]
)
NAMES = st.sampled_from(
    ["p", "div", "span", "a", "li", "code", "pre", "H1", "textarea", "script", "style", "svg", "my-tag"]
)
COMMENTS = st.sampled_from(["<!-- a -->", "<!-- a  b -->", "<!---->", "<!--[if IE]><p><![endif]-->"])


@st.composite
def attributes(draw: st.DrawFn) -> str:
    out = ""
    for index in range(draw(st.integers(0, 3))):
        value, quote = draw(VALUES), draw(st.sampled_from("\"'"))
        quoted = f"={quote}{value}{quote}" if quote not in value else ""
        out += draw(st.sampled_from([" ", "\n    ", "  "])) + f"n{index}" + quoted
    return out


@st.composite
def nodes(draw: st.DrawFn, depth: int = 2) -> str:
    """Return elements, text and comments with white space of all kinds in between."""
    out = ""
    for _ in range(draw(st.integers(0, 4))):
        out += draw(SPACES)
        kind = draw(st.integers(0, 5))
        name = draw(NAMES)
        if kind < 2:
            out += draw(WORDS)
        elif kind == 2:
            out += draw(COMMENTS)
        elif kind == 3:
            out += f"<br{draw(attributes())}{draw(st.sampled_from(['', ' /', '/']))}>"
        elif depth:
            raw = name in ("script", "style", "textarea")
            inside = "if (a  <  b)\n\n  x" if raw else draw(nodes(depth - 1))
            out += f"<{name}{draw(attributes())}>{inside}</{name}>"
    return out + draw(SPACES)


@given(nodes(), st.sampled_from(["<!DOCTYPE html>\n", "<html>", "HTTP/1.1 200 OK\nServer:  x\n\n<!doctype html>"]))
@settings(max_examples=200, deadline=None)
def test_a_page_holds_the_same(inside: str, start: str) -> None:
    text = start + inside
    shorter = compress(text)
    if shorter is not None:
        assert held(shorter) == held(text)
        assert compress(shorter) in (None, shorter)


def test_white_space_quotes_and_repeated_comments_go() -> None:
    text = (
        '<!DOCTYPE html>\n<html lang="en">\n  <!-- nav -->\n  <body   class="a b" id="top"\n   data-x="">\n'
        "    <pre>\n  two  blanks\n    </pre>\n    <!-- nav -->\n    <p>1 &gt; 0   and\n  2 &lt; 3</p>"
        "<br />\n  </body>\n</html>\n"
    )
    assert compress(text) == (
        '<!DOCTYPE html>\n<html lang=en>\n<!-- nav -->\n<body class="a b" id=top data-x>\n'
        "<pre>\n  two  blanks\n    </pre>\n<p>1 > 0 and\n2 &lt; 3</p><br>\n</body>\n</html>\n"
    )


def test_xml_keeps_its_text_and_its_quotes() -> None:
    note = "<note>  as   it is &gt;\n </note>\n"
    text = f'<?xml version="1.0"?>\n<suite  name="a"\n   tests="2">\n    <case name="b"/>\n    {note}</suite>\n'
    assert compress(text) == (f'<?xml version="1.0"?>\n<suite name="a" tests="2">\n<case name="b"/>\n{note}</suite>\n')


@pytest.mark.parametrize(
    "rest",
    [
        '<p title="a   b>   x</p>',
        "<!-- never closed     <p>",
        "<script>if (a)     b  <p   x>",
        "\n\n    def f():\n\n\n",
    ],
)
def test_what_may_be_no_markup_stays(rest: str) -> None:
    assert compress(f'<!DOCTYPE html>\n<html   lang="en">{rest}') == f"<!DOCTYPE html>\n<html lang=en>{rest}"


def test_what_follows_the_page_stays() -> None:
    rest = "\n\n\nif a  <  b:\n        c = '<p   class=\"x\">'\n"
    page = "<!DOCTYPE html>\n<html>\n\n<p>a</p>\n\n</html>"
    assert compress(page + rest) == page.replace("\n\n", "\n") + rest


def test_a_page_that_shows_white_space_is_left_alone() -> None:
    assert compress('<!DOCTYPE html>\n<html   lang="en"><p style="white-space: pre">a     b</p>') is None


@pytest.mark.parametrize("text", ["", "a <b> c", "< 3", "<not closed", "x = a</b\n" * 9])
def test_what_is_no_markup_is_left_alone(text: str) -> None:
    assert not looks_like(text)
    assert compress(text) is None


@given(
    st.lists(
        st.sampled_from(
            [
                "<",
                ">",
                "/",
                "a",
                " ",
                "=",
                '"',
                "'",
                "!--",
                "-->",
                "&gt;",
                "<pre>",
                "</pre>",
                "\n",
                "<br/>",
                "<a b=c>",
                "x  y",
            ]
        )
    )
)
@settings(max_examples=200, deadline=None)
def test_any_tag_soup_is_written_once_and_for_all(pieces: list[str]) -> None:
    shorter = compress("<html>" + "".join(pieces))
    assert shorter is None or compress(shorter) in (None, shorter)
