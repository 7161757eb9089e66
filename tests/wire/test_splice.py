"""Splicing: nothing changes but the ranges that were named."""

from hypothesis import given
from hypothesis import strategies as st

from proxy_pkg.model import Replacement
from proxy_pkg.wire.splice import splice


@given(st.binary())
def test_without_replacements_it_is_the_same_object(body: bytes) -> None:
    assert splice(body, ()) is body


@given(body=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=8), data=st.binary(max_size=9))
def test_every_byte_outside_the_ranges_stays(body: bytes, cuts: list[int], data: bytes) -> None:
    points = sorted({min(cut, len(body)) for cut in cuts})
    ranges = list(zip(points[::2], points[1::2], strict=False))
    spliced = splice(body, [Replacement(start, end, data) for start, end in ranges])
    position = 0
    for start, end in ranges:
        kept = body[position:start]
        assert spliced.startswith(kept)
        spliced = spliced[len(kept) :]
        assert spliced.startswith(data)
        spliced = spliced[len(data) :]
        position = end
    assert spliced == body[position:]
