import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.padded import compress, looks_like
from tests.compressors import inverse_tables

CELLS = st.one_of(
    st.sampled_from(
        ["", "1/1", "Running", "Running", "0", "12", "1 (5h ago)", "<none>", "a,b", '"x"', 'x"y', "# z", "é"]
    ),
    st.text(st.sampled_from("ab1- ,=%{}"), max_size=6).map(str.strip),
)


def aligned(rows: list[list[str]], rights: list[bool], gap: int = 3) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        (" " * gap)
        .join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, rights, strict=True)
        )
        .rstrip()
        for row in rows
    ]
    return "\n".join(lines) + "\n"


@given(
    st.integers(3, 5).flatmap(
        lambda width: st.tuples(
            st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=5, max_size=12),
            st.lists(st.booleans(), min_size=width, max_size=width),
        )
    ),
    st.integers(1, 3),
)
@settings(max_examples=200, deadline=None)
def test_every_byte_returns(drawn: tuple[list[list[str]], list[bool]], gap: int) -> None:
    rows, rights = drawn
    text = aligned([["NAME", "READY", "STATUS", "AGE", "IP"][: len(rights)], *rows], rights, gap)
    short = compress(text)
    if short is not None:
        assert inverse_tables.padded(short) == text


def pods(count: int) -> str:
    rows = [[f"web-{n * 7919:x}", "1/1", "Running", f"{n}", f"{n % 9}d"] for n in range(count)]
    return aligned([["NAME", "READY", "STATUS", "RESTARTS", "AGE"], *rows], [False] * 5)


def test_padding_goes_and_what_repeats_stands_once() -> None:
    short = compress(pods(12))
    assert short is not None
    legend, header, first, *_ = short.split("\n")
    assert legend == "[In tables: (a=b) is b in all rows; {} is the cell and {a} the value of a]"
    assert header == (
        "[12 CSV rows, printed '%-12s%-8s%-10s%-11s%s': NAME=web-{},(READY=1/1),(STATUS=Running),RESTARTS,AGE]"
    )
    assert first == "0,0,0d"
    assert inverse_tables.padded(short) == pods(12)


def test_columns_set_to_the_right_return() -> None:
    rows = [["root", str(n * 37), "0.0", f"0:{n:02}", f"[kworker/{n}] and, more"] for n in range(30)]
    text = aligned([["USER", "PID", "%CPU", "TIME", "COMMAND"], *rows], [False, True, True, True, False], 1)
    short = compress(text)
    assert short is not None
    assert short.split("\n")[1].startswith("[30 TSV rows, printed ")
    assert inverse_tables.padded(short) == text
    assert len(short) < len(text) * 0.7


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NAME   READY   AGE\na      1/1     3d\n",
        "Some prose  with blanks\nand other lines\nof no columns at all\nand more\nand more\n" * 3,
        "def f():\n    return 1\n\n\ndef g():\n    return 2\n" * 3,
        pods(9).replace("\n", "\r\n"),
        pods(9).replace("Running", "Run\tning"),
        "\n" + pods(9),
    ],
)
def test_what_is_no_table_is_left_alone(text: str) -> None:
    assert compress(text) is None


def test_a_sample_says_why_it_looks_padded() -> None:
    assert looks_like(pods(60)) == "40 lines have blanks in the same places"
    assert not looks_like("a line  with blanks\n")
