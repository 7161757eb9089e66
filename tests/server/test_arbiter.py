"""The master's steps from one set of workers to the next, with workers that only note what they are told."""

import logging
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.errors import HaltServer

from proxy_pkg.server import boot, worker_status
from proxy_pkg.server.arbiter import BOOT_RETRY_SECONDS, ProxyArbiter
from proxy_pkg.server.handover import Handover
from proxy_pkg.server.load_table import LoadTable
from proxy_pkg.server.systemd import ServiceManager


class Heartbeat:
    """A file without a name, as gunicorn makes one for each worker."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the worker)

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()


class Worker:
    def __init__(self, pid: int) -> None:
        self.pid = self.age = pid
        self.ppid = -1
        self.slot = -1
        self.tmp = Heartbeat()


class Manager(ServiceManager):
    def __init__(self) -> None:
        super().__init__("")
        self.heard: list[str] = []

    def ready(self) -> None:
        self.heard.append("ready")

    def reloading(self) -> None:
        self.heard.append("reloading")


class Master(ProxyArbiter):
    """The arbiter without processes: workers are numbers, and signals are written down."""

    def __init__(self, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._num_workers = workers
        self.WORKERS: dict[int, Any] = {}
        self.log = logging.getLogger("tests.master")
        self.generation = 0
        self.load_table = LoadTable()
        self.handover = Handover()
        self.manager: Any = Manager()
        self._announced = self._serving = False
        self._retry_at = 0.0
        self.ended: list[int] = []
        self._pids = 0
        monkeypatch.setattr(Arbiter, "spawn_worker", Master._made)

    def _made(self) -> int:
        self._pids += 1
        self.WORKERS[self._pids] = Worker(self._pids)
        return self._pids

    def kill_worker(self, pid: int, sig: int) -> None:
        assert sig == signal.SIGTERM
        self.ended.append(pid)

    def says(self, pid: int, bits: int) -> None:
        worker_status.report(self.WORKERS[pid], bits)
        self.manage_workers()

    def gone(self, pid: int) -> None:
        self.WORKERS.pop(pid).tmp.close()
        self.manage_workers()

    def next_generation(self) -> None:
        self.generation += 1
        self.manage_workers()

    def close(self) -> None:
        self.handover.close()
        for worker in self.WORKERS.values():
            worker.tmp.close()


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Master(2, monkeypatch)
    made.manage_workers()
    yield made
    made.close()


def test_ready_is_said_with_the_first_worker_that_serves(master: Master) -> None:
    assert (sorted(master.WORKERS), master.manager.heard) == ([1, 2], [])
    master.says(2, worker_status.READY)
    master.says(1, worker_status.READY)
    assert master.manager.heard == ["ready"]


def test_old_workers_end_one_by_one_as_new_ones_serve(master: Master) -> None:
    master.says(1, worker_status.READY)
    master.says(2, worker_status.READY)
    master.next_generation()
    assert (sorted(master.WORKERS), master.ended) == ([1, 2, 3, 4], [])
    master.says(3, worker_status.READY)
    assert master.ended == [1]
    master.says(4, worker_status.READY)
    assert master.ended == [1, 2], "each is told once"


def test_a_second_reload_ends_first_what_never_served(master: Master) -> None:
    master.says(1, worker_status.READY)
    master.says(2, worker_status.READY)
    master.next_generation()
    master.next_generation()
    assert master.ended == [3, 4], "the old ones are all there is to serve"
    master.says(5, worker_status.READY)
    master.says(6, worker_status.READY)
    assert sorted(master.ended) == [1, 2, 3, 4]


def test_a_worker_at_its_limit_serves_until_its_successor_does(master: Master) -> None:
    master.says(1, worker_status.READY)
    master.says(2, worker_status.READY)
    master.says(1, worker_status.RETIRING)
    assert (sorted(master.WORKERS), master.ended) == ([1, 2, 3], [])
    master.says(3, worker_status.READY)
    assert master.ended == [1]
    master.gone(1)
    assert sorted(master.WORKERS) == [2, 3]


def test_a_dead_worker_is_replaced_while_others_drain(master: Master) -> None:
    master.says(1, worker_status.READY)
    master.says(2, worker_status.READY)
    master.next_generation()
    master.says(3, worker_status.READY)
    master.says(4, worker_status.READY)
    master.gone(4)
    assert sorted(master.WORKERS) == [1, 2, 3, 5]


def test_fewer_workers_are_left_when_fewer_are_wanted(master: Master) -> None:
    master._num_workers = 1
    master.manage_workers()
    assert master.ended == [1]


def test_one_that_serves_is_not_ended_for_one_that_does_not_yet(master: Master) -> None:
    master._num_workers = 1
    master.manage_workers()
    assert master.ended == [1], "none serves: the oldest goes"
    master.gone(1)
    master.says(2, worker_status.READY)
    for number in (2, 1):
        master._num_workers = number
        master.manage_workers()
    assert master.ended == [1, 3]


def test_who_is_ended_stands_in_for_nobody(master: Master) -> None:
    master.says(1, worker_status.READY)
    master.says(2, worker_status.READY)
    master.next_generation()
    master.says(3, worker_status.READY)
    assert master.ended == [1]
    master._num_workers = 1
    master.manage_workers()
    assert master.ended == [1, 4, 2]


def test_a_worker_that_cannot_start_halts_only_a_server_that_never_served(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails: list[HaltServer] = []

    def reap(arbiter: Any) -> None:
        if fails:
            arbiter.WORKERS.pop(max(arbiter.WORKERS)).tmp.close()
            raise fails.pop()

    monkeypatch.setattr(Arbiter, "reap_workers", reap)
    fails.append(HaltServer("Worker failed to boot.", 3))
    with pytest.raises(HaltServer):
        master.reap_workers()
    master.manage_workers()
    master.says(1, worker_status.READY)
    fails.append(HaltServer("Worker failed to boot.", 3))
    master.reap_workers()
    before = dict(master.WORKERS)
    master.manage_workers()
    assert before == master.WORKERS, f"the next try comes {BOOT_RETRY_SECONDS} s later"
    master._retry_at = 0.0
    master.manage_workers()
    assert len(master.WORKERS) == 2


def test_a_system_without_room_for_a_worker_ends_no_server_that_serves(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Any) -> int:
        raise OSError("Resource temporarily unavailable")

    made = Arbiter.spawn_worker
    monkeypatch.setattr(Arbiter, "spawn_worker", refused)
    with pytest.raises(OSError, match="temporarily"):
        master.gone(1)
    master.says(2, worker_status.READY)
    master._retry_at = 0.0
    master.manage_workers()
    assert (sorted(master.WORKERS), master.ended) == ([2], [])
    monkeypatch.setattr(Arbiter, "spawn_worker", made)
    master._retry_at = 0.0
    master.manage_workers()
    assert len(master.WORKERS) == 2


class Broken:
    """An application whose file cannot be run."""

    def reload(self) -> None:
        raise SystemExit(1)


class Elsewhere:
    """One whose file can be run, and names a worker class that nobody has."""

    def __init__(self) -> None:
        self.cfg = Config()

    def reload(self) -> None:
        self.cfg.set("worker_class", "nowhere.Worker")


@pytest.mark.parametrize("application", [Broken, Elsewhere])
def test_a_file_that_cannot_be_run_changes_nothing(master: Master, application: type[Any]) -> None:
    master.app = application()
    before = dict(master.WORKERS)
    master.reload()
    assert (master.WORKERS, master.generation) == (before, 0)
    assert master.manager.heard == ["reloading", "ready"]


def test_settings_of_a_reload_that_gunicorn_refuses_are_not_in_force(
    master: Master, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class ReadsAndNamesNobody(Elsewhere):
        def reload(self) -> None:
            boot.load_settings()
            super().reload()

    file = tmp_path / "settings.toml"
    monkeypatch.setattr(boot, "_last_good", [])
    monkeypatch.setenv("HEADROOM_CONFIG", str(file))
    file.write_text("gap_timeout_seconds = 7")
    boot.load_settings()
    held = boot.in_force()
    file.write_text("gap_timeout_seconds = 8")
    master.app = ReadsAndNamesNobody()
    master.reload()
    assert boot.in_force() == held


def test_seats_are_taken_anew(master: Master) -> None:
    for expected, worker in enumerate(master.WORKERS.values()):
        worker.slot = master.slot()
        assert worker.slot == expected
    master.gone(1)
    assert master.slot() == 0


def test_the_condition_of_a_closed_worker_is_nothing() -> None:
    worker = Worker(os.getpid())
    worker_status.report(worker, worker_status.READY)
    worker_status.report(worker, worker_status.RETIRING)
    assert worker_status.status_bits(worker) == worker_status.READY | worker_status.RETIRING
    worker.tmp.close()
    assert worker_status.status_bits(worker) == 0
