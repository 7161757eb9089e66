"""proxyctl on a server that runs: what it shows is true, and what it does is done when it returns."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.processes import Server, children, free_port, started
from bench.stacks import ours_environment, plain_environment
from proxy_pkg import __version__
from proxy_pkg.config.settings import ROWS
from tests.deploy.engine import hindrance
from tests.fakes.client import Caller, ask
from tests.fakes.scripts import Script, begin, last_chunk
from tests.fakes.upstream import Upstream
from tests.system.conftest import ARGUMENTS, Start
from tests.system.patience import eventually, stats

TARGETS = [row.environment for row in ROWS.values() if row.kind == "url" and row.default]
PROXYCTL = Path(sys.executable).parent / "proxyctl"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def command(server: Server, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    names = plain_environment() | {
        "HEADROOM_PORT": str(server.port),
        "HEADROOM_STATE_DIR": str(server.log.parent / "state"),
    }
    return subprocess.Popen(
        [PROXYCTL, *arguments], env=names | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def done(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.fixture
def held(upstream: Upstream) -> bytes:
    """A request whose answer waits until the test lets it go."""
    held = begin([b"data: 1\n\n"], ("hold", "it"))
    upstream.play(Script((*held.steps, ("send", last_chunk()))))
    return b"POST /v1/messages HTTP/1.1\r\nhost: proxy.test\r\ncontent-length: 2\r\n\r\n{}"


def test_status_shows_each_worker_and_what_it_does(server: Start, held: bytes, upstream: Upstream) -> None:
    running = server()
    eventually(lambda: len(stats(running)["workers"]["live"]) == 2)
    with Caller(running.port) as caller:
        caller.write(held)
        answer = caller.begin()
        code, out, _ = done(command(running, "status", "--json"))
        shown = msgspec.json.decode(out)
        assert (code, shown["running"], shown["master_pid"]) == (0, True, running.master_pid)
        assert {each["pid"] for each in shown["workers"]} == set(running.worker_pids)
        assert sum(each["in_flight"] for each in shown["workers"]) == 1
        code, out, _ = done(command(running, "status"))
        assert f"master {running.master_pid}, 2 workers serve, 1 requests in flight" in out
        assert "2 workers started since" in out
        assert "run 1 with this state directory" in out
        upstream.release("it")
        assert caller.finish(answer).complete


def test_status_shows_what_is_open_on_any_worker(server: Start, held: bytes, upstream: Upstream) -> None:
    running = server(HEADROOM_PROXY_TOKEN="status-token-0123456789abcdef")
    token = {"HEADROOM_PROXY_TOKEN": "status-token-0123456789abcdef"}
    with Caller(running.port) as caller:
        caller.write(held.replace(b"host:", b"x-headroom-token: status-token-0123456789abcdef\r\nhost:"))
        answer = caller.begin()

        def shown() -> dict[str, Any]:
            told: dict[str, Any] = msgspec.json.decode(done(command(running, "status", "--json", **token))[1])
            return told

        eventually(lambda: shown()["live"]["newest"])
        (note,) = shown()["live"]["newest"]
        assert (note["protocol"], note["phase"]) == ("anthropic_messages", "answering")
        assert (shown()["version"], shown()["silence"], shown()["draining"]) == (__version__, "", False)
        _, out, _ = done(command(running, "status", **token))
        assert f"version {__version__}" in out
        assert "open for a moment or longer: 1 answering" in out
        upstream.release("it")
        assert caller.finish(answer).complete
    _, out, _ = done(command(running, "status"))
    assert "status 403: set HEADROOM_PROXY_TOKEN" in out
    assert "2 workers serve" in out, "the rest is known all the same"


def test_status_tells_of_workers_that_stand_still(server: Start) -> None:
    running = server()
    pids = running.worker_pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        code, out, err = done(command(running, "status"))
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert (code, err) == (0, "")
    assert out.count("  stopped\n") == 2
    assert "what is open cannot be told" in out


def test_two_servers_with_one_state_directory_are_told_apart_by_nobody(server: Start, upstream: Upstream) -> None:
    first = server()
    second = server(HEADROOM_STATE_DIR=str(first.log.parent / "state"))
    assert "give each its own HEADROOM_STATE_DIR" in second.log.read_text()
    masters = f"{first.master_pid}, {second.master_pid}"
    code, out, _ = done(command(first, "status"))
    assert (code, f"servers with the masters {masters} share" in out) == (0, True)
    for wish in ("drain", "reload"):
        code, _, err = done(command(first, wish))
        assert (code, masters in err) == (1, True)
    assert (first.process.poll(), second.process.poll()) == (None, None)


@pytest.mark.skipif(bool(hindrance()), reason=hindrance() or "it can")
def test_a_master_that_is_process_one_is_found(upstream: Upstream, tmp_path: Path) -> None:
    port = free_port()
    alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *ARGUMENTS]
    settings = ours_environment(upstream.url, port, tmp_path) | {"HEADROOM_WORKERS": "2"}
    with started(alone, port, tmp_path / "log", "/readyz", settings) as container:
        (master,) = children(container.process.pid)
        inside = ["nsenter", "--pid", "--mount", "--target", str(master), "--wd=/", str(PROXYCTL)]

        def told(*arguments: str) -> tuple[int, str]:
            run = subprocess.run([*inside, *arguments], env=settings, capture_output=True, text=True, check=False)
            return run.returncode, run.stdout

        code, out = told("status")
        assert (code, "master 1, 2 workers serve" in out) == (0, True)
        assert "new workers serve" in told("reload")[1]
        told("drain")  # which ends with the last of the container's processes
        assert container.process.wait(15) == 0


@pytest.mark.skipif(bool(hindrance()), reason=hindrance() or "it can")
def test_a_server_in_another_container_is_neither_signalled_nor_said_to_have_ended(
    upstream: Upstream, tmp_path: Path
) -> None:
    port = free_port()
    alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *ARGUMENTS]
    settings = ours_environment(upstream.url, port, tmp_path) | {"HEADROOM_WORKERS": "2"}
    with started(alone, port, tmp_path / "log", "/readyz", settings) as container:
        apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", str(PROXYCTL)]
        for wish in ("drain", "reload"):
            outside = subprocess.run([*apart, wish], env=settings, capture_output=True, text=True, check=False)
            assert outside.returncode == 1
            assert "runs in another container" in outside.stderr
            assert f"nothing was signalled. Run `proxyctl {wish}` there" in outside.stderr
            assert "has ended" not in outside.stdout
        outside = subprocess.run([*apart, "status"], env=settings, capture_output=True, text=True, check=False)
        assert f"A server uses {settings['HEADROOM_STATE_DIR']}, but its master cannot be seen" in outside.stdout
        assert container.process.poll() is None
        assert ask(port, "GET", "/readyz").status == 200


def test_a_dead_master_is_told_and_nobody_is_signalled(server: Start) -> None:
    running = server()
    pids = running.worker_pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    running.process.kill()
    running.process.wait(5)
    try:
        code, out, _ = done(command(running, "status"))
        assert "the master is gone: 2 workers are left, and end by themselves" in out
        assert "it drains" not in out
        code, _, err = done(command(running, "reload"))
        assert (code, "its master is gone" in err) == (1, True)
        draining = command(running, "drain")
        assert draining.stdout is not None
        assert draining.stdout.readline().startswith("Its master is gone")
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    code, out, _ = done(draining)
    assert (code, out.endswith("The server has ended.\n")) == (0, True)


def test_a_server_that_drains_is_not_told_to_again(server: Start, held: bytes, upstream: Upstream) -> None:
    running = server()
    with Caller(running.port) as caller:
        caller.write(held)
        answer = caller.begin()
        os.kill(running.master_pid, signal.SIGTERM)
        eventually(lambda: "it drains" in done(command(running, "status"))[1])
        code, _, err = done(command(running, "reload"))
        assert (code, "the server drains, and takes on nothing new" in err) == (1, True)
        again = command(running, "drain")
        assert again.stdout is not None
        assert again.stdout.readline() == "It drains already; nothing more was sent to it.\n"
        upstream.release("it")
        assert caller.finish(answer).complete
    code, out, _ = done(again)
    assert (code, out.endswith("The server has ended.\n")) == (0, True)


def test_without_a_server_status_says_so(server: Start) -> None:
    running = server()
    running.stop()
    code, out, _ = done(command(running, "status"))
    assert (code, out) == (3, "No server runs with this configuration.\n")


def test_reload_returns_when_new_workers_serve_and_refuses_what_is_broken(server: Start) -> None:
    running = server()
    before = set(running.worker_pids)
    code, _, err = done(command(running, "reload", HEADROOM_COMPRESSION="a little"))
    assert code == 1
    assert "nothing was reloaded" in err
    assert set(running.worker_pids) == before
    code, out, err = done(command(running, "reload"))
    assert (code, err) == (0, "")
    assert "new workers serve" in out
    code, out, _ = done(command(running, "status", "--json"))
    serving = {each["pid"] for each in msgspec.json.decode(out)["workers"] if not each["draining"]}
    assert serving
    assert not serving & before


def in_force(server: Server, **environment: str) -> dict[str, Any]:
    code, out, err = done(command(server, "config", "show", "--running", "--json", **environment))
    assert (code, err) == (0, "")
    told: dict[str, Any] = msgspec.json.decode(out)
    return told


def test_a_running_server_says_what_it_runs_with_and_since_when(server: Start, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('log_level = "info"\nproxy_token = "running-token-0123456789"\n')
    running = server(HEADROOM_CONFIG=str(file), HEADROOM_HOLDOUT="0.25")
    token = {"HEADROOM_PROXY_TOKEN": "running-token-0123456789"}
    first = in_force(running, **token)
    settings = first["settings"]
    assert set(settings) == set(ROWS)
    assert settings["holdout"]["value"] == 0.25
    assert settings["holdout"]["source"] == "environment HEADROOM_HOLDOUT"
    assert settings["log_level"]["source"] == f"file {file}"
    assert settings["proxy_token"]["value"] == "(hidden)"
    assert "running-token" not in msgspec.json.encode(first).decode()
    file.write_text('log_level = "warn"\nproxy_token = "running-token-0123456789"\n')
    code, _, err = done(command(running, "reload", **token))
    assert (code, err) == (0, "")
    answers = [in_force(running, **token)["settings"] for _ in range(6)]
    assert {each["log_level"]["value"] for each in answers} == {"warning"}
    assert {each["holdout"]["since"] for each in answers} == {settings["holdout"]["since"]}
    code, out, err = done(command(running, "config", "show", "--running", HEADROOM_HOLDOUT="0.5", **token))
    assert (code, "running-token" in out) == (0, False)
    assert "HEADROOM_HOLDOUT: the server runs with 0.25 (environment HEADROOM_HOLDOUT), here it is 0.5" in err


def test_upstreams_that_are_the_same_here_and_in_the_running_server_are_no_difference(server: Start) -> None:
    upstreams = '{"local": {"url": "http://127.0.0.1:8000", "api": "openai", "models": ["llama-*"]}}'
    for given in ({}, {"HEADROOM_UPSTREAMS": upstreams}):
        running = server(**given)
        for words in (("check-config",), ("config", "show", "--running")):
            code, out, err = done(command(running, *words, **given))
            assert (code, "HEADROOM_UPSTREAMS: " in out + err) == (0, False), err


def test_the_server_of_a_configuration_is_recognised_on_its_port(server: Start, tmp_path: Path) -> None:
    running = server()
    code, out, err = done(command(running, "check-config", HEADROOM_BACKLOG="77"))
    assert (code, f"A server runs with it (master {running.master_pid})." in out) == (0, True)
    assert "Address already in use" not in err
    assert "HEADROOM_BACKLOG: the server runs with 2048 (default), here it is 77" in err
    assert "only a restart applies it" in err
    other = {"HEADROOM_STATE_DIR": str(tmp_path / "other")}
    code, out, err = done(command(running, "check-config", **other))
    assert (code, "A server of this kind listens on port" in out, "in use" in err) == (0, True, False)
    code, out, _ = done(command(running, "doctor", "--offline", "--json", HEADROOM_HOLDOUT="0.5"))
    found = [each for each in msgspec.json.decode(out) if each["subject"] == "in force"]
    assert any("HEADROOM_HOLDOUT: the server runs with 0 (default), here it is 0.5" in each["text"] for each in found)
    assert not [each for each in msgspec.json.decode(out) if each["state"] == "problem"]


def test_reload_refuses_what_it_cannot_apply(server: Start, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("backlog = 100\n")
    running = server(HEADROOM_CONFIG=str(file))
    before = set(running.worker_pids)
    code, _, err = done(command(running, "reload", "--log-level", "debug"))
    assert (code, "--log-level cannot be handed to a server that runs" in err) == (1, True)
    code, _, err = done(command(running, "reload", "--backlog", "5"))
    assert (code, "--backlog cannot be changed while the server runs" in err) == (1, True)
    file.write_text("backlog = 200\n")
    code, _, err = done(command(running, "reload", HEADROOM_CONFIG=str(file)))
    assert (code, "HEADROOM_BACKLOG: the server runs with 100" in err, "only a restart" in err) == (1, True, True)
    assert set(running.worker_pids) == before


def test_reload_says_that_it_could_not_compare_and_reloads(server: Start) -> None:
    running = server(HEADROOM_PROXY_TOKEN="a-token-of-the-server")
    before = set(running.worker_pids)
    code, _, err = done(command(running, "reload", HEADROOM_PROXY_TOKEN="another-token-of-this-shell"))
    assert code == 0
    assert "it answers /stats with status" in err
    assert "so a setting that only a restart applies may have changed here" in err
    assert not before & set(running.worker_pids)


def test_drain_waits_for_open_requests_and_tells_of_them(server: Start, held: bytes, upstream: Upstream) -> None:
    running = server()
    with Caller(running.port) as caller:
        caller.write(held)
        answer = caller.begin()
        draining = command(running, "drain")
        assert draining.stdout is not None
        assert draining.stdout.readline() == "1 requests in flight\n"
        eventually(lambda: "draining" in running.log.read_text())
        upstream.release("it")
        assert caller.finish(answer).complete
    code, out, _ = done(draining)
    assert code == 0
    assert out.endswith("The server has ended.\n")
    assert running.process.wait(5) == 0


def test_doctor_sends_a_request_through_the_real_path(server: Start, upstream: Upstream) -> None:
    running = server()
    code, out, err = done(command(running, "doctor", "--offline", "--json"))
    found = {each["subject"]: each for each in msgspec.json.decode(out)}
    assert (code, err) == (0, "")
    assert {found[subject]["state"] for subject in ("configuration", "server", "self-test")} == {"ok"}
    assert f"master {running.master_pid}" in found["server"]["text"]
    assert upstream.requests == [], "nothing of it reaches the server that runs or its upstreams"


def test_doctor_says_whether_a_client_has_come(server: Start) -> None:
    running = server(HEADROOM_WORKERS="1")

    def clients() -> str:
        out = done(command(running, "doctor", "--offline", "--json"))[1]
        return next(str(each["text"]) for each in msgspec.json.decode(out) if each["subject"] == "clients")

    assert "no conversation has come yet" in clients()
    asked = ask(running.port, "POST", "/v1/messages", ((b"user-agent", b"claude-cli/2.1.0"),), b'{"messages":[]}')
    assert asked.status == 200
    assert clients() == "bodies of conversations since the start: 1 (claude-cli/2.1.0 1)"


def test_doctor_says_which_upstream_cannot_be_reached_and_what_to_do(server: Start, upstream: Upstream) -> None:
    running = server()
    targets = dict.fromkeys(TARGETS, upstream.url) | {TARGETS[0]: f"http://127.0.0.1:{free_port()}"}
    code, out, _ = done(command(running, "doctor", "--json", **targets))
    found = {each["subject"]: each for each in msgspec.json.decode(out)}
    assert code == 1
    assert found[TARGETS[0]]["state"] == "problem"
    assert "firewall" in found[TARGETS[0]]["advice"]
    assert {found[name]["state"] for name in TARGETS[1:]} == {"ok"}
