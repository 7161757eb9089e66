from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.json_values import cell, cells, scalar, text_cells

HOSTILE = ["", "a", "null", "absent", "1", "-", "01", "1.5e3", "a b", " a", "a ", "a,b", '"a', "#a", "{", "\0", "a\0"]
WORDS = st.one_of(st.sampled_from([*HOSTILE, "\n", "a\n", "\x7f", "\u2028", "é", "2024-05-01"]), st.text(max_size=4))
COLUMNS = st.builds(lambda words, times: words * times, st.lists(WORDS, max_size=8), st.integers(1, 3))


@given(COLUMNS)
@settings(max_examples=500, deadline=None)
def test_strings_together_are_spelled_as_each_by_itself(words: list[str]) -> None:
    assert cells(words) == [cell(word) for word in words]


@given(COLUMNS)
@settings(max_examples=500, deadline=None)
def test_strings_among_strings_need_no_quotes_for_looking_like_something_else(words: list[str]) -> None:
    for word, spelled in zip(words, text_cells(words), strict=True):
        assert spelled == word or spelled == scalar(word)
        assert spelled == cell(word) or cell(word) == scalar(word)


def test_text_that_is_mostly_bare_keeps_the_quotes_it_needs() -> None:
    assert text_cells(["a", "b, c", "", "7", "null"]) == ["a", '"b, c"', '""', "7", "null"]
    assert cells(["a", "b, c", "", "7", "null"]) == ["a", '"b, c"', '""', '"7"', '"null"']
