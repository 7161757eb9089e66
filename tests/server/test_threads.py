"""A worker that gets too few threads says so at its start, and one without a watchdog goes on."""

import faulthandler
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from bench.processes import StartError, free_port, started
from bench.stacks import ours_environment
from proxy_pkg.config.load import load
from proxy_pkg.server.worker import ProxyWorker, ThreadsShortError, prepare_threads

WITHOUT_THREADS = """
import sys, threading
def start(self): raise RuntimeError("can't start new thread")
threading.Thread.start = start
from gunicorn.app.wsgiapp import run
sys.argv[1:] = ["-c", "gunicorn_conf.py"]
run()
"""


async def test_threads_that_can_be_had_are_ended_again() -> None:
    await prepare_threads()
    assert not [thread for thread in threading.enumerate() if thread.name == "probe"]


async def test_too_few_threads_are_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    start, begun = threading.Thread.start, []

    def some(self: threading.Thread) -> None:
        if len(begun) == 3:
            raise RuntimeError("can't start new thread")
        begun.append(self)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", some)
    with pytest.raises(ThreadsShortError, match=r"gets 3 .*TasksMax"):
        await prepare_threads()
    assert not any(thread.is_alive() for thread in begun)


def test_a_server_that_gets_no_threads_ends_with_one_reason(tmp_path: Path) -> None:
    port = free_port()
    settings = ours_environment("http://127.0.0.1:9", port, tmp_path) | {"HEADROOM_WORKERS": "2"}
    arguments = [sys.executable, "-c", WITHOUT_THREADS]
    with (
        pytest.raises(StartError, match=r"exit status 3"),
        started(arguments, port, tmp_path / "log", "/readyz", settings),
    ):
        raise AssertionError("it serves")
    assert "raise the limit for processes" in (tmp_path / "log").read_text()


def test_a_heartbeat_without_a_watchdog_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise RuntimeError("unable to start watchdog thread")

    monkeypatch.setattr(faulthandler, "dump_traceback_later", refused)
    told: list[str] = []
    worker: Any = ProxyWorker.__new__(ProxyWorker)
    worker.settings = load({}).settings
    worker.log = type("Log", (), {"warning": lambda _, text, *__: told.append(text)})()
    monkeypatch.setattr(worker, "notify", lambda: told.append("alive"))
    worker.beat()
    worker.beat()
    assert told == ["alive", "no thread watches over this worker: %s", "alive"]
