"""What somebody asked for is found in the arguments and the question, and in the text."""

from proxy_pkg.compressors.asked import HITS_MAX, TERMS_MAX, places, terms


def test_names_numbers_and_paths_come_before_plain_words() -> None:
    found = terms({"pattern": "checkout", "path": "src/app.py", "limit": 4711}, "why does order-8812 fail?")
    assert found[:3] == ("src/app.py", "4711", "order-8812")
    assert set(found[3:]) == {"checkout"}


def test_words_that_everybody_says_are_no_terms() -> None:
    assert terms({"query": "show me all the errors in this file"}) == ()


def test_arguments_inside_arguments_count() -> None:
    assert terms({"command": ["bash", "-lc", "grep zebra x"], "options": {"deep": [{"id": "k-1"}]}}) == (
        "k-1",
        "bash",
        "grep",
        "zebra",
    )


def test_terms_are_bounded() -> None:
    assert len(terms({"query": " ".join(f"word{n}" for n in range(500))})) == TERMS_MAX
    assert terms({"query": "a" * 100_000}) == ("a" * 16_384,)


def test_a_place_is_a_whole_word() -> None:
    text = "id=17 id=170 x17 17"
    assert places(text, ["17"]) == [3, 17]
    assert places(text, ["nowhere"]) == []


def test_a_word_that_stands_everywhere_tells_nothing() -> None:
    assert places("common rare " + "common " * HITS_MAX, ["common", "rare"]) == [7]
    assert places("x" * 1_000_000, ["x", "xx"]) == []
