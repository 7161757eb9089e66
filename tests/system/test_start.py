"""A server starts as it was told to, or not at all and says why."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bench.processes import ROOT, Server, free_port, started
from bench.stacks import ours_environment, plain_environment
from tests.fakes.bodies import ANTHROPIC, NUMBERED, literal
from tests.fakes.client import Caller, ask
from tests.fakes.upstream import Upstream
from tests.system.conftest import ARGUMENTS

START_LIMIT_SECONDS = 30


def refused_start(folder: Path, arguments: list[str] = ARGUMENTS, **environment: str) -> str:
    """What a server that must not start says on standard error. Nothing of it may be left running."""
    settings = ours_environment("http://127.0.0.1:9", free_port(), folder) | environment
    done = subprocess.run(
        arguments,
        cwd=ROOT,
        env=settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=START_LIMIT_SECONDS,
        start_new_session=True,
    )
    assert done.returncode not in (0, None)
    assert done.returncode > 0, "it ended by itself"
    return done.stderr.decode()


def test_everything_wrong_with_the_settings_is_told_at_once(tmp_path: Path) -> None:
    said = refused_start(
        tmp_path,
        HEADROOM_WORKERS="many",
        HEADROOM_COMPRESION="off",
        HEADROOM_GAP_TIMEOUT_SECONDS="-1",
        ANTHROPIC_TARGET_API_URL="ftp://user:canary@host",
        HEADROOM_PROXY_TOKEN="canary with blanks",
    )
    for name in ("HEADROOM_WORKERS", "HEADROOM_COMPRESION", "HEADROOM_GAP_TIMEOUT_SECONDS", "ANTHROPIC_TARGET_API_URL"):
        assert name in said
    assert "HEADROOM_COMPRESSION" in said, "the nearest known name"
    assert "canary" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("text", ["workers = ", 'workers = "many"', "workrs = 2"])
def test_a_faulty_file_is_named(text: str, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(text)
    said = refused_start(tmp_path, HEADROOM_CONFIG=str(config))
    assert "settings.toml" in said or "workers" in said
    assert "Traceback" not in said


def lines_of_refusal(said: str) -> list[str]:
    return [line for line in said.splitlines() if "Starting gunicorn" not in line]


@pytest.mark.parametrize("by_option", [False, True])
def test_a_busy_port_is_one_line_with_the_setting_and_our_own_server(
    by_option: bool, shared_server: Server, tmp_path: Path
) -> None:
    bind = ["--bind", f"127.0.0.1:{shared_server.port}"] if by_option else []
    names = {} if by_option else {"HEADROOM_PORT": str(shared_server.port)}
    (line,) = lines_of_refusal(refused_start(tmp_path, ARGUMENTS + bind, **names))
    assert f"port {shared_server.port}" in line
    assert "Address already in use" in line
    assert ("(--bind)" if by_option else "(HEADROOM_HOST and HEADROOM_PORT)") in line
    assert f"a server of this kind has it already, process {shared_server.master_pid}" in line
    assert "proxyctl drain" in line
    assert ask(shared_server.port, "GET", "/readyz").status == 200


def test_a_port_that_another_program_has_names_that_program(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused_start(tmp_path, HEADROOM_PORT=str(port))
    (line,) = lines_of_refusal(said)
    assert f"process {os.getpid()} (" in line
    assert "of this kind" not in line


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("192.0.2.1:{port}", "an address of this machine"),
        ("unix:{folder}/none/socket", "is no directory"),
        ("unix:{folder}/file", "something that is no socket"),
    ],
)
def test_an_address_that_cannot_be_had_is_one_line(address: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = address.format(port=free_port(), folder=tmp_path)
    names = {"HEADROOM_ALLOW_UNAUTHENTICATED_BIND": "true"}
    said = [
        line
        for line in lines_of_refusal(refused_start(tmp_path, [*ARGUMENTS, "--bind", place], **names))
        if "warning" not in line
    ]
    assert len(said) == 1
    assert reason in said[0]
    assert "--bind" in said[0]


def test_a_state_directory_that_cannot_be_used_is_told_of(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("")
    said = refused_start(tmp_path, HEADROOM_STATE_DIR=str(place))
    assert str(place) in said


@pytest.mark.parametrize("workers", ["1", "2"])
def test_nothing_is_written_outside_the_state_directory(workers: str, upstream: Upstream, tmp_path: Path) -> None:
    port, homes = free_port(), [tmp_path / name for name in ("home", "temporary", "runtime")]
    for home in homes:
        home.mkdir()
    names = dict(zip(("HOME", "TMPDIR", "XDG_RUNTIME_DIR"), map(str, homes), strict=True))
    settings = ours_environment(upstream.url, port, tmp_path) | names | {"HEADROOM_WORKERS": workers}
    with started(ARGUMENTS, port, tmp_path / "log", "/readyz", settings) as server:
        assert ask(server.port, "POST", "/v1/messages", (), ANTHROPIC.body(literal(NUMBERED))).status == 200
        assert len(server.worker_pids) == int(workers)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "log", "runtime", "state", "temporary"]
        assert [path for home in homes for path in home.rglob("*")] == []
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_a_stopped_server_leaves_no_process_and_a_free_port(server: Callable[..., Server]) -> None:
    running = server()
    pids = [running.master_pid, *running.worker_pids]
    with Caller(running.port) as idle:
        assert idle.ask("GET", "/livez").status == 200
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(START_LIMIT_SECONDS) == 0
        assert idle.more() == b""
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    with pytest.raises(ConnectionRefusedError):
        Caller(running.port)


def test_one_json_variable_configures_a_bare_uvicorn(upstream: Upstream, tmp_path: Path) -> None:
    port = free_port()
    whole = {
        "port": port,
        "state_dir": str(tmp_path / "state"),
        "compression": "observe",
        "anthropic_target_api_url": upstream.url,
    }
    arguments = [sys.executable, "-m", "uvicorn", "--factory", "proxy_pkg.server.asgi:create_app_from_env"]
    arguments += ["--port", str(port), "--log-level", "warning"]
    settings = plain_environment() | {"HEADROOM_PROXY_CONFIG_JSON": msgspec.json.encode(whole).decode()}
    with started(arguments, port, tmp_path / "log", "/readyz", settings) as server:
        body = ANTHROPIC.body(literal(NUMBERED))
        answer = ask(server.port, "POST", "/v1/messages", (), body)
        assert answer.header("x-headroom-decision") == "observed; reason=smaller"
        assert upstream.requests[-1].body == body
        assert os.path.isdir(tmp_path / "state")


def test_a_bare_uvicorn_with_a_wrong_configuration_does_not_start(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "uvicorn", "--factory", "proxy_pkg.server.asgi:create_app_from_env"]
    said = refused_start(tmp_path, arguments, HEADROOM_PROXY_CONFIG_JSON='{"prot": 1, "workers": "x"}')
    assert "prot" in said
    assert "workers" in said
