"""The reader of references: it puts back what is there, and says what is not."""

from bench.compression_references import Reader
from proxy_pkg.model import Verdict

FILE = [f"value {n} = compute({n})" for n in range(1, 31)]
READ = "\n".join(f"{n:6d}→{line}" for n, line in enumerate(FILE, 1))
KEPT = Verdict("nothing_to_gain")


def reference(first: int, last: int, there: int, call: str = "one") -> str:
    return f"[lines {first}-{last}: as lines {there}-{there + last - first} of result {call} (Read app.py)]"


def again(first: int, last: int) -> str:
    return f"[lines {first}-{last}: as there]"


def sent(text: str) -> Verdict:
    return Verdict("smaller", compressor="reference", text=text)


def reader() -> Reader:
    made = Reader()
    assert made.read("one", READ, KEPT) == ""
    return made


def test_a_file_read_again_is_put_back() -> None:
    assert reader().read("two", READ, sent(reference(1, 30, 1))) == ""


def test_a_file_read_after_an_edit_is_put_back_with_other_numbers() -> None:
    lines = ["new line", *FILE]
    text = "\n".join(f"{n:6d}→{line}" for n, line in enumerate(lines, 1))
    assert reader().read("two", text, sent("     1→new line\n" + reference(2, 31, 1))) == ""


def test_a_plain_text_is_put_back_from_a_numbered_one() -> None:
    assert reader().read("two", "\n".join(["$ cat", *FILE]), sent("$ cat\n" + reference(2, 31, 1))) == ""


def test_what_is_named_once_is_meant_by_there() -> None:
    lines = [*FILE[:10], "changed", *FILE[11:]]
    text = "\n".join(f"{n:6d}→{line}" for n, line in enumerate(lines, 1))
    short = "[lines 1-10: as in result …ne (Read app.py)]\n    11→changed\n" + again(12, 30)
    assert reader().read("two", text, sent(short)) == ""


def test_there_without_a_name_is_noticed() -> None:
    assert "names no result" in reader().read("two", READ, sent(again(1, 30)))


def test_context_lines_of_a_search_are_put_back() -> None:
    lines = [f"{n}{':' if n == 9 else '-'}{line}" for n, line in enumerate(FILE, 1)]
    short = "\n".join([reference(1, 8, 1), lines[8], again(10, 30)])
    assert reader().read("two", "\n".join(lines), sent(short)) == ""


def test_an_id_that_two_results_end_with_is_noticed() -> None:
    made = reader()
    assert made.read("once more one", READ, KEPT) == ""
    assert "more than one" in made.read("two", READ, sent("[lines 1-30: as in result …one]"))


def test_one_line_off_is_noticed() -> None:
    assert "do not give back" in reader().read("two", READ, sent(reference(1, 29, 2) + f"\n    30→{FILE[29]}"))


def test_a_line_that_the_result_does_not_have_is_noticed() -> None:
    assert "not there" in reader().read("two", READ, sent(reference(1, 30, 2)))


def test_an_unknown_result_is_noticed() -> None:
    assert "no result" in reader().read("two", READ, sent(reference(1, 30, 1, "none")))


def test_a_reference_to_a_reference_is_noticed() -> None:
    made = reader()
    assert made.read("two", READ, sent(reference(1, 20, 1) + "\n" + "\n".join(READ.split("\n")[20:]))) == ""
    assert made.read("three", READ, sent(reference(1, 20, 1) + "\n" + reference(21, 30, 21, "two"))) == ""
    assert "not there" in made.read("four", READ, sent(reference(1, 30, 1, "two")))
