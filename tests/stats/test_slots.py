"""Slots: the lowest free one, inherited from the dead, bounded, and never a reason not to start."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy_pkg.stats import locks, slots
from proxy_pkg.stats.counters import Counters, open_counters, private_counters
from proxy_pkg.stats.ledger import LEDGER_BYTES
from proxy_pkg.stats.ledger_paths import slot_paths
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.stats.snapshot import read_server
from tests.stats.reader import total


def test_each_living_worker_has_its_own_and_the_lowest_free_one_is_taken(
    start_worker: Callable[[], Counters],
) -> None:
    workers = [start_worker() for _ in range(3)]
    assert [worker.slot for worker in workers] == [0, 1, 2]
    workers[1].close()
    assert start_worker().slot == 1


def test_the_number_of_slots_is_bounded(state_dir: str) -> None:
    held = [slots.open_slot(state_dir, 2) for _ in range(2)]
    with pytest.raises(slots.SlotError, match="all 2 slots"):
        slots.open_slot(state_dir, 2)
    for slot in held:
        slot.close()
    assert len(slot_paths(Path(state_dir))) == 2


@pytest.mark.parametrize("size", [0, 1, 7, 8, 100, 65_000, 70_000, LEDGER_BYTES - 1])
def test_a_file_of_any_length_is_taken_over(state_dir: str, start_worker: Callable[[], Counters], size: int) -> None:
    start_worker().close()
    (path,) = slot_paths(Path(state_dir))
    os.truncate(path, size)
    assert read_server(state_dir).workers == []
    worker = start_worker()
    worker.finished(RequestRecord())
    assert path.stat().st_size == LEDGER_BYTES
    assert total(state_dir) == 1


def test_a_reader_never_keeps_a_worker_from_its_slot(state_dir: str, start_worker: Callable[[], Counters]) -> None:
    start_worker().close()
    for _ in range(50):
        read_server(state_dir)
        worker = start_worker()
        assert worker.slot == 0
        worker.close()


def test_a_linked_slot_file_is_not_followed(state_dir: str, tmp_path: Path) -> None:
    (tmp_path / "state" / "slots" / "0.counters").symlink_to(tmp_path / "victim")
    with pytest.raises(slots.SlotError):
        open_counters(state_dir, 1)
    assert not (tmp_path / "victim").exists()


def test_a_full_disk_is_an_error_at_the_start_not_a_signal_later(
    state_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int, _offset: int, _length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(slots.SlotError, match="No space left"):
        open_counters(state_dir, 1)


def test_a_slot_file_removed_while_it_is_being_taken_is_not_the_one_used(
    state_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = locks.hold

    def hold_late(fd: int) -> bool:
        monkeypatch.undo()
        (Path(state_dir) / "slots" / "0.counters").unlink()
        return really(fd)

    monkeypatch.setattr(locks, "hold", hold_late)
    worker = open_counters(state_dir, 1)
    worker.finished(RequestRecord())
    assert total(state_dir) == 1
    worker.close()


def test_private_counters_count_for_their_own_process(tmp_path: Path) -> None:
    worker = private_counters(str(tmp_path))
    worker.began()
    worker.finished(RequestRecord())
    with worker.buffer as own:
        reading = read_server(str(tmp_path / "absent"), own)
    assert not worker.shared
    assert [(live.slot, live.requests, live.in_flight) for live in reading.workers] == [(-1, 1, 1)]
    worker.close()
