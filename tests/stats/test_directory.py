"""The shared directory: private, emptied when a server starts, left alone while one lives."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy_pkg.errors import SettingsError
from proxy_pkg.stats.counters import Counters, open_counters
from proxy_pkg.stats.directory import prepare
from proxy_pkg.stats.ledger_paths import slot_paths, started_ns


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_directories_and_files_are_for_the_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    server = prepare(str(directory))
    counters = open_counters(str(directory), 1)
    assert [mode(directory.parent), mode(directory), mode(directory / "slots")] == [0o700] * 3
    assert [mode(path) for path in slot_paths(directory)] == [0o600]
    counters.close()
    server.close()


def test_totals_of_an_earlier_run_are_removed_and_other_files_are_not(tmp_path: Path) -> None:
    first = prepare(str(tmp_path / "state"))
    open_counters(str(tmp_path / "state"), 1).close()
    first.close()
    other = tmp_path / "state" / "slots" / "notes.txt"
    other.write_text("mine")
    began_ns = time.time_ns()
    second = prepare(str(tmp_path / "state"))
    assert second.fresh
    assert slot_paths(tmp_path / "state") == []
    assert other.exists()
    assert began_ns <= started_ns(str(tmp_path / "state")) <= time.time_ns()
    second.close()


def test_a_second_master_removes_nothing_while_the_first_lives(
    state_dir: str, start_worker: Callable[[], Counters]
) -> None:
    start_worker().close()
    began_ns = started_ns(state_dir)
    prepare_here = "import sys; from proxy_pkg.stats.directory import prepare; print(prepare(sys.argv[1]).fresh)"
    done = subprocess.run(
        [sys.executable, "-c", prepare_here, state_dir], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout.strip() == "False"
    assert len(slot_paths(Path(state_dir))) == 1
    assert started_ns(state_dir) == began_ns


def test_a_worker_that_outlived_its_master_keeps_its_totals(tmp_path: Path) -> None:
    master = prepare(str(tmp_path / "state"))
    worker = open_counters(str(tmp_path / "state"), 1)
    master.close()
    again = prepare(str(tmp_path / "state"))
    assert not again.fresh
    assert len(slot_paths(tmp_path / "state")) == 1
    worker.close()
    again.close()


def test_a_forked_worker_keeps_the_claim_of_a_master_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import os, sys, signal; from proxy_pkg.stats.directory import prepare; server = prepare(sys.argv[1])\n"
        "worker = os.fork()\n"
        "if worker: print(worker, flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "state")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as master:
        assert master.stdout is not None
        assert int(master.stdout.readline()) > 0
        master.wait(timeout=10)
        orphaned = prepare(str(tmp_path / "state"))
        assert not orphaned.fresh
        orphaned.close()
    deadline = time.monotonic() + 10
    while True:
        server = prepare(str(tmp_path / "state"))
        server.close()
        if server.fresh:
            break
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("part", ["state", "state/slots"])
def test_a_symbolic_link_is_refused(tmp_path: Path, part: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / part).parent.mkdir(exist_ok=True, mode=0o700)
    (tmp_path / part).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="symbolic link"):
        prepare(str(tmp_path / "state"))


def test_a_linked_lock_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "server.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(SettingsError, match="state_dir"):
        prepare(str(tmp_path / "state"))
    assert not (tmp_path / "victim").exists()


def test_a_directory_that_others_may_write_to_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o770)
    with pytest.raises(SettingsError, match=r"0770.*chmod 700"):
        prepare(str(tmp_path / "state"))


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(SettingsError, match="state_dir"):
        prepare(str(tmp_path / "state"))


def test_another_users_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(SettingsError, match="belongs to user id"):
        prepare(str(tmp_path / "state"))


def test_a_parent_that_a_stranger_planted_in_an_open_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open" / "planted").mkdir(parents=True)
    (tmp_path / "open").chmod(0o1777)
    stranger = os.stat_result((stat.S_IFDIR | 0o700, 1, 1, 1, 54321, 54321, 0, 0, 0, 0))
    really = Path.lstat
    monkeypatch.setattr(Path, "lstat", lambda path: stranger if path.name == "planted" else really(path))
    with pytest.raises(SettingsError, match="planted belongs to another user"):
        prepare(str(tmp_path / "open" / "planted" / "8787"))
