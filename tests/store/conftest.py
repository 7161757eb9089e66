"""Stores for the tests of this room: every engine, opened and closed."""

import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from proxy_pkg.store.contract import Store
from proxy_pkg.store.embedded import Embedded
from proxy_pkg.store.fallback import Fallback
from tests.store.memory import Memory
from tests.store.servers import RedisServer, engine


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
