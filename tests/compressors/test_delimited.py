import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.delimited import compress, looks_like
from tests.compressors import inverses

WORDS = st.sampled_from(
    [
        "",
        " ",
        "a",
        "USA",
        "USA",
        "2024-01-01",
        "2024-01-02",
        "2024-02-01",
        "https://e.org/a",
        "https://e.org/bb",
        "# x",
        "1",
        "01",
        "1.50",
        "x y",
        '"a, b"',
        '"say ""hi"""',
        '"two\nlines"',
        ' "padded"',
        'in"ch',
        "{}",
        "{#}",
        "as above",
        "(a)",
        "a=b",
        "+x",
        "\u2028",
        "é",
        'f"',
        "[",
        "]",
        "null",
        "name",
    ]
)
FIELDS = st.one_of(WORDS, st.text(st.sampled_from('ab1 -/.:{}()[]"=+#\t'), max_size=5))


@st.composite
def tables(draw: st.DrawFn) -> str:
    """Draw separated values; some columns repeat, some are made from others, some lines may be ragged."""
    separator, end = draw(st.sampled_from([",", "\t", ";", "|"])), draw(st.sampled_from(["\n", "\r\n"]))
    width, count = draw(st.integers(2, 5)), draw(st.integers(5, 24))
    pools = [draw(st.lists(FIELDS, min_size=1, max_size=4)) for _ in range(width)]
    lines = []
    for number in range(count):
        cells = [pool[draw(st.integers(0, len(pool) - 1)) if len(pool) < 4 else number // 5 % 4] for pool in pools]
        if number and draw(st.booleans()):
            cells[-1] = f"https://e.org/{cells[0]}/{number}.html"
        lines.append(separator.join(cells))
    return end.join(lines) + draw(st.sampled_from(["", end, "\n\n", ","]))


@given(tables())
@settings(max_examples=300, deadline=None)
def test_every_byte_returns(text: str) -> None:
    short = compress(text)
    if short is not None:
        assert inverses.delimited(short) == text


def csv(rows: list[list[str]], separator: str = ",", end: str = "\n") -> str:
    return end.join(separator.join(row) for row in rows) + end


def flights(count: int = 24) -> list[list[str]]:
    return [["day", "from", "to", "id", "page"]] + [
        [f"2024-01-{1 + n // 4:02}", "ABE", f"town {n % 7}", f"u{n * 37}", f"https://e.org/f/u{n * 37}"]
        for n in range(count)
    ]


def test_what_repeats_stands_once() -> None:
    short = compress(csv(flights()))
    assert short is not None
    assert short.split("\n")[1:5] == [
        "[24 CSV rows: (day={#}),(from=ABE),to=town {},id,(page=https://e.org/f/{id})]",
        "# 2024-01-01",
        "0,u0",
        "1,u37",
    ]


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_every_notation_returns(separator: str, end: str, last: bool) -> None:
    text = csv(flights(), separator, end)
    text = text if last else text.removesuffix(end)
    short = compress(text)
    assert short is not None
    assert inverses.delimited(short) == text
    assert len(short) < len(text) * 0.6


def test_quoted_cells_with_separators_and_newlines_stay_as_they_are() -> None:
    rows = [["id", "kind", "note"]] + [[str(n), "warning", f'"line, {n}\nsays ""so"""'] for n in range(20)]
    short = compress(csv(rows))
    assert short is not None
    assert '\n3,"line, 3\nsays ""so"""\n' in short
    assert inverses.delimited(short) == csv(rows)


def test_the_first_line_is_a_row_where_it_names_no_columns() -> None:
    text = csv([["7", "open", f"case {n}"] for n in range(20)])
    short = compress(text)
    assert short is not None
    assert short.startswith("[20 CSV rows without header: (1=7),(2=open),3")
    assert inverses.delimited(short) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        csv([["a", "b", "c"], *([str(n), str(n * n), str(n * 7 % 5)] for n in range(9))]),
        csv([*flights(), ["ragged"]]),
        csv([["# note", "x"], *([f"n{n}", "same old value"] for n in range(20))]),
        csv([["a", "b"], *([str(n), 'broken"quote, "'] for n in range(20))]) + '"',
        "Dear reader, hello.\nThis, too, is prose.\n" * 9,
        "\r\n".join(["a,constant"] * 20) + "\nb,constant",
    ],
)
def test_what_is_no_table_or_gains_nothing_is_left_alone(text: str) -> None:
    assert compress(text) is None


def test_a_sample_says_why_it_looks_separated() -> None:
    assert looks_like(csv(flights())) == "24 lines have equal numbers of CSV cells"
    assert not looks_like("one line, with a comma\n")
