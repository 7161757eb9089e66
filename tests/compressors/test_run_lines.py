"""What of a test run or a build stays at the level `balanced`."""

import pytest

from proxy_pkg.compressors.run_lines import RUN_LINES

WELL = {
    "pytest": "tests/test_a.py::TestA::test_{}[x y] PASSED                   [ 12%]",
    "pytest's files": "tests/test_{}.py ..s.....                                    [ 12%]",
    "pytest-xdist": "[gw1] [ 12%] PASSED tests/test_a.py::test_{}",
    "unittest": "test_{} (tests.test_a.TestA.test_it) ... ok",
    "cargo test": "test shop::tests::adds_{} ... ok",
    "go test": "--- PASS: TestAdd{} (0.00s)",
    "cargo": "   Compiling serde-{} v1.0.197",
    "jest": "  ✓ adds {} items (3 ms)",
    "TAP": "ok {} - adds items",
    "ctest": " 12/99 Test  #{}: adds_items ...................   Passed    0.01 sec",
    "gradle": "> Task :shop:compile{}Java UP-TO-DATE",
    "maven": "[INFO] Downloading from central: https://repo.example.org/a-{}.jar",
    "pip": "Requirement already satisfied: package{} in /usr/lib/python3 (1.0)",
    "docker": "#7 3.45 Get:{} http://deb.example.org/debian bookworm/main amd64 libc6",
    "cmake": "[ 12%] Building CXX object src/part{}.cpp.o",
    "ninja": "[12/99] Compiling part{}.cpp",
    "make": "  CC      drivers/net/part{}.o",
}
LEASES = (
    "tests/test_a.py::test_b FAILED                                   [ 13%]",
    "tests/test_a.py ..F..                                            [ 13%]",
    "test shop::tests::removes ... FAILED",
    "--- FAIL: TestRemove (0.00s)",
    "  ✕ removes items (3 ms)",
    "not ok 7 - removes items",
    "> Task :shop:test FAILED",
    "main.c:3:1: error: expected ';'",
    "warning: unused variable: `x`",
    "E       assert 5 == 4",
    ">       assert total == 4",
    "[ERROR] Tests run: 99, Failures: 1, Errors: 0, Skipped: 0",
    "[INFO] Tests run: 99, Failures: 0, Errors: 0, Skipped: 0",
    "========================= 1 failed, 599 passed in 12.30s =========================",
    "test result: FAILED. 199 passed; 1 failed; 0 ignored",
    "Tests:       1 failed, 750 passed, 751 total",
    "what the program printed",
)


def run(form: str, count: int = 100) -> list[str]:
    return [form.replace("{}", str(n)) for n in range(count)]


def left(lines: list[str], *wanted: str) -> list[str]:
    reduced = RUN_LINES.reduce("\n".join(lines), wanted)
    assert reduced is not None
    return reduced.split("\n")


@pytest.mark.parametrize("program", WELL)
def test_what_went_well_goes_and_two_examples_stay(program: str) -> None:
    lines = run(WELL[program])
    assert left(lines) == [lines[0], "[98 lines left out: 2-99]", lines[99]]


def test_line_ends_of_windows_hide_nothing() -> None:
    lines = [line + "\r" for line in run(WELL["unittest"])]
    assert left(lines) == [lines[0], "[98 lines left out: 2-99]", lines[99]]


@pytest.mark.parametrize("line", LEASES)
def test_all_else_stays(line: str) -> None:
    lines = [*run(WELL["pytest"]), line, *run(WELL["cargo test"])]
    assert line in left(lines)


def test_output_of_a_test_stays_below_its_name() -> None:
    lines = [*run("=== RUN   TestA{}"), "=== RUN   TestB", "    b_test.go:11: got 1", "--- PASS: TestB (0.00s)", "ok"]
    assert left(lines)[-4:-1] == ["=== RUN   TestB", "    b_test.go:11: got 1", "--- PASS: TestB (0.00s)"]


def test_what_took_long_and_what_was_asked_for_stays() -> None:
    lines = run("test shop::adds_{} (0.01s) ... ok", 300)
    lines[150] = "test shop::adds_150 (48.20s) ... ok"
    assert lines[150] in left(lines)
    assert "test shop::adds_77 (0.01s) ... ok" in left(lines, "adds_77")


def test_a_long_stretch_of_other_output_is_chosen_from_as_a_log_is() -> None:
    noise = [f"2024-05-01 10:00:{n % 60:02d} DEBUG pool: connection {n} was given back" for n in range(500)]
    shown = left(["FAILED tests/a.py::b", *noise, "E   assert 1 == 2", "", "1 failed in 2s"])
    assert shown[0] == "FAILED tests/a.py::b" and shown[-3] == "E   assert 1 == 2"
    assert len(shown) < 350


def test_a_long_comparison_stays_whole() -> None:
    compared = [f"E         '{n:03d} of the lines that were compared'," for n in range(400)]
    lines = [*run(WELL["pytest"]), "tests/test_a.py::test_b FAILED", ">       assert a == b", *compared, "1 failed"]
    assert left(lines)[-400:] == [*compared, "1 failed"][-400:]


def test_a_run_that_only_failed_stays() -> None:
    assert RUN_LINES.reduce("\n".join(run("tests/a.py::test_{} FAILED")), ()) is None
