import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.terminal import compress
from tests.compressors.screen import seen

PIECES = st.one_of(
    st.sampled_from(["ab", "x", " ", "   ", "10%", "100%", "Building ", "\n", "\r\n"]),
    st.sampled_from(["\r", "\b", "\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[3G", "\x1b[2C", "\x1b[D"]),
    st.sampled_from(["\x07", "\x1b[31m", "\x1b[0m", "\x1b[?25l", "\x1b]0;title\x07"]),
)


@given(st.lists(PIECES, max_size=14).map("".join))
@settings(max_examples=250, deadline=None)
@example("abc\x1b[1G\x1b[1Kx")
def test_every_line_looks_the_same(text: str) -> None:
    short = compress(text)
    if short is not None:
        assert list(map(seen, short.split("\n"))) == list(map(seen, text.split("\n")))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;32mPASSED\x1b[0m test_a", "PASSED test_a"),
        ("\x1b[38;5;12mblue\x1b[m\x1b(B", "blue"),
        ("  0%|    | 0/9\r 50%|##  | 4/9\r100%|####| 9/9\nnext", "100%|####| 9/9\nnext"),
        ("Objects:  1% (1/99)\rObjects: 100% (99/99), done.\r\n", "Objects: 100% (99/99), done.\r\n"),
        ("⠙ building\x1b[2K\x1b[1G⠹ building\x1b[2K\x1b[1Gbuilt\n", "built\n"),
        ("Installing 10%\rDone.              \n", "Done.\n"),
        ("N\bNA\bAM\bME\bE _\bx_\by", "NAME xy"),
        ("\x1b]8;;https://example.org\x1b\\text\x1b]8;;\x1b\\", "text"),
        ("\x1b[01;31m\x1b[Kmatch\x1b[m\x1b[K\tin a\ttable", "match\tin a\ttable"),
        ("进度 10%\r进度 20%\n", "进度 20%\n"),
        ("e\u0301 10%\re\u0301 20%\n", "e\u0301 20%\n"),
        ("漢字 10%\x1b[1Gab\x1b[K", "ab"),
        ("漢字 10%\x1b[1Ga", "a 字 10%"),
    ],
)
def test_what_a_person_sees(text: str, shown: str) -> None:
    assert compress(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "plain\n",
        "dos\r\nlines\r\n",
        "line one\rline two\rline three, of an old text file\r",
        "1,2,3\r4,5,6\r7,8,9",
        "1/2/2024,5\r1/3/2024,6\r1/4/2024,7",
        "key=1\rkey=2\rkey=3",
        "name\tvalue\rother\t10%\rmore\t20%",
        "\x1b[2;3Hmoved\x1b[5A",
        "an escape \x1b and no more",
        "\x1b]0;title without an end",
        "joins to a colour \x1b\x1b[0m[31m",
        "far\x1b[9999Cright",
    ],
)
def test_data_and_unknown_sequences_stay(text: str) -> None:
    assert compress(text) is None


def test_an_unknown_sequence_keeps_its_line_only() -> None:
    assert compress("\x1b[1A\x1b[2Kup\n\x1b[31mred\x1b[0m\n") == "\x1b[1A\x1b[2Kup\nred\n"
