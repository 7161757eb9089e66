import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.ruled import compress, holds_some, looks_like
from tests.compressors.inverse_ruled import ruled

CELLS = st.one_of(
    st.sampled_from(["", "active", "12", "7", "2024-05-01 10:00", "a,b", '"x"', 'x"y', "# z", "é", "a\\|b", "`x`"]),
    st.text(st.sampled_from("ab1- ,=%{}|:"), max_size=6).map(str.strip),
)
RULES = {
    "markdown": ("| ", " | ", " |", {"below": ("|", "-", "|", "|")}),
    "psql": (" ", " | ", "", {"below": ("", "-", "+", "")}),
    "mysql": ("| ", " | ", " |", dict.fromkeys(("top", "below", "end"), ("+", "-", "+", "+"))),
    "grid": ("| ", " | ", " |", dict.fromkeys(("top", "below", "between", "end"), ("+", "=", "+", "+"))),
    "box": ("│", "│", "│", {"top": ("┌", "─", "┬", "┐"), "below": ("╞", "═", "╪", "╡"), "end": ("└", "─", "┴", "┘")}),
}


def drawn(rows: list[list[str]], style: str, rights: list[bool], names: str = "as rows") -> str:
    """Return the table of `rows` as a tool draws it; names "left" or "centred" where they stand otherwise."""
    start, middle, end, rules = RULES[style]
    widths = [max(1, *map(len, column)) for column in zip(*rows, strict=True)]
    pad = 0 if style == "box" else 2

    def line(cells: list[str], sides: list[str]) -> str:
        put = {"<": str.ljust, ">": str.rjust, "^": _centre}
        padded = [put[side](cell, width) for cell, width, side in zip(cells, widths, sides, strict=True)]
        if not end and sides[-1] == "<" and cells is not rows[0]:
            padded[-1] = cells[-1]
        return start + middle.join(padded) + (end or " " * (cells is rows[0]))

    def rule(place: str) -> list[str]:
        if place not in rules:
            return []
        left, fill, joint, right = rules[place]
        return [left + joint.join(fill * (width + pad) for width in widths) + right]

    sides = [">" if right else "<" for right in rights]
    above = {"as rows": sides, "left": ["<"] * len(sides), "centred": ["^"] * len(sides)}[names]
    body = [each for row in rows[1:] for each in (line(row, sides), *rule("between"))]
    body = body[:-1] if "between" in rules else body
    return "\n".join([*rule("top"), line(rows[0], above), *rule("below"), *body, *rule("end")])


def _centre(cell: str, width: int) -> str:
    return (" " * ((width - len(cell)) // 2) + cell).ljust(width)


@given(
    st.integers(2, 4).flatmap(
        lambda width: st.tuples(
            st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=4, max_size=9),
            st.lists(st.booleans(), min_size=width, max_size=width),
        )
    ),
    st.sampled_from(list(RULES)),
    st.sampled_from(["as rows", "left", "centred"]),
    st.lists(st.sampled_from(["", "Some words.", "(4 rows)", "a | b", "[printed 'x", "|---|"]), max_size=2),
)
@settings(max_examples=300, deadline=None)
def test_every_byte_returns(
    table: tuple[list[list[str]], list[bool]], style: str, names: str, around: list[str]
) -> None:
    rows, rights = table
    text = drawn([["id", "name", "state", "x"][: len(rights)], *rows], style, rights, names)
    text = "\n".join([*around, text, *around, text + " ", ""])
    short = compress(text)
    if short is not None:
        assert ruled(short) == text
        assert compress(short) is None


def orders(style: str, names: str = "as rows") -> str:
    rows = [[str(n), f"order {n * 37}", "open" if n % 3 else "paid", "EUR"] for n in range(1, 20)]
    return drawn([["id", "title", "state", "currency"], *rows], style, [True, False, False, False], names) + "\n"


@pytest.mark.parametrize("style", RULES)
@pytest.mark.parametrize("names", ["as rows", "left", "centred"])
def test_bars_and_rules_go_and_come_back(style: str, names: str) -> None:
    text = orders(style, names)
    short = compress("Orders\n\n" + text + "(19 rows)\n")
    assert short is not None
    assert len(short) < 0.73 * len(text)
    assert "EUR" in short
    assert short.count("EUR") == 1
    assert ruled(short) == "Orders\n\n" + text + "(19 rows)\n"


def test_a_table_of_unpadded_cells_returns() -> None:
    text = "| a | b |\n|:--|---|\n" + "".join(f"| {n} | same \\| words and words |\n" for n in range(9))
    short = compress(text)
    assert short is not None
    assert short.startswith(
        "[9 CSV rows: a,(b=same \\| words and words)]\n[printed '| %s | %s |'; ruled exactly '|:--|---|'"
    )
    assert ruled(short) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "| a | b |\n|---|---|\n| 1 | 2 |\n",
        "a | b\nc | d\ne | f\ng | h\ni | j\n",
        "if x:\n    y = a || b\n----+----\n",
        "[printed 'x\n" + orders("psql"),
        orders("psql").replace("\n", "\r\n"),
    ],
)
def test_what_is_no_table_or_hardly_one_is_left_alone(text: str) -> None:
    assert compress(text) is None


def test_a_sample_says_where_its_table_is() -> None:
    assert looks_like(orders("mysql")) == "a table is drawn in lines 1 to 23"
    assert not looks_like("words\n" * 60 + orders("mysql"))
    assert holds_some("words\n" * 60 + orders("mysql")) == "a table is drawn in lines 61 to 83"
    assert not holds_some("words | words\n" * 60)
