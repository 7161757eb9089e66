"""A worker process for tests of the embedded engine: `python worker.py STATE_DIR WORK [ARGUMENT]`."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from proxy_pkg.store.contract import Acquisition, Budget, Claim, Lease, Rate, StoreError
from proxy_pkg.store.embedded import Embedded


async def bucket(store: Embedded, attempts: str) -> None:
    """Take from one bucket so many times; print how many were granted."""
    claims = [Rate("all", 1, 600, 3600), Budget("money", 3, 0, 3600)]
    print(sum([await patiently(store.acquire, claims) for _ in range(int(attempts))]))


async def patiently(acquire: Callable[..., Awaitable[Acquisition]], claims: list[Claim], force: bool = False) -> bool:
    """Take, again where a machine that has more to do than CPUs kept the lock too long."""
    while True:
        try:
            return (await acquire(claims, force=force)).granted
        except StoreError as error:
            if error.reason != "busy":
                raise
            await asyncio.sleep(0.1)


async def spend(store: Embedded, _: str) -> None:
    """Charge, enter and leave for ever, each acknowledged by a byte once it is done."""
    number = 0
    while True:
        lease = Lease("room", f"{number}", 0, b"note" * 100)
        await patiently(store.acquire, [Budget("money", 1, 0, 3600), Rate("r", 1, 0, 3600), lease], force=True)
        sys.stdout.write(".")
        sys.stdout.flush()
        await store.append("ring", [b"%d" % number] * 3)
        if number % 5:
            await store.release([lease])
        if number % 50 == 0:
            await values(store, number)
        number += 1


async def values(store: Embedded, number: int) -> None:
    """A value and a total; a disk that is busy with others is no fault."""
    try:
        await store.put(f"k{number}", b"x" * 5000, 3600)
        await store.add("t", {"n": 1}, 3600)
    except StoreError as error:
        if error.reason not in ("busy", "timeout"):
            raise


async def lease(store: Embedded, name: str) -> None:
    """Be there until killed."""
    acquired = await store.acquire([Lease("room", name, 2, b"note")])
    print(acquired.granted, flush=True)
    await asyncio.sleep(60)


async def main() -> None:
    store = Embedded(sys.argv[1])
    assert not store.problem, store.problem
    print("ready", flush=True)
    sys.stdin.readline()
    await {"bucket": bucket, "spend": spend, "lease": lease}[sys.argv[2]](store, sys.argv[3])
    await store.close()


asyncio.run(main())
