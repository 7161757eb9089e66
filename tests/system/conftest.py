"""The real gunicorn, as an operator starts it, before a fake upstream."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.processes import Server, free_port, started
from bench.stacks import ours_environment
from tests.fakes.upstream import Upstream

Start = Callable[..., Server]
ARGUMENTS = [sys.executable, "-m", "gunicorn", "-c", "gunicorn_conf.py"]


@contextlib.contextmanager
def starting(upstream_url: str, folder: Path) -> Iterator[Start]:
    """A function that starts servers, each ended with the block.

    Its keywords are environment variables on top of: 2 workers, every API's target the fake upstream.
    """
    with contextlib.ExitStack() as running:

        def start(ready_path: str = "/readyz", **environment: str) -> Server:
            port = int(environment.get("HEADROOM_PORT") or free_port())
            place = folder / str(port)
            place.mkdir(exist_ok=True)
            settings = ours_environment(upstream_url, port, place) | {"HEADROOM_WORKERS": "2"} | environment
            return running.enter_context(started(ARGUMENTS, port, place / "log", ready_path, settings))

        yield start


@pytest.fixture
def server(upstream: Upstream, tmp_path: Path) -> Iterator[Start]:
    """`server(HEADROOM_WORKERS="3", ...)` starts one before `upstream` and waits until it is ready."""
    with starting(upstream.url, tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def shared_server(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with two workers for all tests of a module that do not harm it."""
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("server")) as start:
        yield start()
