"""Choice: what stays while there is room."""

from proxy_pkg.compressors.choice import Choice

LINES = ["x" * 9] * 100


def test_what_must_stay_costs_no_room() -> None:
    choice = Choice(LINES, 0)
    choice.keep((-1, 3, 100))
    assert choice.kept.find(1) == 3 and sum(choice.kept) == 1


def test_the_best_come_first_and_what_has_no_room_is_passed_over() -> None:
    choice = Choice(["x" * 99, "x" * 9, "x" * 9], 20)
    choice.keep_best((0, 2, 1), share=0.5)
    assert list(choice.kept) == [0, 0, 1]


def test_runs_are_spread_evenly_where_not_all_have_room() -> None:
    choice = Choice(LINES, 250)
    choice.keep_spread([(line,) for line in range(100)])
    assert [line for line in range(100) if choice.kept[line]] == list(range(3, 100, 4))


def test_all_runs_stay_where_there_is_room() -> None:
    choice = Choice(LINES, 1000)
    choice.keep_spread([range(at, at + 5) for at in range(0, 100, 5)])
    assert sum(choice.kept) == 100
