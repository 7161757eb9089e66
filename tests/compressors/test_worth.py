from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.rarity import numbers, ranks
from proxy_pkg.compressors.worth import (
    EASY_CHARS,
    FREE_CHARS,
    HEAD_ROWS,
    TAIL_ROWS,
    Column,
    budget,
    choose,
)

COUNT = 2000
PLACE = 777


def ids() -> list[str]:
    return [f"item-{number * 7919 % 100_000:05d}" for number in range(COUNT)]


def kept(*columns: Column, wanted: tuple[str, ...] = ()) -> bytearray:
    choice = choose([Column("id", ids()), *columns], wanted)
    assert choice is not None
    return choice


def changed(cells: list[str], cell: str) -> list[str]:
    return [*cells[:PLACE], cell, *cells[PLACE + 1 :]]


def test_keeps_the_first_and_last_rows_and_some_between_within_the_budget() -> None:
    choice = kept()
    assert all(choice[:HEAD_ROWS])
    assert all(choice[-TAIL_ROWS:])
    assert any(choice[COUNT // 4 : COUNT // 2])
    assert sum(choice) * len("item-00000,") <= COUNT * len("item-00000,") // 3


def test_small_tables_and_constant_ones_stay_whole() -> None:
    assert choose([Column("id", ids()[:300])], ()) is None
    assert choose([Column("id", ["x" * 50] * COUNT)], ()) is None
    assert choose([], ()) is None


def test_keeps_what_was_asked_for() -> None:
    assert kept(wanted=(ids()[PLACE],))[PLACE]


def test_keeps_a_word_of_failure_in_a_column_of_few_values() -> None:
    told = ["ok" if number % 3 else "done" for number in range(COUNT)]
    assert kept(Column("said", changed(told, "request timed_out")))[PLACE]


def test_keeps_all_rows_with_a_bad_status_however_many_fit() -> None:
    codes = ["500" if number % 10 == 3 else "200" for number in range(COUNT)]
    choice = kept(Column("status_code", codes))
    assert all(choice[number] for number, code in enumerate(codes) if code == "500")


def test_keeps_an_exit_code_that_is_not_zero() -> None:
    assert kept(Column("exit_code", changed(["0"] * COUNT, "137")))[PLACE]


def test_failures_that_are_the_ordinary_case_do_not_fill_the_budget() -> None:
    choice = kept(Column("status", ["failed" if number % 2 else "ok" for number in range(COUNT)]))
    assert sum(choice) < COUNT // 2


def test_keeps_a_rare_value_an_outlier_and_a_number_out_of_order() -> None:
    colours = [("red", "green", "blue")[number % 3] for number in range(COUNT)]
    assert kept(Column("colour", changed(colours, "mauve")))[PLACE]
    sizes = [str(100 + number * 31 % 17) for number in range(COUNT)]
    assert kept(Column("size", changed(sizes, "2140")))[PLACE]
    order = [str(number) for number in range(COUNT)]
    assert kept(Column("number", changed(order, "1540")))[PLACE]


def test_one_giant_number_does_not_hide_the_next_outlier() -> None:
    sizes = [str(100 + number * 31 % 17) for number in range(COUNT)]
    sizes[5] = "9" * 15
    assert kept(Column("size", changed(sizes, "2140")))[PLACE]


def test_keeps_where_a_value_changes_that_seldom_does() -> None:
    zones = ["north"] * PLACE + ["south"] * (COUNT - PLACE)
    assert kept(Column("zone", zones))[PLACE]


def test_the_budget_grows_with_the_table_and_ever_slower() -> None:
    assert budget(FREE_CHARS) is None
    sizes = [FREE_CHARS + 1, 20_000, EASY_CHARS, 4 * EASY_CHARS, 100 * EASY_CHARS]
    found = [left for size in sizes if (left := budget(size)) is not None]
    assert found == sorted(found)
    assert len(found) == len(sizes)
    assert 1.9 < found[3] / found[2] < 2.1
    assert 9.9 < found[4] / found[2] < 10.1


def test_ranks_count_the_cells_that_are_at_least_as_unusual() -> None:
    cells = ["a"] * 500 + ["b", "c"] + ["a"] * 500
    found = ranks(cells, 50)
    assert set(found) == {500, 501, 502}
    assert found[500] == found[501]
    assert ranks(["a"] * 100, 50) == {}
    assert ranks([str(number) for number in range(1000)], 50) == {}


def test_quantities_are_numbers_with_their_unit() -> None:
    assert numbers(["1.5", "-2", "1e3"]) == [1.5, -2.0, 1000.0]
    assert numbers(["1 KiB", "2MiB"]) == [1024.0, 2.0 * 1024**2]
    assert numbers(["10%", "1,200"]) == [10.0, 1200.0]
    assert numbers(["1", "nan"]) is None
    assert numbers(["1", "x"]) is None
    assert numbers(["a b", "c"]) is None


CELLS = st.sampled_from(["", "0", "1", "1.5", "-7", "1e999", "nan", "12 ms", "error", "ok", "é", "a\nb", "x" * 40])


@given(
    rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=30), times=st.integers(1, 60), free=st.integers(0, 900)
)
@settings(max_examples=150, deadline=None)
def test_any_cells_are_chosen_from(rows: list[tuple[str, str]], times: int, free: int) -> None:
    columns = [Column("status", cells) for cells in zip(*(rows * times), strict=True)]
    choice = choose(columns, ("error",), free)
    if choice is not None:
        assert len(choice) == len(rows) * times
        assert set(choice) == {0, 1}
        assert choice == choose(columns, ("error",), free)


def test_a_word_of_failure_in_prose_keeps_its_row_where_few_have_one() -> None:
    prose = "the nightly job went through all of the tables that it was given and wrote a summary of row {} at the end"
    texts = [prose.format(n) for n in range(200)]
    texts[77] = texts[77].replace("went through", "failed to read")
    kept = choose([Column("id", [f"{n:05}" for n in range(200)]), Column("text", texts)], ())
    assert kept is not None
    assert kept[77]
    assert sum(kept) < 120
