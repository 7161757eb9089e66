import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors import listings, runners
from proxy_pkg.compressors.records import Form, tabled
from tests.compressors.inverse_records import records

FORM = Form("test", re.compile(r"(?P<a>\S+) +(?P<b>\S+) +(?P<c>\d+) (?P<d>.*)"), "{a} {b:<} {c:>} {d}")
WORDS = st.sampled_from(["x", "yy", "long-word", "a=b", '"q"', "#", "{#}", "as", "a(b)", "1"])
TEXTS = st.sampled_from(["", "words", "or as above", "a,b", "same here", "# z", '"x" y', "  z"])


@given(
    st.lists(
        st.tuples(WORDS, WORDS, st.integers(0, 20000), TEXTS) | st.sampled_from(["", "total 4", "a,b"]), max_size=24
    ),
    st.integers(0, 6),
    st.integers(0, 7),
)
@settings(max_examples=300, deadline=None)
def test_every_byte_returns(drawn: list[tuple[str, str, int, str] | str], left: int, right: int) -> None:
    lines = [one if isinstance(one, str) else f"{one[0]} {one[1]:<{left}} {one[2]:>{right}} {one[3]}" for one in drawn]
    short = tabled(lines, FORM)
    if short is not None:
        assert records(short) == "\n".join(lines)


def listed(names: str, owner: str = "app", size: int = 5) -> str:
    return "\n".join(
        f"-rw-r--r-- 1 {owner} app {n * 91:>{size}} Nov 2{n % 3} 10:0{n % 7} {x}" for n, x in enumerate(names)
    )


@pytest.mark.parametrize(
    "text",
    [
        "total 64\n" + listed("abcdefghijklmnop") + "\n",
        "./a:\n" + listed("abcdefghijk") + "\n\n./b:\n" + listed("ghijklm", owner="root") + "\n",
        listed("abcdefghijklmno", owner="ann ").replace("-- 1", "--  1").replace(" app ", " staff  "),
        listed("abcdefgh").replace("Nov", "2024-11-20 10:00:00.000000000 +0000 #").replace("# ", ""),
        "<returncode>0</returncode>\n<output>\n" + listed("abcdefghijkl") + "\n</output>",
        "".join(
            f"{n * 7919:9d} {n:6d} drwxr-xr-x   2 app      app      {n * 911:8d} Jan  1  2024 ./{n}\n" for n in range(9)
        ),
    ],
)
def test_a_listing_is_a_third_shorter_and_returns(text: str) -> None:
    short = listings.compress(text)
    assert short is not None
    assert records(short) == text
    assert len(short.partition("[In tables: ")[0] + short.partition("[In tables: ")[2].partition("]")[2]) < 0.75 * len(
        text
    )
    assert listings.compress(short) is None


def test_names_and_sizes_of_a_listing_stay_in_its_order() -> None:
    short = listings.compress(listed("zyxabcdef"))
    assert short is not None
    found = [line.rsplit(",", 1)[1] for line in short.split("\n") if "," in line and line[0] != "["]
    assert "".join(found) == "zyxabcdef"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "total 0\n",
        listed("abc"),
        "def f():\n    return 1\n" * 9,
        listed("abcdef").replace("10:", ",\t;|¦"),
        listed("abcdefgh").replace("-rw-r--r--", "# -rw-r--"),
    ],
)
def test_what_is_no_listing_is_left_alone(text: str) -> None:
    assert listings.compress(text) is None


def passed(count: int, class_: str = "tests.orders.TestOrders") -> str:
    return "".join(f"test_{n} ({class_}.test_{n}) ... ok\n" for n in range(count))


def test_tests_that_passed_are_rows_and_failures_stay_word_for_word() -> None:
    failure = "test_sum (tests.orders.TestOrders.test_sum) ... FAIL\n"
    end = "\n======\nFAIL: test_sum\nAssertionError: 1 != 2\n\nRan 41 tests in 0.1s\n\nFAILED (failures=1)\n"
    text = passed(20) + failure + passed(20, "tests.orders.TestTotals") + end
    short = runners.compress(text)
    assert short is not None
    assert records(short) == text
    assert failure in short
    assert end in short
    assert len(short) < 0.5 * len(text)


@pytest.mark.parametrize(
    "line",
    [
        "[gw{w}] [{p:3d}%] PASSED tests/a.py::test_{n} ",
        "[gw{w}] PASSED tests/a.py::test_{n}",
        "test_{n} (tests.orders.TestOrders) ... ok",
        "[INFO] Tests run: {n}, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.{n} s - in org.example.A{n}Test",
        "Requirement already satisfied: a{n}>=1 in /opt/venv/lib/python3.11/site-packages (from b) (1.{n})",
    ],
)
def test_lines_of_runners_and_installers_return(line: str) -> None:
    text = "".join(line.format(n=n, w=n % 4, p=n * 5) + "\n" for n in range(20)) + "done\n"
    short = runners.compress(text)
    assert short is not None
    assert records(short) == text
    assert len(short) < 0.75 * len(text)
    assert runners.compress(short) is None


def test_samples_say_what_they_look_like() -> None:
    assert listings.looks_like("total 4\n" + listed("abcdef")) == "6 of the first 7 lines are entries as ls prints them"
    assert not listings.looks_like("drwx is a mode\n" * 9)
    assert runners.looks_like(passed(9)) == "9 lines as unittest prints them"
    assert not runners.looks_like("test_1 ... ok\n" * 9)
