"""Shapes of lines: one for each pattern that a program writes."""

from proxy_pkg.compressors.shapes import shapes


def alike(*lines: str) -> bool:
    return len(set(shapes("\n".join(lines)).of_lines)) == 1


def test_numbers_times_and_ids_do_not_part_lines() -> None:
    assert alike("10:00:01 took 5 ms for job a81f", "11:22:33 took 1200 ms for job 99c2")


def test_one_other_word_does_not_part_lines_of_many() -> None:
    assert alike("2024 user anna logged in from the office", "2024 user bob logged in from the office")


def test_messages_below_the_same_header_are_parted() -> None:
    assert not alike("[9396] 10:00 generator starting pid=9397", "[9396] 10:00 received a.txt size=2")


def test_a_quoted_phrase_is_one_word() -> None:
    found = shapes('1 "GET /a b c" 200 7\n2 "GET /a" 200 9')
    assert len(found.groups()) == 1
    assert [words[2:] for words in found.words] == [[b"200", b"7"], [b"200", b"9"]]


def test_blanks_inside_the_fields_of_a_table_part_no_words() -> None:
    found = shapes("a\t1\tx y\tb\tc\td\n" * 4)
    assert found.words[0] == [b"a", b"1", b"x\x01y", b"b", b"c", b"d"]


def test_lines_are_counted_as_they_are_split() -> None:
    text = "a\r\nb\x0bc\n\nd\ue000\n"
    assert len(shapes(text).of_lines) == len(shapes(text).words) == len(text.split("\n"))
