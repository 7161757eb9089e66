"""Who is the master: a lock tells, and nobody else is ever signalled."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy_pkg.server.running import find
from proxy_pkg.stats import mastership
from proxy_pkg.stats.counters import open_counters
from proxy_pkg.stats.directory import prepare
from proxy_pkg.stats.mastership import NoMasterError, claim, masters, signal_master

HOLDER = """
import sys, signal
from proxy_pkg.stats.mastership import claim
signal.signal(signal.SIGHUP, lambda *_: (print("heard", flush=True), sys.exit()))
held = claim(sys.argv[1])
print("held", flush=True)
signal.pause()
"""


@pytest.fixture
def state(tmp_path: Path) -> str:
    (tmp_path / "state").mkdir(0o700)
    return str(tmp_path / "state")


@pytest.fixture
def holder(state: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen([sys.executable, "-c", HOLDER, state], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_holder_of_the_lock_is_the_master(state: str, holder: "subprocess.Popen[str]") -> None:
    assert masters(state) == [holder.pid]
    signal_master(state, holder.pid, signal.SIGHUP)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "heard\n"
    holder.wait(10)
    assert masters(state) == []


def test_a_holder_that_began_at_another_time_is_never_signalled(
    state: str, holder: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a file system gives the number that the master has in another container, and it is another's here."""
    began = mastership.started_ticks(holder.pid)
    assert began > 0
    monkeypatch.setattr(mastership, "started_ticks", lambda pid: began + 1)
    with pytest.raises(NoMasterError, match="is not the master"):
        signal_master(state, holder.pid, signal.SIGHUP)
    assert holder.poll() is None
    monkeypatch.setattr(mastership, "started_ticks", lambda pid: began)
    signal_master(state, holder.pid, signal.SIGHUP)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "heard\n"


def test_two_masters_are_both_seen(state: str, holder: "subprocess.Popen[str]") -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, state], stdout=subprocess.PIPE, text=True) as second:
        assert second.stdout is not None
        assert second.stdout.readline() == "held\n"
        assert sorted(masters(state)) == sorted((holder.pid, second.pid))
        holder.kill()
        holder.wait(10)
        assert masters(state) == [second.pid], "the first byte is free, and the second is still found"
        second.kill()


def test_a_fork_of_the_master_neither_holds_nor_ends_its_claim(state: str) -> None:
    program = (
        "import os, sys\n"
        "from proxy_pkg.stats.mastership import claim, masters\n"
        "held = claim(sys.argv[1])\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    held.close(); os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "look = 'import sys; from proxy_pkg.stats.mastership import masters; print(*masters(sys.argv[1]))'\n"
        "import subprocess\n"
        "found = subprocess.check_output([sys.executable, '-c', look, sys.argv[1]], text=True)\n"
        "print(found.strip() == str(os.getpid()))\n"
    )
    assert subprocess.check_output([sys.executable, "-c", program, state], text=True) == "True\n"


def test_a_process_without_the_lock_is_never_signalled(state: str, holder: "subprocess.Popen[str]") -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as innocent:
        with pytest.raises(NoMasterError, match="not the master"):
            signal_master(state, innocent.pid, signal.SIGTERM)
        assert innocent.poll() is None
        innocent.kill()
    with pytest.raises(NoMasterError, match="has ended"):
        signal_master(state, innocent.pid, signal.SIGTERM)


def test_a_worker_whose_number_and_parent_exist_here_makes_no_master_of_its_parent(tmp_path: Path) -> None:
    """The counters name this very process, as they would name one of another container with the same number."""
    state = str(tmp_path / "state")
    lock = prepare(state)
    counters = open_counters(state, 1)
    try:
        server = find(state)
        assert server is not None
        assert [worker.pid for worker in server.workers] == [os.getpid()]
        assert (server.master_pid, server.is_orphaned) == (0, True)
    finally:
        counters.close()
        lock.close()


def test_a_directory_that_takes_nothing_has_no_master(tmp_path: Path) -> None:
    assert claim(str(tmp_path / "missing")) is None
    assert masters(str(tmp_path / "missing")) == []
