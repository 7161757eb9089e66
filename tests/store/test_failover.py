"""A primary dies under load and a replica takes over, by Sentinels and in a Cluster: nobody waits, limits go on."""

import asyncio
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from proxy_pkg.store.contract import Budget, Lease, Rate
from proxy_pkg.store.embedded import Embedded
from proxy_pkg.store.fallback import Fallback
from proxy_pkg.store.redis import Redis
from tests.store.conftest import Make
from tests.store.servers import RedisServer, engine, free_port
from tests.store.test_redis import soon

TAKERS = 8
SPENT_MAX = 1_000_000


class Load:
    """Takers that go on until told to stop. `scopes` says with whom each claim was agreed on."""

    def __init__(self, store: Fallback) -> None:
        self.store = store
        self.scopes: Counter[str] = Counter()
        self.refused = 0
        self._stopped = False
        self._tasks = [asyncio.create_task(self._take(number)) for number in range(TAKERS)]

    @property
    def total(self) -> int:
        return self.scopes.total()

    async def _take(self, number: int) -> None:
        lease = Lease("here", f"request {number}", 2 * TAKERS)
        while not self._stopped:
            acquired = await self.store.acquire([Rate("r", 1, SPENT_MAX, 3600), Budget("b", 1, SPENT_MAX, 3600), lease])
            self.scopes[acquired.scope] += 1
            self.refused += not acquired.granted
            await self.store.release([lease])
            await asyncio.sleep(0.002)

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)


async def spent(store: Redis) -> int:
    return (await store.acquire([Budget("b", 0, 0, 3600)], force=True)).states[0].used


async def followed(primary: RedisServer) -> bool:
    """Whether a replica has all that was written so far; a new one is told nothing for up to a second."""
    asking = engine(primary.url)
    await asking._client.execute_command("SET", "test:{claims}:written", "1")
    replicas = await asking._client.execute_command("WAIT", 1, 100)
    await asking.close()
    return bool(replicas == 1)


async def survived(url: str, primary: RedisServer, fault: str, tmp_path: Path) -> None:
    """Load before, while and after `primary` is gone: everything is granted, and what was taken is counted."""
    shared = engine(url, timeout_ms=500)
    losses: Counter[str] = Counter()
    store = Fallback(Embedded(str(tmp_path)), shared, 2, lambda operation, reason: losses.update([reason]))

    async def agreed() -> bool:
        return (await store.acquire([Rate("agreed", 1, 0, 3600)])).scope == "fleet"

    await soon(agreed)
    load = Load(store)
    while load.scopes["fleet"] < 50:
        await asyncio.sleep(0.01)
    await soon(lambda: followed(primary))
    primary.send(signal.SIGSTOP) if fault == "paused" else primary.stop()
    while load.scopes["machine"] < 50:
        await asyncio.sleep(0.01)
    before = load.scopes["fleet"]
    async with asyncio.timeout(30):
        while load.scopes["fleet"] < before + 50:
            await asyncio.sleep(0.01)
    await load.stop()
    assert load.refused == 0
    assert set(load.scopes) == {"fleet", "machine"}
    assert set(losses) <= {"timeout", "unreachable", "refused", "open"}

    async def paid() -> bool:
        # A call that ran into its timeout may have been done: a few count twice, or were not replicated.
        await store.acquire([Rate("agreed", 1, 0, 3600)])
        return abs(await spent(shared) - load.total) <= 3 * TAKERS

    await soon(paid)
    await store.close()


async def test_a_failover_by_sentinels_goes_unseen(make: Make, tmp_path: Path) -> None:
    primary = make()
    replica = engine(make("--replicaof", f"127.0.0.1 {primary.port}").url)
    port = free_port()
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nsentinel monitor main 127.0.0.1 {primary.port} 1\n"
        "sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 2000\n"
    )

    async def follows() -> bool:
        return "connected" in str(await replica._client.execute_command("ROLE"))

    await soon(follows)
    # Only now, since a Sentinel looks for replicas when it begins, and then every ten seconds.
    sentinel = engine(make(str(configuration), "--sentinel", port=port, plain=False).url)

    async def is_known() -> bool:
        known = await sentinel._client.execute_command("SENTINEL", "REPLICAS", "main")
        return bool(known) and known[0][known[0].index(b"master-link-status") + 1] == b"ok"

    await soon(is_known)
    for each in (replica, sentinel):
        await each.close()
    await survived(f"redis+sentinel://127.0.0.1:{port}/main", primary, "paused", tmp_path)


async def test_a_failover_in_a_cluster_goes_unseen(make: Make, tmp_path: Path) -> None:
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "500")
    nodes = [make(*options) for _ in range(4)]
    admins = [engine(node.url) for node in nodes]

    async def asked(node: int, *command: object) -> Any:
        return await admins[node]._client.execute_command(*command)

    slot = int(await asked(0, "CLUSTER", "KEYSLOT", "test:{claims}:"))
    ranges = [("0", "5460"), ("5461", "10922"), ("10923", "16383")]
    for node, (first, last) in enumerate(ranges):
        await asked(node, "CLUSTER", "ADDSLOTSRANGE", first, last)
    for node in range(1, 4):
        await asked(node, "CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
    owner = next(node for node, (first, last) in enumerate(ranges) if int(first) <= slot <= int(last))
    name = await asked(owner, "CLUSTER", "MYID")

    async def follows() -> bool:
        try:
            await asked(3, "CLUSTER", "REPLICATE", name)
        except Exception:  # noqa: BLE001  # the node is not known there yet
            return False
        return True

    async def whole() -> bool:
        states = [str(await asked(node, "CLUSTER", "INFO")) for node in range(4)]
        roles = str(await asked(3, "ROLE"))
        return all("cluster_known_nodes:4" in each or "'4'" in each for each in states) and "connected" in roles

    await soon(follows)
    await soon(whole)
    for admin in admins:
        await admin.close()
    others = ",".join(f"127.0.0.1:{node.port}" for node in nodes if node is not nodes[owner])
    await survived(f"redis+cluster://{others}", nodes[owner], "killed", tmp_path)
