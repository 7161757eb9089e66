"""Turns are kept for as long as there is room, the same for all workers, and whatever a killed one left."""

import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.store import turns
from proxy_pkg.store.turns import UINT_MAX, Turn, Turns

numbers = st.integers(0, UINT_MAX)


@settings(deadline=None)
@given(st.builds(Turn, numbers, numbers, numbers, numbers, numbers, numbers))
def test_what_is_kept_comes_back(turn: Turn) -> None:
    table = Turns()
    key = table.key(b"caller", b"model", b"opening")
    assert table.get(key) is None
    table.put(key, turn)
    assert table.get(key) == turn


def test_numbers_beyond_the_bound_are_kept_as_the_bound() -> None:
    table = Turns()
    table.put(5, Turn(1, UINT_MAX + 1, -3, 2**70))
    assert table.get(5) == Turn(1, UINT_MAX, 0, UINT_MAX)


def test_the_oldest_of_a_full_stretch_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "ENTRIES", turns.PROBES)
    table = Turns()
    for number in range(1, turns.PROBES + 2):
        table.put(number, Turn(1000 + number, number, 0, 0))
    assert table.get(1) is None
    assert [table.get(number) for number in range(2, turns.PROBES + 2)] == [
        Turn(1000 + number, number, 0, 0) for number in range(2, turns.PROBES + 2)
    ]


def test_workers_share_the_table_and_its_secret_over_restarts(tmp_path: Path) -> None:
    first, second = Turns(str(tmp_path)), Turns(str(tmp_path))
    key = first.key(b"a", b"b")
    first.put(key, Turn(1, 2, 3, 4, 5, 6))
    assert second.key(b"a", b"b") == key
    assert second.get(key) == Turn(1, 2, 3, 4, 5, 6)
    assert Turns(str(tmp_path)).get(key) == Turn(1, 2, 3, 4, 5, 6)


def test_keys_depend_on_where_the_parts_end_and_on_the_secret() -> None:
    table = Turns()
    assert table.key(b"ab", b"c") != table.key(b"a", b"bc")
    assert table.key(b"ab") != Turns().key(b"ab")


def test_the_file_is_private_bounded_and_holds_nothing_of_a_caller(tmp_path: Path) -> None:
    table = Turns(str(tmp_path))
    for number in range(1000):
        table.put(table.key(b"sk-secret", str(number).encode()), Turn(number, 1, 1, 1))
    path = tmp_path / turns.FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size == turns.BYTES
    assert b"sk-secret" not in path.read_bytes()


def test_a_directory_that_cannot_be_had_leaves_a_table_of_this_worker(tmp_path: Path) -> None:
    table = Turns(str(tmp_path / "gone"))
    assert table.problem
    table.put(7, Turn(1, 2, 3, 4))
    assert table.get(7) == Turn(1, 2, 3, 4)


def test_a_killed_writer_leaves_a_table_that_others_go_on_with(tmp_path: Path) -> None:
    table = Turns(str(tmp_path))
    pid = os.fork()
    if pid == 0:
        while True:
            for number in range(1, 50):
                table.put(number, Turn(number, number, number, number, number, number))
    deadline = time.monotonic() + 10
    while table.get(49) is None and time.monotonic() < deadline:
        os.sched_yield()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert table.get(49) == Turn(49, 49, 49, 49, 49, 49)
    table.put(49, Turn(1, 2, 3, 4))
    assert table.get(49) == Turn(1, 2, 3, 4)
