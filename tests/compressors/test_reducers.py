"""The laws of compressors/contract.Reducer, for every reducer in the table, on hostile and on real texts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.compression_decode import KEEPS, has_only_lines_of
from proxy_pkg.compressors import gaps
from proxy_pkg.compressors.contract import Reducer
from proxy_pkg.compressors.table import REDUCERS, reduce_and_run_chain
from tests.compressors.test_laws import HOSTILE, PIECES, REAL

KINDS = sorted(REDUCERS)
ALL = pytest.mark.parametrize("kind", KINDS)
HOSTILE_CHARS = 200_000


def check(reducer: Reducer, text: str, wanted: tuple[str, ...] = ()) -> None:
    reduced = reducer.reduce(text, wanted)
    assert reduced == reducer.reduce(text, wanted)
    if reduced is None:
        return
    assert len(reduced) < len(text)
    assert KEEPS.get(reducer.name, has_only_lines_of)(text, reduced)
    assert reducer.reduce(reduced, wanted) is None, "reduced twice"


@ALL
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_texts(kind: str, name: str) -> None:
    check(REDUCERS[kind], HOSTILE[name](HOSTILE_CHARS))


@ALL
@given(pieces=st.lists(PIECES, max_size=20), times=st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_texts_of_pieces(kind: str, pieces: list[str], times: int) -> None:
    check(REDUCERS[kind], "".join(pieces) * times)


@ALL
@pytest.mark.parametrize("name", sorted(REAL))
def test_real_texts(kind: str, name: str) -> None:
    text = REAL[name].read_bytes().decode(errors="replace")
    check(REDUCERS[kind], text)
    check(REDUCERS[kind], text, tuple(text.split()[::97][:8]))


@ALL
def test_a_text_with_marks_stays(kind: str) -> None:
    text = "".join(f"2024-05-01 10:00:00 INFO app: item {n}\n" for n in range(2000))
    marked = text + gaps.mark(1, 9, "lines") + "\n" + text
    assert REDUCERS[kind].reduce(marked, ()) is None
    assert reduce_and_run_chain(kind, marked, ()) is None
