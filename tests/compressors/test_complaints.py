"""Complaints: lines that tell of an error, a failure or a warning, and whether a level says so."""

import pytest

from proxy_pkg.compressors.complaints import complaints

GRAVE = (
    "2024-05-01 10:00 ERROR no space left",
    "[2024-05-01] local.ERROR: no such class",
    '{"level":"error","msg":"x"}',
    '{"level": "fatal"}',
    "[error] 31#31: *4 open()",
    "level=error msg=x",
    '10.0.0.1 - - "GET / HTTP/1.1" 503 12',
    "--- FAIL: TestA (0.00s)",
    "tests/a.py::b FAILED",
    "Traceback (most recent call last):",
    "thread 'main' panicked at src/lib.rs:1",
)
MILD = ("lookup for opt failed", "WARN cache is full", "ValueError: x", "an error came up", "java.io.IOException: x")
NONE = ("GET /errors-page/1", "error_count is 0", "terrible", "no defaults", "mirror", "", "ok")


@pytest.mark.parametrize("line", GRAVE)
def test_a_level_or_an_outcome_is_grave(line: str) -> None:
    assert complaints(f"a\n{line}\nb", [0, 2, 3 + len(line)])[1] is True


@pytest.mark.parametrize("line", MILD)
def test_other_words_of_failure_are_mild(line: str) -> None:
    assert complaints(line, [0]) == {0: False}


@pytest.mark.parametrize("line", NONE[1:])
def test_names_and_other_words_are_none(line: str) -> None:
    assert complaints(line, [0]) == {}


def test_letters_that_grow_when_made_small_hide_nothing() -> None:
    assert complaints("İİİ\nfatal\n", [0, 4, 10]) == {1: False}
