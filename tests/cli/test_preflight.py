import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from proxy_pkg.config.load import load
from proxy_pkg.config.settings import Settings
from proxy_pkg.server import preflight


def settings(**changed: object) -> Settings:
    return structs.replace(load().settings, **changed)


def test_a_directory_that_does_not_exist_can_be_made_and_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    assert preflight.state_dir_usable(settings(state_dir=str(path))) == preflight.Findings()
    assert not path.parent.exists()


def test_a_private_directory_is_fine_and_left_empty(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir(0o700)
    assert preflight.state_dir_usable(settings(state_dir=str(path))) == preflight.Findings()
    assert list(path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_directory_that_others_can_enter_is_a_problem(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a"
    path.mkdir()
    path.chmod(mode)
    (problem,) = preflight.state_dir_usable(settings(state_dir=str(path))).problems
    assert f"chmod 700 {path}" in problem


def test_a_file_in_its_place_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("")
    for state_dir in (path, path / "b"):
        (problem,) = preflight.state_dir_usable(settings(state_dir=str(state_dir))).problems
        assert "not a directory" in problem.lower()


def test_a_place_where_nothing_can_be_made_is_a_problem() -> None:
    (problem,) = preflight.state_dir_usable(settings(state_dir="/proc/proxy/8787")).problems
    assert "/proc cannot be written" in problem


def test_a_parent_in_which_everyone_can_swap_it_is_a_problem(tmp_path: Path) -> None:
    parent = tmp_path / "open"
    parent.mkdir()
    parent.chmod(0o777)
    (problem,) = preflight.state_dir_usable(settings(state_dir=str(parent / "a"))).problems
    assert f"chmod +t {parent}" in problem
    parent.chmod(0o1777)
    assert preflight.state_dir_usable(settings(state_dir=str(parent / "a"))) == preflight.Findings()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to someone else")
def test_a_directory_of_another_user_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir(0o700)
    os.chown(path, 12345, 12345)
    (problem,) = preflight.state_dir_usable(settings(state_dir=str(path))).problems
    assert "12345" in problem and "chown" in problem
    (problem,) = preflight.state_dir_usable(settings(state_dir=str(path / "b"))).problems
    assert "12345" in problem


def test_a_name_that_is_not_of_this_machine_is_a_problem() -> None:
    (problem,) = preflight.port_free(settings(host="192.0.2.1")).problems
    assert "192.0.2.1 port" in problem and "HEADROOM_HOST must be" in problem


def test_a_port_that_another_server_holds_is_a_problem() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        (problem,) = preflight.port_free(settings(port=taken.getsockname()[1])).problems
    assert "Address already in use" in problem


def test_a_port_that_was_just_given_back_is_free() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # the server's side closes first and so keeps the port in TIME_WAIT
            client.recv(1)
    assert preflight.port_free(settings(port=port)) == preflight.Findings()


def test_a_port_that_the_service_manager_hands_over_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    assert preflight.port_free(settings(host="192.0.2.1")) == preflight.Findings()


def test_few_descriptors_are_a_warning_and_far_too_few_a_problem() -> None:
    enough = settings(limit_concurrency=500, max_connections=400)
    assert preflight.descriptors_needed(enough) == 1000
    assert preflight.descriptors_judged(enough, 1000) == preflight.Findings()
    assert preflight.descriptors_judged(enough, resource.RLIM_INFINITY) == preflight.Findings()
    few = preflight.descriptors_judged(settings(limit_concurrency=501, max_connections=400), 1000)
    assert few.problems == () and "1001 open files" in few.warnings[0]
    assert preflight.descriptors_judged(settings(limit_concurrency=4000, max_connections=1), 1000).problems


@pytest.fixture
def soft_limit_of_256() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_soft_limit_that_the_server_raises_by_itself_is_no_finding(soft_limit_of_256: None) -> None:
    assert preflight.descriptors_enough(settings()) == preflight.Findings()


def test_settings_that_are_uncertain_are_not_judged() -> None:
    faulty = settings(port=1, host="192.0.2.1", state_dir="/proc/x", limit_concurrency=10**6)
    assert len(preflight.inspect(faulty).problems) == 3
    uncertain = {"host", "state_dir", "limit_concurrency"}
    assert preflight.inspect(faulty, uncertain).problems == ()
