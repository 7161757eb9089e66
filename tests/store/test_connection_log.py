"""A Redis that is far away is joined all the same, and the log says what its state means: one line for each change."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from proxy_pkg.store.address import parse
from proxy_pkg.store.contract import Rate, StoreError
from proxy_pkg.store.redis import Redis
from proxy_pkg.store.redis_client import connect
from tests.fakes.distance import Distance, far_away
from tests.fakes.tunnel import private_ca
from tests.store.servers import RedisServer, free_port

ONE_WAY_SECONDS = 0.15
PASSWORD = "canary-password"
LIMIT_SECONDS = 20
Claim = [Rate("k", 1, 0, 60)]


def opened(url: str, timeout_ms: int = 500) -> Redis:
    address = parse(url)
    return Redis(connect(address, 5), "test:", timeout_ms, 5, address.shown)


async def takes(store: Redis) -> bool:
    try:
        await store.acquire(Claim)
    except StoreError:
        return False
    return True


async def soon(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not holds():
            await asyncio.sleep(0.02)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, "proxy_pkg")
    return lambda: [record.getMessage() for record in caplog.records if record.getMessage().startswith("Redis at")]


@pytest.fixture
async def far(tmp_path: Path) -> AsyncIterator[tuple[Distance, str]]:
    """A Redis with TLS and a password, a round trip of 60 ms away."""
    authority, papers = private_ca(tmp_path, "localhost")
    port = free_port()
    options = ["--tls-port", str(port), "--port", "0", "--tls-auth-clients", "no", "--requirepass", PASSWORD]
    options += ["--tls-cert-file", str(papers), "--tls-key-file", str(papers), "--tls-ca-cert-file", str(authority)]
    server = RedisServer(tmp_path, *options, port=port, plain=False)
    try:
        async with far_away(port, ONE_WAY_SECONDS) as (between, door):
            yield between, f"rediss://:{PASSWORD}@127.0.0.1:{door}?ssl_ca_certs={authority}"
    finally:
        server.stop()


async def test_a_redis_far_away_is_joined_although_connecting_takes_longer_than_a_call(
    far: tuple[Distance, str], lines: Callable[[], list[str]]
) -> None:
    between, url = far
    store = opened(url)
    try:
        assert not await takes(store), "the first call does not wait until it is connected"
        async with asyncio.timeout(LIMIT_SECONDS):
            while not await takes(store):
                await asyncio.sleep(0.02)
        assert [await takes(store) for _ in range(5)] == [True] * 5
        assert all(await asyncio.gather(*(takes(store) for _ in range(2)))) or store.reached
        assert "is joined" in lines()[-1]
        assert PASSWORD not in " ".join(lines())
        assert between.connections <= 6, "no half-made connection is thrown away"
    finally:
        await store.close()


async def test_each_change_is_one_line_that_says_what_it_means(tmp_path: Path, lines: Callable[[], list[str]]) -> None:
    server = RedisServer(tmp_path)
    store = opened(server.url)
    try:
        await soon_taken(store)
        assert lines() == [
            f"Redis at 127.0.0.1:{server.port} is joined: limits, budgets and decisions are shared with its other "
            "servers"
        ]
        server.stop()
        for _ in range(20):
            await takes(store)
        assert len(lines()) == 2
        assert "cannot be reached" in lines()[1] and "limits and budgets hold for this server by itself" in lines()[1]
        server.start()
        await soon(lambda: store.reached)
        await soon_taken(store)
        assert len(lines()) == 3 and "is joined again" in lines()[2]
        await store._client.execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
        for _ in range(5):
            await takes(store)
        assert len(lines()) == 4 and "is read-only" in lines()[3] and "HEADROOM_REDIS_URL" in lines()[3]
    finally:
        await store.close()
        server.stop()


async def test_a_redis_that_is_too_far_is_said_to_be_slow(tmp_path: Path, lines: Callable[[], list[str]]) -> None:
    server = RedisServer(tmp_path)
    try:
        async with far_away(server.port, 0.1) as (_, door):
            store = opened(f"redis://127.0.0.1:{door}", 50)
            for _ in range(4):
                await takes(store)
            await soon(lambda: len(lines()) == 1)
            assert "it is not joined yet" in lines()[0] and "HEADROOM_REDIS_TIMEOUT_MS" in lines()[0]
            await store.close()
    finally:
        server.stop()


async def test_a_wrong_password_is_said(tmp_path: Path, lines: Callable[[], list[str]]) -> None:
    server = RedisServer(tmp_path, "--requirepass", "other")
    store = opened(f"redis://:{PASSWORD}@127.0.0.1:{server.port}")
    try:
        assert not await takes(store)
        assert len(lines()) == 1 and "refuses us" in lines()[0] and PASSWORD not in lines()[0]
    finally:
        await store.close()
        server.stop()


async def soon_taken(store: Redis) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not await takes(store):
            await asyncio.sleep(0.02)


async def test_calls_share_the_connection_that_is_made_while_another_one_takes_long(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--requirepass", PASSWORD)
    try:
        async with far_away(server.port, 0.0) as (between, door):
            store = opened(f"redis://:{PASSWORD}@127.0.0.1:{door}", 2000)
            await soon_taken(store)
            between.delay_new_seconds = 60.0
            assert all(await asyncio.gather(*(takes(store) for _ in range(20))))
            assert between.connections == 2, "one that serves all of them, and one on its way"
            await store.close()
    finally:
        server.stop()
