"""Stores for the tests of this room: every engine, opened and closed."""

import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from proxy_pkg.store.contract import Store
from proxy_pkg.store.embedded import Embedded
from proxy_pkg.store.fallback import Fallback
from proxy_pkg.store.redis import Redis
from tests.store.memory import Memory
from tests.store.servers import RedisServer, engine

Make = Callable[..., RedisServer]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


def unexpected(operation: str, reason: str) -> None:
    raise AssertionError(f"{operation} was lost: {reason}")


@pytest.fixture(params=["memory", "embedded", "private", "redis", "machine", "fleet"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Each engine, and what a worker makes of them: `machine` without a fleet, `fleet` with Redis."""
    prefix = f"test:{secrets.token_hex(4)}:"
    made: Store
    if request.param == "memory":
        made = Memory(time.monotonic)
    elif request.param == "embedded":
        made = Embedded(str(tmp_path))
    elif request.param == "private":
        made = Embedded("")
    elif request.param == "machine":
        made = Fallback(Embedded(str(tmp_path)), None, 1, unexpected)
    else:
        made = engine(request.getfixturevalue("redis_server").url, prefix)
        if request.param == "fleet":
            made = Fallback(Embedded(str(tmp_path)), made, 2, unexpected)
    yield made
    await made.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[RedisServer] = []

    def maker(*options: str, port: int = 0, plain: bool = True) -> RedisServer:
        directory = tmp_path / f"redis{len(made)}"
        directory.mkdir()
        made.append(RedisServer(directory, *options, port=port, plain=plain))
        return made[-1]

    yield maker
    for server in made:
        with suppress(ProcessLookupError, AssertionError):
            server.send(signal.SIGCONT)
        server.stop()


@pytest.fixture
async def closing() -> AsyncIterator[list[Redis]]:
    stores: list[Redis] = []
    yield stores
    for store in stores:
        await store.close()
