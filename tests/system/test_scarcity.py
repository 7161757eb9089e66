"""What a server does when the machine gives out: no disk, no descriptors, nowhere to write. It serves, and says so."""

import os
import re
import resource
import shutil
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.processes import Server, free_port, started
from bench.stacks import ours_environment
from tests.deploy.engine import hindrance
from tests.fakes.client import Caller, ask, request_bytes
from tests.fakes.scripts import Script, begin, last_chunk
from tests.fakes.upstream import Upstream
from tests.system.conftest import ARGUMENTS, Start
from tests.system.patience import eventually, stats

LIMITED = """
import os, resource, signal, sys
kind, value = sys.argv[1].split("=")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(getattr(resource, kind), (int(value), int(value)))
os.execv(sys.argv[2], sys.argv[2:])
"""
READ = "\\n".join(f"{line:6}→    value_{line} = compute_{line}(mode='fast')" for line in range(1, 80))
RESULT = '{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"%s"}]}'
MOUNTED = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'
BODY = ('{"messages":[' + RESULT.replace("%s", READ) + "]}").encode()
HELD = Script((*begin([b"data: 1\n\n"], ("hold", "all")).steps, ("send", last_chunk())))
PROXYCTL = str(Path(sys.executable).parent / "proxyctl")
REWRITTEN = "rewritten; reason=smaller"


def serves(server: Server) -> None:
    for _ in range(3):
        answer = ask(server.port, "POST", "/v1/messages", (), BODY)
        assert (answer.status, answer.header("x-headroom-decision")) == (200, REWRITTEN)


def test_without_room_for_files_workers_count_alone_and_serve(upstream: Upstream, tmp_path: Path) -> None:
    port = free_port()
    settings = ours_environment(upstream.url, port, tmp_path) | {"HEADROOM_WORKERS": "2"}
    limited = [sys.executable, "-c", LIMITED, "RLIMIT_FSIZE=20000", *ARGUMENTS]
    with started(limited, port, tmp_path / "log", "/readyz", settings) as server:
        before = set(server.worker_pids)
        serves(server)
        os.kill(server.master_pid, signal.SIGHUP)
        eventually(lambda: len(server.worker_pids) == 2 and not before & set(server.worker_pids))
        serves(server)
        assert server.process.poll() is None


@pytest.mark.skipif(os.getuid() == 0 and not Path("/proc/self/attr/current").exists(), reason="root writes anywhere")
def test_a_state_directory_that_is_lost_while_it_serves_costs_no_request(server: Start, upstream: Upstream) -> None:
    running = server()
    (state,) = running.log.parent.glob("state")
    state.rename(state.with_name("away"))
    state.write_text("now a file: nothing can be made in it")
    shutil.rmtree(state.with_name("away"))
    before = set(running.worker_pids)
    serves(running)
    os.kill(running.worker_pids[0], signal.SIGKILL)
    eventually(lambda: len(running.worker_pids) == 2 and set(running.worker_pids) != before)
    for _ in range(4):
        serves(running)
    assert running.process.poll() is None


@pytest.mark.skipif(bool(hindrance()), reason=hindrance() or "it can")
@pytest.mark.parametrize("below", ["", "/8787"], ids=["a directory that is there", "one still to be made"])
@pytest.mark.parametrize("options", ["ro,mode=700", "nr_inodes=1,mode=700"], ids=["read-only", "full"])
def test_a_disk_that_takes_nothing_keeps_no_server_from_starting(
    options: str, below: str, upstream: Upstream, tmp_path: Path
) -> None:
    port, disk = free_port(), tmp_path / "disk"
    disk.mkdir()
    settings = ours_environment(upstream.url, port, tmp_path) | {"HEADROOM_STATE_DIR": f"{disk}{below}"}
    apart = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", MOUNTED, "sh", options, str(disk)]
    serve = [*apart, PROXYCTL, "serve", "--workers", "2"]
    with started(serve, port, tmp_path / "log", "/readyz", settings) as server:
        serves(server)
        assert "workers would count, and keep limits, alone" in server.log.read_text(), "checked before"
        assert "this worker counts for itself alone" in server.log.read_text()
        before = set(server.worker_pids)
        os.kill(server.master_pid, signal.SIGHUP)
        eventually(lambda: len(server.worker_pids) == 2 and not before & set(server.worker_pids))
        serves(server)


def test_without_descriptors_idle_connections_make_room_and_those_with_requests_are_served(
    upstream: Upstream, tmp_path: Path
) -> None:
    port = free_port()
    settings = ours_environment(upstream.url, port, tmp_path) | {"HEADROOM_WORKERS": "1"}
    limited = [sys.executable, "-c", LIMITED, "RLIMIT_NOFILE=64", *ARGUMENTS]
    with started(limited, port, tmp_path / "log", "/readyz", settings) as server, ExitStack() as held:
        (worker,) = server.worker_pids
        for _ in range(100):
            held.enter_context(Caller(port))
        serves(server)
        assert server.log.read_text().count("descriptors run short") == 1
        assert server.worker_pids == [worker]


def test_without_descriptors_connections_wait_for_those_that_have_requests(upstream: Upstream, tmp_path: Path) -> None:
    port = free_port()
    settings = ours_environment(upstream.url, port, tmp_path) | {"HEADROOM_WORKERS": "1"}
    limited = [sys.executable, "-c", LIMITED, "RLIMIT_NOFILE=64", *ARGUMENTS]
    upstream.play(HELD, times=100, path="/v1/messages")
    with started(limited, port, tmp_path / "log", "/readyz", settings) as server, ExitStack() as held:
        callers = []
        for _ in range(40):
            callers.append(held.enter_context(Caller(port)))
            callers[-1].write(request_bytes("POST", "/v1/messages", (), b"{}"))
        eventually(lambda: "no connection can be taken for now" in server.log.read_text())
        upstream.release("all")
        for caller in callers:
            assert caller.answer().complete
        assert server.log.read_text().count("no connection can be taken for now") < 10


@pytest.mark.parametrize(
    ("limit", "value"),
    [("RLIMIT_AS", 100 << 20), ("RLIMIT_NOFILE", 3), ("RLIMIT_NOFILE", 12)],
    ids=["no memory", "no descriptors for the master", "no descriptors for a worker"],
)
def test_what_is_missing_for_new_workers_stops_none_that_serve_and_is_used_once_it_is_back(
    limit: str, value: int, server: Start, upstream: Upstream
) -> None:
    running = server()
    eventually(lambda: running.log.read_text().count("startup complete") == 2)
    usual = resource.prlimit(running.master_pid, getattr(resource, limit))
    resource.prlimit(running.master_pid, getattr(resource, limit), (value, usual[1]))
    os.kill(running.worker_pids[0], signal.SIGKILL)
    said = re.compile(r"did not start|can be started for now|was sent SIGABRT|exited with code")
    eventually(lambda: said.search(running.log.read_text()))
    os.kill(running.master_pid, signal.SIGHUP)
    serves(running)
    tries = running.log.read_text().count("Booting worker")
    serves(running)
    assert running.log.read_text().count("Booting worker") <= tries + 2, "no crash loop"
    resource.prlimit(running.master_pid, getattr(resource, limit), usual)
    os.kill(running.master_pid, signal.SIGHUP)
    eventually(lambda: len(stats(running)["workers"]["live"]) == 2 and len(running.worker_pids) == 2)
    serves(running)
    assert running.process.poll() is None
