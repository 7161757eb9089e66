"""Clients that ask for a long answer and do not read it hold little, and nothing once they have left."""

import tempfile
from pathlib import Path

import pytest

from bench.slow_readers import KINDS, READER_KIB_MAX, fast, measured
from bench.stacks import ours

READERS = 100
LEFT_MIB_MAX = 16.0


@pytest.mark.parametrize("kind", KINDS)
def test_clients_that_do_not_read_hold_little_and_give_it_back(kind: str) -> None:
    with (
        tempfile.TemporaryDirectory() as place,
        fast(Path(place)) as upstream,
        ours(upstream, Path(place), HEADROOM_WORKERS="1") as server,
    ):
        each_kib, left_mib = measured(server, kind, READERS)
    assert each_kib <= READER_KIB_MAX
    assert left_mib <= LEFT_MIB_MAX
