"""What of `go test -json` stays at the level `balanced`."""

from proxy_pkg.compressors import gaps
from proxy_pkg.compressors.go_events import GO_EVENTS


def event(action: str, test: str, output: str = "") -> str:
    said = f',"Output":"{output}\\n"' if output else ""
    return f'{{"Time":"2024-05-01T10:00:00Z","Action":"{action}","Package":"shop","Test":"{test}"{said}}}'


def of_test(name: str, result: str) -> list[str]:
    return [event("run", name), event("output", name, f"{name} says hello"), event(result, name)]


def left(lines: list[str], *wanted: str) -> list[str]:
    reduced = GO_EVENTS.reduce("\n".join(lines), wanted)
    assert reduced is not None
    return reduced.split("\n")


PASSED = [line for n in range(30) for line in of_test(f"TestAdd{n}", "pass")]
START = '{"Time":"2024-05-01T10:00:00Z","Action":"start","Package":"shop"}'


def test_tests_that_passed_go_with_what_they_printed() -> None:
    assert left([START, *PASSED, "FAIL"]) == [START, gaps.mark(2, 91, "lines"), "FAIL"]


def test_tests_that_failed_were_skipped_or_did_not_end_stay() -> None:
    others = [*of_test("TestB", "fail"), *of_test("TestC", "skip"), event("run", "TestD")]
    assert left([START, *PASSED, *others]) == [START, gaps.mark(2, 91, "lines"), *others]


def test_a_test_that_failed_once_stays_though_it_passed_again() -> None:
    flaky = [*of_test("TestB", "fail"), *of_test("TestB", "pass")]
    assert left([START, *PASSED, *flaky])[2:] == flaky


def test_complaints_and_what_was_asked_for_stay() -> None:
    asked = of_test("TestAsked", "pass")
    said = event("output", "TestAdd3", "ERROR: cannot connect")
    lines = left([START, *PASSED, said, *asked], "TestAsked")
    assert said in lines and set(asked) <= set(lines)


def test_the_first_event_stays_so_that_the_text_is_told_to_be_events() -> None:
    assert left(["", *PASSED])[1] == PASSED[0]
