"""Forms of the lines that say that a test passed or a step was done."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors import ctest, findings, passed_tests, steps
from proxy_pkg.compressors.builds import BUILD, looks_like
from proxy_pkg.compressors.detect import Kind, detect
from proxy_pkg.compressors.run_lines import RUN_LINES
from proxy_pkg.compressors.table import run_chain
from proxy_pkg.model import Producer
from tests.compressors.inverse_builds import built
from tests.compressors.inverse_lines import lines
from tests.compressors.inverse_records import records

SUITE = """FAIL packages/api/test/cart.test.js
  Cart
    adding
      ✓ adds two items (9 ms)
      ✓ adds none
      ✕ adds one twice (34 ms)
      ✓ adds three (1 ms)
      ✓ says 7|7
      ✓ takes a list (12 ms)
    removing
      ✓ removes one (2 ms)
      ○ skipped removes all
      ✓ removes none (1.5 ms)

  ● Cart › adding › adds one twice

    expect(received).toEqual(expected) // deep equality

    - Expected  - 1
    + Received  + 1

      11 |     it('adds none', async () => {});
    > 12 |     it('adds one twice', async () => { expect(1).toEqual(2); });
         |                                                  ^
      13 |     it('adds three', async () => {});
      14 |   });

Tests:       1 failed, 1 skipped, 6 passed, 8 total"""
JEST = "\n\n".join([SUITE] * 3)


def passed(number: int, seconds: float) -> str:
    name = f"cart_{number}"
    place = f"#{number}".rjust(3)
    return f"{number:>2}/12 Test {place}: {name} {'.' * (25 - len(name))}   Passed {seconds:7.2f} sec"


CTEST = "\n".join(
    [
        "Test project /srv/shop/build",
        *(f"      Start {n:>2}: cart_{n}\n{passed(n, n / 100)}" for n in range(1, 8)),
        "      Start  8: broken",
        " 8/12 Test  #8: broken ...................***Failed    0.00 sec",
        "      Start  9: cart_9",
        "      Start 10: cart_10",
        passed(10, 0).replace("10/12", " 9/12"),
        passed(9, 12.01).replace(" 9/12", "10/12"),
    ]
)

NINJA = "\n".join(
    [
        *(f"[{n}/20] Building C object cart.dir/cart_{n}.c.o" for n in range(1, 9)),
        "FAILED: cart.dir/cart_9.c.o",
        "cart_9.c:1:2: error: expected ';'",
        *(f"[{n}/20] Building C object cart.dir/cart_{n}.c.o" for n in range(10, 20)),
        "[20/21] Linking C|9",
    ]
)
MAKE = "\n".join(f"[{n * 3:>3}%] Building C object cart.dir/cart_{n}.c.o" for n in range(33) for _ in range(2))


@pytest.mark.parametrize(
    ("left_out", "text"),
    [
        (passed_tests.left_out, JEST),
        (passed_tests.left_out, JEST.replace(" ms)", "ms)").replace("✓", "✔")),
        (ctest.left_out, CTEST),
        (steps.left_out, NINJA),
        (steps.left_out, "\n".join(f"[{n:>3}/140] Building cart_{n}.c.o" for n in range(4, 40))),
        (steps.left_out, MAKE),
    ],
    ids=["jest", "mocha", "ctest", "ninja", "ninja, numbers padded", "cmake"],
)
def test_a_form_can_be_undone(left_out: object, text: str) -> None:
    assert callable(left_out)
    shown = left_out(text)
    assert shown is not None and len(shown) < len(text)
    assert built(shown) == text
    assert left_out(shown) is None or built(left_out(shown)) == shown


def test_failures_and_summaries_stay_word_for_word() -> None:
    for text in (JEST, CTEST, NINJA):
        shown = BUILD.compress(text)
        assert shown is not None and lines(shown) == text
        kept = shown.split("\n")
        telling = [
            line for line in text.split("\n") if any(word in line for word in ("✕", "●", "ailed", "rror", "FAIL"))
        ]
        assert telling and all(line in kept for line in telling)


def test_lines_of_source_below_a_failure_make_no_numbered_read() -> None:
    assert detect(JEST, Producer()).kind is Kind.BUILD


def test_a_form_is_not_taken_for_a_new_run() -> None:
    shown = BUILD.compress(JEST)
    assert shown is not None
    assert BUILD.compress(shown) is None
    assert RUN_LINES.reduce(shown, ()) is None


PARTS = st.sampled_from(
    [
        "✓ a", "✓ a (9 ms)", "✓ 7|7", "✔ b (1ms)", "✕ c", "1) d", " a", "+a", "- a", "", "Cart",
        "[  7%] x", "[ 12%] y|3",
        "[1/9] a",
        "[2/9] b", "[3/9] a|4", "[99/9] c", "FAILED: x", " 1/9 Test #1: a ...   Passed    0.01 sec",
        "      Start 1: a", "1/9 Test #1: a ...   Passed    0.01 sec", "2/9 Test #2: a ...   Passed    0.01 sec",
        "2/9 Test #1: a ...***Failed    0.01 sec",
    ]
)  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 4), PARTS), min_size=8, max_size=40))
@settings(max_examples=300, deadline=None)
def test_whatever_stands_between_can_be_undone(parts: list[tuple[int, str]]) -> None:
    text = "\n".join(" " * (2 * depth) + part for depth, part in parts) * 2
    for left_out in (passed_tests.left_out, ctest.left_out, steps.left_out):
        shown = left_out(text)
        assert shown is None or built(shown) == text


FINDINGS = """/srv/shop/src/cart.ts
   4:5    error    'it' is not defined           no-undef
   4:68   warning  Strings must use doublequote  quotes
  14:128  error    Unexpected any                @typescript-eslint/no-explicit-any
  20:1    error    Parsing error: Unexpected token

/srv/shop/src/user.ts
  5:5  error  'it' is not defined           no-undef
  5:9  error  Strings must use doublequote  quotes

✖ 6 problems (5 errors, 1 warning)
"""


def test_findings_under_paths_become_rows() -> None:
    text = FINDINGS * 4
    assert detect(text, Producer()).kind is Kind.LINT
    done = run_chain(Kind.LINT, text)
    assert done is not None
    assert [step.name for step in done[1]] == [findings.FINDINGS.name]
    assert records(done[0]) == text
    assert "  20:1    error    Parsing error: Unexpected token" in done[0].split("\n")


@pytest.mark.parametrize(
    "text",
    [
        "FAIL src/a.test.js\n" + "  ● A › b\n" * 3 + "    expect(1).toBe(2)\n" * 200,
        "  12 passing (9ms)\n  1 failing\n\n  1) Cart\n" + "    at x (a.js:1:2)\n" * 99,
        "Selecting previously unselected package a.\nPreparing to unpack .../a.deb ...\nSetting up a (1) ...\n"
        + "x\n" * 99,
    ],
    ids=["jest", "mocha", "apt"],
)
def test_a_run_is_told_by_its_own_words_whatever_its_length(text: str) -> None:
    assert looks_like(text)


def test_a_word_of_a_run_in_prose_is_none() -> None:
    assert not looks_like(
        "Run the tests.\n\n    PASS src/a.test.js\n\nThen read on.\n" + "More prose follows here.\n" * 20
    )
