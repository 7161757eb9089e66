"""From settings to a store."""

import importlib
import sys
from pathlib import Path

import pytest

from proxy_pkg.store.contract import Rate
from proxy_pkg.store.open_store import StoreOptions, open_store
from tests.store.servers import RedisServer


async def test_with_a_url_the_fleet_answers(tmp_path: Path, redis_server: RedisServer) -> None:
    options = StoreOptions(str(tmp_path), 1 << 20, redis_server.url, "opening:", 1000, 2)
    store, problem = open_store(options, pytest.fail)
    assert problem == ""
    assert (await store.acquire([Rate("a", 1, 1, 60)])).scope == "fleet"
    await store.close()


async def test_without_one_this_machine_does(tmp_path: Path) -> None:
    store, problem = open_store(StoreOptions(str(tmp_path), 1 << 20), pytest.fail)
    assert problem == ""
    assert (await store.acquire([Rate("a", 1, 1, 60)])).scope == "machine"
    assert not store.reached
    await store.close()


@pytest.mark.parametrize(
    ("url", "warning"),
    [("http://cache", "cannot be used"), ("rediss://:hunter2@cache?ssl_ca_certs=/missing", "")],
)
async def test_a_url_that_cannot_be_used_leaves_this_machine_by_itself(tmp_path: Path, url: str, warning: str) -> None:
    losses: list[str] = []
    options = StoreOptions(str(tmp_path), 1 << 20, url)
    store, problem = open_store(options, lambda operation, reason: losses.append(reason))
    assert warning in problem
    assert "hunter2" not in problem
    assert (await store.acquire([Rate("a", 1, 1, 60)])).scope == "machine"
    await store.close()


async def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "redis"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("proxy_pkg.store.redis_client", "proxy_pkg.store.redis"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    importlib.invalidate_caches()
    store, problem = open_store(StoreOptions(str(tmp_path), 1 << 20, "redis://cache"), pytest.fail)
    assert "make extras" in problem
    assert (await store.acquire([Rate("a", 1, 1, 60)])).granted
    await store.close()
