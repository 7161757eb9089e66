"""The units are what systemd takes, and what they promise is kept by the server that they start."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.processes import ROOT, Server, free_port, started
from bench.stacks import ours_environment
from proxy_pkg.config.load import load
from tests.fakes.upstream import Upstream
from tests.system.conftest import ARGUMENTS
from tests.system.patience import eventually

UNITS = ROOT / "deploy/systemd"
SERVICE = UNITS / "proxy_pkg.service"
EXPOSURE_MAX = 2.0
TOOL = shutil.which("systemd-analyze")
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""
needs_systemd = pytest.mark.skipif(TOOL is None, reason="systemd-analyze is not installed (on Debian: systemd)")


def analyze(*arguments: str) -> str:
    assert TOOL
    done = subprocess.run([TOOL, *arguments], capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they would lie in a system where the programs that they name exist."""
    for unit in UNITS.glob("proxy_pkg.*"):
        text = re.sub(r"/opt/proxy_pkg/\.venv/bin/\w+", sys.executable, unit.read_text())
        (tmp_path / unit.name).write_text(text.replace("/opt/proxy_pkg", str(ROOT)))
    return tmp_path


@needs_systemd
@pytest.mark.parametrize("name", ["proxy_pkg.service", "proxy_pkg.socket"])
def test_systemd_finds_no_fault(name: str, installed: Path) -> None:
    said = analyze("verify", "--man=no", str(installed / name))
    assert [line for line in said.splitlines() if "proxy_pkg" in line] == []


@needs_systemd
def test_the_service_is_confined(installed: Path) -> None:
    said = analyze("security", "--offline=true", "--no-pager", str(installed / SERVICE.name))
    found = re.search(r"Overall exposure level for proxy_pkg\.service: ([\d.]+)", said)
    assert found, said
    assert float(found[1]) <= EXPOSURE_MAX


def test_every_directive_is_explained() -> None:
    for unit in UNITS.glob("proxy_pkg.*"):
        for block in re.split(r"\n(?=#)|\n\n", unit.read_text()):
            directives = [line for line in block.splitlines() if re.match(r"[A-Z]\w+=", line)]
            described = block.lstrip().startswith("#") or all(
                re.match(r"(Description|WantedBy|Wants)=", line) for line in directives
            )
            assert described, block


def test_systemd_waits_longer_than_requests_may_take_to_end() -> None:
    found = re.search(r"^TimeoutStopSec=(\d+)$", SERVICE.read_text(), re.MULTILINE)
    assert found
    assert int(found[1]) > load({}).settings.drain_limit_seconds + 10


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Listens as a service manager does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.settimeout(15)
        yield made


def told(manager: socket.socket) -> str:
    return manager.recv(4096).decode().partition("\n")[0]


def test_the_manager_is_told_when_workers_serve_reload_and_stop(
    manager: socket.socket, upstream: Upstream, tmp_path: Path
) -> None:
    port = free_port()
    settings = ours_environment(upstream.url, port, tmp_path) | {"NOTIFY_SOCKET": manager.getsockname()}
    settings["HEADROOM_DRAIN_LIMIT_SECONDS"] = "700"
    with started(ARGUMENTS, port, tmp_path / "log", "/readyz", settings) as server:
        assert told(manager) == "READY=1"
        assert "Application startup complete" in server.log.read_text(), "not before a worker serves"
        before = server.worker_pids
        os.kill(server.master_pid, signal.SIGHUP)
        assert told(manager) == "RELOADING=1"
        assert told(manager) == "READY=1"
        assert set(server.worker_pids) - set(before)
        os.kill(server.master_pid, signal.SIGTERM)
        said = manager.recv(4096).decode()
        assert said.startswith("STOPPING=1\n")
        extended = re.search(r"^EXTEND_TIMEOUT_USEC=(\d+)$", said, re.MULTILINE)
        assert extended, "a longer drain than TimeoutStopSec would be cut off"
        assert int(extended[1]) > (700 + 10) * 1_000_000


def test_a_socket_of_the_managers_is_served_and_outlives_a_restart(upstream: Upstream, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        settings = ours_environment(upstream.url, port, tmp_path)
        with activated(held, settings, tmp_path) as server:
            assert server.process.poll() is None
        with socket.create_connection(("127.0.0.1", port)) as waiting:
            waiting.sendall(b"GET /livez HTTP/1.1\r\nhost: proxy.test\r\n\r\n")
            with activated(held, settings, tmp_path):
                waiting.settimeout(15)
                assert waiting.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("more", "code"),
    [({}, 1), ({"HEADROOM_PROXY_TOKEN": "a-token-of-some-length"}, None)],
    ids=["open", "with a token"],
)
def test_a_socket_that_others_reach_wants_a_token(
    more: dict[str, str], code: int | None, upstream: Upstream, tmp_path: Path
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as held:
        settings = ours_environment(upstream.url, held.getsockname()[1], tmp_path) | more
        with activated(held, settings, tmp_path) as server:
            assert server.process.poll() == code
            assert ("HEADROOM_PROXY_TOKEN" in server.log.read_text()) == bool(code)


@contextmanager
def activated(held: socket.socket, settings: dict[str, str], folder: Path) -> Iterator[Server]:
    """The server as sd_listen_fds(3) describes its start: the socket is descriptor 3, and its pid is in LISTEN_PID."""
    port = held.getsockname()[1]
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, str(held.fileno()), *ARGUMENTS],
            cwd=ROOT,
            env=settings,
            pass_fds=[held.fileno()],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process, port, folder / "log")
    try:
        eventually(lambda: "startup complete" in server.log.read_text() or process.poll() is not None)
        yield server
    finally:
        server.stop()
