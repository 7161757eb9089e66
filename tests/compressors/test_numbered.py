import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.numbered import HEADER, compress
from tests.compressors import inverses

FORMS = [
    "%6d→",
    "%6d\t",
    "%5d  ",
    "%d→",
    "%d: ",
    "%d:",
    "L%d: ",
    "%05d| ",
    "%3d | ",
    "%-6d\t",
    "%6d  \t",
    "%4d│",
    "%06d\t",
]
TEXTS = st.one_of(
    st.sampled_from(["", "\t", "}", "x", "  y", "\r", " \f", "a\u2028b", "→", HEADER]),
    st.sampled_from(["12→z", "12: z", "12:z", "7\tq", "    12→z", "L3: x", "03| ", "1 | "]),
    st.text(max_size=8).filter(lambda text: "\n" not in text),
)
AROUND = st.sampled_from([[], ["<file>"], ["", "<system-reminder>", "careful", "</system-reminder>", ""], [""]])


def read(form: str, first: int, texts: list[str]) -> list[str]:
    return [form % (first + index) + text for index, text in enumerate(texts)]


@pytest.mark.parametrize("form", [form for form in FORMS if form != "%5d  "])
@pytest.mark.parametrize("first", [1, 7, 95, 500, 99_990, 999_990])
def test_every_form_of_number_is_thinned_and_returns(form: str, first: int) -> None:
    text = "\n".join(read(form, first, ["def f(x):", "", "    return x", "\tpass"] * 10))
    short = compress(text)
    assert short is not None
    assert inverses.numbered(short) == text
    assert len(short) < len(text)


@given(
    st.sampled_from(FORMS),
    st.lists(st.tuples(st.integers(0, 1100), st.lists(TEXTS, max_size=25), AROUND), min_size=1, max_size=3),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
@example("%6d→", [(1, ["a"] * 12, ["x"]), (14, ["b"] * 12, [])], False)
@example("%3d | ", [(995, ["a"] * 25, [])], False)
def test_whatever_is_thinned_returns(form: str, runs: list[tuple[int, list[str], list[str]]], strip: bool) -> None:
    text = "\n".join(line for first, texts, around in runs for line in (*read(form, first, texts), *around))
    text = text.strip() if strip else text
    short = compress(text)
    if short is not None:
        assert inverses.numbered(short) == text


@given(st.text(st.sampled_from("123 \n→\t:|L0a"), max_size=80).map(lambda text: text * 3))
@settings(max_examples=200, deadline=None)
def test_text_that_only_looks_numbered_returns(text: str) -> None:
    short = compress(text)
    if short is not None:
        assert inverses.numbered(short) == text


def test_the_first_each_tenth_and_the_last_number_stay() -> None:
    short = compress("\n".join(read("%6d→", 8, [f"text {n}" for n in range(8, 33)])))
    assert short is not None
    shown = [line for line in short.split("\n")[1:] if "→" in line]
    assert shown == ["8→text 8", "10→text 10", "20→text 20", "30→text 30", "32→text 32"]


def test_every_text_stays_word_for_word() -> None:
    texts = ["  indented", "\ttabbed", "trailing  ", "", "10→ten", "}\r"] * 9
    short = compress("\n".join(read("%6d→", 1, texts)))
    assert short is not None
    for line, text in zip(short.split("\n")[1:], texts, strict=True):
        assert line.endswith(text)


def test_text_around_the_read_stays() -> None:
    before, after = "<path>a.go</path>\n", "\n\n<system-reminder>\nBe careful.\n</system-reminder>\n"
    short = compress(before + "\n".join(read("%6d→", 1, ["line"] * 50)) + after)
    assert short is not None
    assert short.split("\n", 1)[1].startswith(before)
    assert short.endswith("50→line" + after)


def test_a_read_that_lost_its_first_blanks_is_still_one() -> None:
    text = "\n".join(read("%6d\t", 1, ["line"] * 50)).strip()
    short = compress(text)
    assert short is not None
    assert "first unpadded" in short.split("\n")[0]
    assert inverses.numbered(short) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain text\n" * 50,
        "\n".join(read("%6d→", 1, ["a", "b", "c"])),
        "\n".join(f"{n * 7}:match" for n in range(1, 60)),
        "\n".join([*read("%6d→", 1, ["a"] * 20), "...", *read("%6d→", 22, ["a"] * 20)]),
        "\n".join([*read("%6d→", 1, ["a"] * 20), "44→looks numbered"]),
    ],
    ids=["empty", "plain", "too short", "no consecutive numbers", "gap of one line", "text like a number"],
)
def test_what_is_no_read_or_ambiguous_is_left_alone(text: str) -> None:
    assert compress(text) is None
