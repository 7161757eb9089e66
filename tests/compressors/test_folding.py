"""Logs, test runs and findings: whatever is written shorter can be read back, and what matters stays word for word."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors import alerts, aliases, builds, go_runs, lint, logs, pytest_column
from proxy_pkg.compressors.folding import Folding, folded
from tests.compressors import inverse_lines

STARTS = st.sampled_from(
    [
        "2024-05-01 10:00:00 ",
        "2024-05-01 10:00:01 ",
        "src/app/main.py:",
        "tests/a.py::",
        "    --- PASS: ",
        "[",
        "\t",
        "",
    ]
)
MIDDLES = st.sampled_from(
    [
        *("INFO started", "ERROR: lost", "7: E501 long", "[…", "a…b]", " 3 more times]", "&1", "&12=3", "§1", "", " "),
        *("the quick brown fox jumps over it", "/usr/lib/python3/dist-packages/", '"Mozilla/5.0 (X11; Linux)"', "\x00"),
        *(" [the line above 2 more times]", " [block 1 again]", '[below "[A…]"', aliases.HEADER, "test_a", "x\x85y"),
    ]
)
ENDS = st.sampled_from([" PASSED", " ok", "", " […]", "\r", " PASSED\r", "…"])
LINES = st.lists(st.tuples(STARTS, MIDDLES, ENDS).map("".join), min_size=1, max_size=6)
TEXTS = st.lists(st.tuples(LINES, st.integers(1, 12)), min_size=1, max_size=5).map(
    lambda parts: "\n".join(line for lines, times in parts for line in lines * times)
)
FOLDINGS = [
    Folding(lambda _: "yes", alerts.alerts),
    Folding(lambda _: "yes", alerts.failures, suffixes=True),
    Folding(lambda _: "yes", alerts.none, lint.after_path),
]


@pytest.mark.parametrize("folding", FOLDINGS)
@given(text=TEXTS)
@settings(max_examples=120, deadline=None)
def test_the_inverse_returns_every_line(folding: Folding, text: str) -> None:
    short = folded(text, folding)
    if short is not None:
        assert inverse_lines.lines(short) == text
        assert len(short) < len(text)
        assert folded(short, folding) is None


@given(text=TEXTS)
@settings(max_examples=80, deadline=None)
def test_alerts_and_their_neighbours_stay_word_for_word(text: str) -> None:
    short = folded(text, FOLDINGS[0])
    if short is not None:
        lines = text.split("\n")
        shown = set(short.split("\n"))
        assert {line for line, flag in zip(lines, alerts.alerts(text, lines), strict=True) if flag} <= shown


LOG = [
    "2024-05-01 10:00:00.120 INFO  Cart: item 1 added",
    "2024-05-01 10:00:00.180 INFO  Cart: item 2 added",
    "2024-05-01 10:00:01.001 INFO  Cart: item 3 added",
    "2024-05-01 10:00:01.002 INFO  Cart: item 4 added",
    "2024-05-01 10:00:01.990 ERROR Till: out of paper",
    "2024-05-01 10:00:02.003 INFO  Cart: item 5 added",
    *(f"2024-05-01 10:00:02.1{n} INFO  Cart: item {n} added" for n in range(10, 26)),
]


def test_a_log_says_its_date_once_and_shows_an_error_whole() -> None:
    assert logs.LOGS.compress("\n".join(LOG)) == "\n".join(
        [
            '[below "[A…]" each line had A before it, but for those empty, indented or beginning with A]',
            "[2024-05-01 10:00:…]",
            "00.120 INFO  Cart: item 1 added",
            "00.180 INFO  Cart: item 2 added",
            "01.001 INFO  Cart: item 3 added",
            *LOG[3:6],
            *(f"02.1{n} INFO  Cart: item {n} added" for n in range(10, 26)),
        ]
    )


def test_repeats_are_counted_and_blocks_referred_to() -> None:
    trace = [
        f"    at org.example.shop.Till.{name}(Till.java:{n})" for n, name in enumerate(("print", "cut", "pay", "run"))
    ]
    text = "\n".join(["Caused by: A", *trace, *["still waiting for paper"] * 9, "Caused by: B", *trace])
    short = logs.LOGS.compress(text)
    assert short is not None
    assert short.split("\n") == [
        "Caused by: A",
        " [block 1, 4 lines]",
        *trace,
        "still waiting for paper",
        " [the line above 8 more times]",
        "Caused by: B",
        " [block 1 again]",
    ]


def test_findings_stand_below_their_file() -> None:
    findings = [f"src/shop/till.py:{n}:5: E501 Line too long ({n} > 88)" for n in range(90, 102)]
    text = "\n".join([*findings, "src/shop/cart.py:1:1: F401 unused import", "Found 13 errors."])
    short = lint.LINT.compress(text)
    assert short is not None
    assert short.split("\n")[1:] == [
        "[src/shop/till.py:…]",
        *(finding.removeprefix("src/shop/till.py:") for finding in findings),
        "[…]",
        "src/shop/cart.py:1:1: F401 unused import",
        "Found 13 errors.",
    ]


def test_passing_tests_stand_below_their_file_and_a_failing_one_whole() -> None:
    names = [f"test_number_{n}" for n in range(8)]
    lines = [f"tests/shop/test_till.py::{name} PASSED" for name in names]
    lines[5] = "tests/shop/test_till.py::test_number_5 FAILED"
    short = builds.BUILD.compress("\n".join(["=== test session starts ===", *lines]))
    assert short is not None
    # The neighbours of a failure are whole as well.
    assert short.split("\n")[2:] == ["[tests/shop/test_till.py::… PASSED]", *names[:4], *lines[4:7], names[7]]


@pytest.mark.parametrize("before", [0, 7])
def test_the_percentages_of_pytest_follow_from_the_count(before: int) -> None:
    names = [f"tests/test_till.py::test_number_{n} PASSED" for n in range(30)]
    lines = [f"{name}{f' [{(n + 1) * 100 // 30:3d}%]'.rjust(79 - len(name))}" for n, name in enumerate(names)]
    start = "=== test session starts ===" if before else "collected 30 items"
    text = "\n".join([start, *lines[before:], "===== 29 passed, 1 error in 0.10s ====="])
    short = pytest_column.left_out(text)
    assert short is not None
    assert short.split("\n")[0] == f"[percentages of pytest left out: 30 tests, 79 wide, {before} before]"
    assert short.split("\n")[2:-1] == names[before:]
    assert inverse_lines.lines(short) == text


def test_percentages_that_do_not_follow_stay() -> None:
    lines = [f"tests/test_till.py::test_{n} PASSED{' [ 10%]':>30}" for n in range(9)]
    assert pytest_column.left_out("\n".join(["collected 30 items", *lines])) is None
    assert pytest_column.left_out("\n".join(lines)) is None


@pytest.mark.parametrize(
    ("line", "is_alert"),
    [
        ("2024-05-01 ERROR lost", True),
        ("level=error msg=lost", True),
        ('{"level":"warn"}', True),
        ("[error] lost", True),
        ("java.lang.NullPointerException: null", True),
        ("Traceback (most recent call last):", True),
        ('"GET /a HTTP/1.1" 503 12', True),
        ("GET /error/page.html 200", False),
        ("rows=12 error=0", False),
        ("retry-error-count 5", False),
        ("warning_count: none", False),
        ("INFO terrified", False),
    ],
)
def test_alerts_are_levels_and_not_parts_of_names(line: str, is_alert: bool) -> None:
    assert bool(alerts.alerts(line, [line])[0]) == is_alert


RUNS = st.lists(
    st.sampled_from(["=== RUN   TestA", "--- PASS: TestA (0.00s)", "--- SKIP: TestA (0.00s)", "--- FAIL: TestA (0s)"])
    | st.sampled_from(["=== RUN   TestB\n--- PASS: TestB (0s)", "=== RUN   TestA/b", "    --- PASS: TestA/b (0s)"]),
    max_size=12,
)


@given(RUNS.map(lambda some: "\n".join([*some, *["=== RUN   TestC\n--- PASS: TestC (0.01s)"] * 8, *some])))
@settings(max_examples=100, deadline=None)
def test_runs_of_go_tests_follow_from_their_results(text: str) -> None:
    short = go_runs.left_out(text)
    if short is not None:
        assert inverse_lines.lines(short) == text
        assert len(short) < len(text)


def test_a_go_test_that_passes_at_once_is_one_line() -> None:
    names = [f"TestNumber{n}" for n in range(9)]
    text = "\n".join(f"=== RUN   {name}\n--- PASS: {name} (0.00s)" for name in names)
    assert go_runs.left_out(text) == "\n".join([go_runs.HEADER, *(f"--- PASS: {name} (0.00s)" for name in names)])
