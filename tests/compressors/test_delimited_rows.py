from hypothesis import given, settings
from hypothesis import strategies as st

from bench.compression_decode import has_only_lines_of
from proxy_pkg.compressors import delimited, gaps, padded
from proxy_pkg.compressors.delimited_rows import reduce
from proxy_pkg.compressors.padded_rows import reduce as reduce_padded
from tests.compressors import inverses
from tests.compressors.inverse_tables import padded as padded_back

COUNT = 800


def csv(end: str = "\n", separator: str = ",") -> str:
    rows = [(f"item-{n}", str(20 + n * 31 % 13), ("new", "old")[n % 2], "x") for n in range(COUNT)]
    return end.join(separator.join(row) for row in [("name", "size", "state", "unit"), *rows]) + end


def reduced(text: str, *wanted: str) -> str:
    """What is left, after the laws were looked at."""
    left = reduce(text, wanted)
    assert left is not None
    assert has_only_lines_of(text, left)
    assert reduce(left, wanted) is None
    table = delimited.compress(left)
    if table is not None:
        assert inverses.delimited(table) == left
        assert reduce(table, wanted) is None
        assert delimited.compress(table) is None
    return left


def test_lines_go_the_header_stays_and_what_was_asked_for() -> None:
    for text in (csv(), csv("\r\n"), csv(separator="\t"), csv().removesuffix("\n")):
        left = reduced(text, "item-345")
        assert left.startswith(text[:20])
        assert "item-345" in left
        assert len(left) < len(text) * 0.6


def test_a_row_without_a_header_above_it_counts_as_a_row() -> None:
    text = csv().partition("\n")[2]
    assert reduced(text).startswith("item-0,")


def test_records_of_several_lines_go_whole() -> None:
    text = "name,note\n" + "".join(f'item-{n},"first {n}\nsecond"\n' for n in range(COUNT))
    left = reduced(text)
    assert left.count("first") == left.count("second")


def test_an_outlier_stays() -> None:
    lines = csv().split("\n")
    lines[501] = "item-500,4000,new,x"
    assert lines[501] in reduced("\n".join(lines)).split("\n")


def test_rows_of_unequal_width_stay_as_they_are() -> None:
    assert reduce(csv() + "a,b\n", ()) is None


PODS = "NAME            READY   STATUS    AGE\n" + "".join(
    f"web-{n:<11} 1/1     {'CrashLoopBackOff' if n == 333 else 'Running':<9} {n % 50}d\n"
    for n in range(COUNT)
    if n != 333
)


def test_padded_columns_lose_lines_too() -> None:
    text = (
        PODS
        + "web-333         0/1     Error     7d\n"
        + "web-9999        1/1     Running   9d\nweb-9998        1/1     Running   9d\n"
    )
    left = reduce_padded(text, ("web-123",))
    assert left is not None
    assert has_only_lines_of(text, left)
    assert "web-123 " in left
    assert "Error" in left
    assert reduce_padded(left, ()) is None
    table = padded.compress(left)
    assert table is not None
    assert padded_back(table) == left


MARK = st.builds(gaps.mark, st.integers(1, 99), st.integers(1, 99), st.just("lines")).filter(gaps.read)
LINE = st.sampled_from(
    ["a,b", "1,2", "a,c", '"x, y",2', "# x,2", "[3 lines left out: 1-3],b", "2024-01-01,b", '"m\nn",3']
)


@given(lines=st.lists(st.one_of(LINE, LINE, LINE, MARK), min_size=4, max_size=40), times=st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_marks_anywhere_are_turned_back(lines: list[str], times: int) -> None:
    for end in ("\n", "\r\n"):
        text = "name,value\n".replace("\n", end) + "".join(
            line.replace("\n", end) + ("\n" if gaps.read(line) else end) for line in lines * times
        )
        table = delimited.compress(text)
        if table is not None:
            assert inverses.delimited(table) == text
