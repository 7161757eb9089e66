from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.twins import GROUP_MAX, twins

ROWS = [[f"pod-{n}", f"node-{n % 5}", f"10.0.{n // 7}.{n % 7}", f"sha-{n * 31}", str(n * n)] for n in range(40)]


def by_column(rows: list[list[str]]) -> list[tuple[str, ...]]:
    return list(zip(*rows, strict=True))


def with_row(at: int, row: list[str]) -> list[tuple[str, ...]]:
    return by_column([*ROWS[:at], row, *ROWS[at:]])


def test_a_copy_with_another_name_and_a_number_many_times_as_large_comes_first() -> None:
    copy = ["pod-x", *ROWS[12][1:4], str(12 * 12 * 20)]
    assert list(twins(with_row(15, copy))) == [15, 12]


def test_numbers_inside_words_are_compared() -> None:
    rows = [[f"id {n}", f"took {n % 3 + 2} ms for {n}", f"key-{n}", f"key-{n * 7}"] for n in range(30)]
    rows.insert(9, ["id x", "took 80 ms for 4", *rows[4][2:]])
    assert 9 in twins(by_column(rows))


def test_a_copy_with_nearly_the_same_number_is_no_twin() -> None:
    assert not twins(with_row(15, ["pod-x", *ROWS[12][1:4], str(12 * 12 * 2)]))


def test_rows_that_differ_in_more_are_no_twins() -> None:
    assert not twins(with_row(15, ["pod-x", "node-y", ROWS[12][2], ROWS[12][3], str(12 * 12 * 20)]))


def test_what_many_rows_have_in_common_makes_no_twins() -> None:
    rows = [[f"pod-{n}", "node", "image", "ready", str(10**n)] for n in range(GROUP_MAX * 2)]
    assert not twins(by_column(rows))


def test_dates_and_times_are_no_numbers() -> None:
    rows = [["a", "b", "c", f"2024-01-{day:02} 0{day % 9}:00:00"] for day in (1, 20)]
    assert not twins(by_column(rows))


CELLS = st.sampled_from(["", "0", "1", "20", "x", "x 1", "x 400", "1.5e400", "-3", "\ud800", "9" * 400])


@given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_cells_are_compared(rows: list[tuple[str, ...]]) -> None:
    found = twins(list(zip(*rows, strict=True)))
    assert set(found) <= set(range(len(rows)))
    assert list(found.values()) == sorted(found.values(), reverse=True)
