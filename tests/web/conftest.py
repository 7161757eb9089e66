"""A server with one worker, and sockets through it."""

from collections.abc import Iterator
from typing import Any

import pytest
from websockets.asyncio.client import connect

from bench.processes import Server
from tests.fakes.sockets import MIB, PATH, Open
from tests.fakes.upstream import Upstream
from tests.system.conftest import starting


@pytest.fixture(scope="module")
def place(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("server")) as start:
        yield start(HEADROOM_WORKERS="1", HEADROOM_LOG_LEVEL="debug")


@pytest.fixture
def opened(place: Server) -> Open:
    """`async with opened(path, **options) as client`: a socket through the server."""

    def opening(path: str = PATH, **options: Any) -> Any:
        url = f"ws://127.0.0.1:{place.port}{path}"
        return connect(url, **{"proxy": None, "max_size": 128 * MIB, "ping_interval": None} | options)

    return opening
