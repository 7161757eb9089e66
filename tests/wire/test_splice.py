"""Splicing: nothing changes but the ranges that were named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_pkg.model import Replacement
from proxy_pkg.wire.joining import PIECE_BYTES, holds_at, joined
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


def test_a_body_of_many_pieces_is_spliced_as_a_small_one() -> None:
    body = bytes(range(256)) * (3 * PIECE_BYTES // 256 + 1)
    ranges = [(5, 9), (PIECE_BYTES - 1, PIECE_BYTES + 1), (2 * PIECE_BYTES, len(body) - 3)]
    spliced = splice(body, [Replacement(start, end, b"new") for start, end in ranges])
    assert spliced == body[:5] + b"new" + body[9 : PIECE_BYTES - 1] + b"new" + body[
        PIECE_BYTES + 1 : 2 * PIECE_BYTES
    ] + (b"new" + body[-3:])


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES + 7])
def test_what_is_copied_and_compared_in_pieces_is_the_same(size: int) -> None:
    part = bytes(range(251)) * (size // 251 + 1)
    part = part[:size]
    whole = joined((b"<", memoryview(part), b">"))
    assert whole == b"<" + part + b">"
    assert holds_at(memoryview(whole), 1, memoryview(part))
    assert not holds_at(memoryview(whole), len(whole) - size + 1, memoryview(part + b"!"))
    assert not size or not holds_at(memoryview(whole), 1, memoryview(part[:-1] + b"\xff"))
