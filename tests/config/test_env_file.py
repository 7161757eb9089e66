import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_pkg.config.env_file import parse

CASES = {
    "plain": ("A=1\nB=2\n", {"A": "1", "B": "2"}),
    "last one counts": ("A=1\nA=2\n", {"A": "2"}),
    "comments": ("# A=1\n ;A=2\nA=3\n", {"A": "3"}),
    "a comment ends with its line": ("# c\\\nA=1\n", {"A": "1"}),
    "blanks around": ("  A = x  y \t\n", {"A": "x  y"}),
    "carriage returns": ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    "no line end": ("A=1", {"A": "1"}),
    "empty": ("A=\nB=\"\"\nC=''\n", {"A": "", "B": "", "C": ""}),
    "single quotes": ("A='x \"$y\\n'\n", {"A": 'x "$y\\n'}),
    "double quotes": ('A="x \\"q\\" \\$y \\\\ \\d"\n', {"A": 'x "q" $y \\ \\d'}),
    "quotes span lines": ("A='1\n2'\nB=\"3\n4\"\n", {"A": "1\n2", "B": "3\n4"}),
    "joined lines": ('A=1\\\n2\nB="3\\\n4"\n', {"A": "12", "B": "34"}),
    "quoted parts join": ("A=\"p\" 'q'\n", {"A": "pq"}),
    "quotes inside stay": ('A=x"y"\n', {"A": 'x"y"'}),
    "hash inside stays": ("A=x # y\n", {"A": "x # y"}),
    "escaped blank at the end": ("A=x\\  \n", {"A": "x "}),
    "nothing is interpolated": ("A=$HOME${B}`c`\n", {"A": "$HOME${B}`c`"}),
    "equals inside": ("A=b=c\n", {"A": "b=c"}),
    "lines without equals": ("hello\nA=1\n", {"A": "1"}),
    "backslash at the end": ("A=x\\", {"A": "x"}),
}


@pytest.mark.parametrize(("text", "values"), CASES.values(), ids=CASES)
def test_reads_as_systemd_does(text: str, values: dict[str, str]) -> None:
    parsed = parse(text)
    assert parsed.values == values
    assert parsed.unreadable == {} and parsed.open_line == 0


def test_a_line_that_is_no_assignment_is_told_with_its_number() -> None:
    assert parse("\nexport A=1\nB=2\n").unreadable == {2: "export A"}


@pytest.mark.parametrize("quote", ["'", '"'])
def test_an_open_quote_is_told_with_its_line(quote: str) -> None:
    parsed = parse(f"A=1\n\nB={quote}x\nC=2\n")
    assert parsed.values == {"A": "1"} and parsed.open_line == 3


def test_a_file_of_nothing_but_faults_is_read_in_one_pass() -> None:
    assert len(parse("a b=\n" * 200_000).unreadable) == 200_000


@given(st.text(alphabet=" \t\r\n#;=\\'\"$AB1é"))
def test_any_text_is_read_without_an_error(text: str) -> None:
    parse(text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="'")))
def test_single_quotes_carry_any_text(value: str) -> None:
    assert parse(f"A=1\nX='{value}'\nB=2").values == {"A": "1", "X": value, "B": "2"}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_double_quotes_carry_any_text(value: str) -> None:
    escaped = "".join("\\" + character if character in '"\\`$' else character for character in value)
    assert parse(f'X="{escaped}"').values == {"X": value}
