"""Outliers: numbers and words that stand out among lines of one shape."""

from proxy_pkg.compressors.outliers import far, outliers
from proxy_pkg.compressors.shapes import shapes


def odd(lines: list[str]) -> list[str]:
    return [lines[line] for line in outliers(shapes("\n".join(lines)))]


def test_a_number_far_from_all_others_comes_first() -> None:
    lines = [f"10:00:{n % 60:02d} INFO took {20 + n % 7} ms" for n in range(90)]
    lines[40] = "10:00:40 INFO took 460 ms"
    assert odd(lines)[0] == lines[40]


def test_one_giant_does_not_hide_a_large_one() -> None:
    values = [float(20 + n % 7) for n in range(90)] + [400.0, 4e12]
    assert {90, 91} <= {row for row, _ in far(values)}


def test_a_jump_in_a_column_that_grows_stands_out() -> None:
    lines = [f"10:00 job {n} was queued" for n in range(300)]
    lines[20] = "10:00 job 200 was queued"
    assert lines[20] in odd(lines)


def test_a_word_that_is_rare_among_few_stands_out() -> None:
    lines = [f"10:{n // 60:02d}:{n % 60:02d} state is {'idle' if n % 3 else 'busy'} now" for n in range(300)]
    lines[111] = "10:01:51 state is lost now"
    assert lines[111] in odd(lines)


def test_a_number_that_is_usual_elsewhere_stands_out_where_it_is_not() -> None:
    lines = [
        f'10:00 "GET /{"big" if n % 2 else "small"}/{n}" {9000 + n % 9 if n % 2 else 50 + n % 9}' for n in range(200)
    ]
    lines[100] = '10:00 "GET /small/100" 9004'
    assert lines[100] in odd(lines)


def test_like_numbers_and_like_words_do_not_stand_out() -> None:
    assert odd([f"10:00 INFO took {n % 9} ms" for n in range(100)]) == []
    assert far([]) == [] and far([1.0] * 9) == []
