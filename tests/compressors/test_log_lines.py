"""What of a log stays at the level `balanced`."""

from proxy_pkg.compressors import gaps
from proxy_pkg.compressors.log_lines import LOG_LINES
from proxy_pkg.compressors.logs import LOGS
from tests.compressors import inverse_lines

TRACE = ["\tat shop.Stock.take(Stock.java:88)", "\tat shop.Order.place(Order.java:14)", "\t... 31 more"]


def log(count: int = 600) -> list[str]:
    return [
        f"2024-05-01 10:{n // 60:02d}:{n % 60:02d} INFO shop.{'Cart' if n % 3 else 'Stock'}: item {n} took {n % 7} ms"
        for n in range(count)
    ]


def left(lines: list[str], *wanted: str) -> list[str]:
    reduced = LOG_LINES.reduce("\n".join(lines), wanted)
    assert reduced is not None
    return reduced.split("\n")


def test_most_of_what_is_usual_goes_and_the_ends_stay() -> None:
    lines = log()
    shown = left(lines)
    assert sum(map(len, shown)) < 0.4 * sum(map(len, lines))
    assert shown[:6] == lines[:6] and shown[-8:] == lines[-8:]


def test_each_error_stays_with_its_neighbours() -> None:
    lines = log()
    for n in range(0, 600, 50):
        lines[n + 7] = lines[n + 7].replace("INFO", "ERROR")
    shown = left(lines)
    assert all(lines[n + 7] in shown for n in range(0, 600, 50))
    assert lines[5:10] == [line for line in shown if line in lines[5:10]]


def test_many_errors_that_differ_in_numbers_only_do_not_all_stay() -> None:
    lines = [line.replace("INFO", "ERROR") for line in log()]
    assert len(left(lines)) < 400


def test_a_stack_trace_stays_whole_once() -> None:
    lines = log()
    for at in (500, 300, 100):
        lines[at:at] = [f"2024-05-01 10:09:00 ERROR shop: order {at} failed", *TRACE]
    shown = left(lines)
    assert sum("ERROR" in line for line in shown) == 3
    assert "\n".join(shown).count("\n".join(TRACE)) == 1


def test_a_number_far_off_stays() -> None:
    lines = log()
    lines[333] = lines[333].replace("took 4 ms", "took 480 ms")
    assert lines[333] in left(lines)


def test_what_was_asked_for_stays() -> None:
    lines = log()
    lines[222] = lines[222].replace("item 222", "item A7-222-x")
    assert lines[222] in left(lines, "A7-222-x")


def test_the_only_line_of_a_shape_stays() -> None:
    lines = log()
    lines[444] = "2024-05-01 10:07:24 INFO shop.Admin: settings were read again by anna"
    assert lines[444] in left(lines)


def test_short_logs_and_logs_of_too_many_lines_stay() -> None:
    assert LOG_LINES.reduce("\n".join(log(20)), ()) is None
    assert LOG_LINES.reduce("\n" * 300_000, ()) is None


def test_marks_stay_in_their_places_below_headings() -> None:
    reduced = "\n".join(left(log()))
    folded = LOGS.compress(reduced)
    assert folded is not None
    assert [line for line in folded.split("\n") if gaps.read(line)] == [
        line for line in reduced.split("\n") if gaps.read(line)
    ]
    assert inverse_lines.lines(folded) == reduced
    assert len(folded) < 0.8 * len(reduced)
