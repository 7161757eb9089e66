"""Gunicorn's hooks: what the master does before it forks, and what a worker is given."""

import logging
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from proxy_pkg.config.blob import pack
from proxy_pkg.config.load import load
from proxy_pkg.config.origins import at_start
from proxy_pkg.server import hooks

LIBRARY_THREAD = """
import ctypes
from proxy_pkg.server.hooks import hazards
assert not list(hazards(())), list(hazards(()))
libc = ctypes.CDLL(None)
libc.pthread_create(ctypes.byref(ctypes.c_ulong()), None, ctypes.cast(libc.pause, ctypes.c_void_p), None)
print(*hazards(()))
"""


class Arbiter:
    """As much of gunicorn's master as the hooks see."""

    def __init__(self) -> None:
        self.log = logging.getLogger("tests.arbiter")
        self.load_table, self.handover = 2, 3
        self.sockets_at_start = hooks.open_sockets()

    def slot(self) -> int:
        return 1


class Worker:
    settings: Any = None

    def __init__(self, *listeners: socket.socket) -> None:
        self.sockets = listeners

    def notify(self) -> None:
        return


def test_a_worker_gets_the_settings_that_the_master_packed() -> None:
    settings = structs.replace(load({}).settings, proxy_token="secret-of-the-operator")
    worker = Worker()
    origins = at_start({"port": "default"})
    hooks.post_fork(worker, pack(settings, origins))
    assert (worker.settings, worker.origins) == (settings, origins)


def test_the_state_directory_is_made_for_us_alone(tmp_path: Path) -> None:
    settings = structs.replace(load({}).settings, state_dir=str(tmp_path / "state"))
    arbiter: Any = Arbiter()
    hooks.on_starting(arbiter, settings)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert arbiter.state_lock is not None


def test_a_state_directory_that_cannot_be_used_ends_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    settings = structs.replace(load({}).settings, state_dir=str(tmp_path / "file"))
    with pytest.raises(SystemExit) as ended:
        hooks.on_starting(Arbiter(), settings)
    assert ended.value.code == 1
    assert str(tmp_path / "file") in caplog.text


def test_a_thread_in_the_master_is_told_of_before_a_fork(caplog: pytest.LogCaptureFixture) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="left-behind")
    thread.start()
    try:
        hooks.pre_fork(Arbiter(), Worker())
    finally:
        stop.set()
        thread.join()
    assert "left-behind" in caplog.text


def test_a_connection_in_the_master_is_told_of_before_a_fork(caplog: pytest.LogCaptureFixture) -> None:
    master = Arbiter()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hooks.pre_fork(master, Worker(listener))
        assert "sockets are open" not in caplog.text
        with socket.create_connection(listener.getsockname()) as connection:
            hooks.pre_fork(master, Worker(listener))
            assert f"descriptors [{connection.fileno()}]" in caplog.text


def test_a_thread_of_a_library_is_found_too() -> None:
    said = subprocess.run([sys.executable, "-c", LIBRARY_THREAD], capture_output=True, text=True, timeout=30)
    assert "2 threads run (all but one of a library)" in said.stdout, said
