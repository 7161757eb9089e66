"""What a worker holds: the store of the fleet if there is one, the store of this machine behind it, and no exceptions.

Whatever fails, the answer is one that lets the request go on, and `lost` is told which operation and why. While the
fleet's store is out of reach:

    rates and leases   hold for this machine by itself, at its share of each limit: one part in `servers`; those who
                      leave meanwhile are reported to the fleet when it is back, lest they hold their places there
    budgets           start from what the fleet had last spent; of what was left then, this machine has its share. A
                      store that comes back empty learns what each worker had last seen of it
    rings             take and show what is this machine's own
    totals            keep what is added in this worker, and show it on top of what was last seen
    values            are kept on this machine, and found there as long as this worker lives, where they are put and
                      asked for one by one. What many are put at once is not kept, nor looked for here: whoever asks
                      for many does so while a request waits, and has files of its own

When it is back, what was spent, added and ended meanwhile is written by a task of its own, at most DEBTS_MAX keys per
worker; a worker that ends before that takes its part along. A call that ran into its timeout may have been done all
the same, so that writing may count it twice: at most the calls that were under way when the store fell silent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final, TypeVar

from msgspec import structs

from proxy_pkg.store.contract import (
    CLAIMS_MAX,
    Acquisition,
    Budget,
    Claim,
    ClaimState,
    Lease,
    LeaseHolder,
    Scope,
    Store,
    StoreError,
)
from proxy_pkg.store.write_behind import WriteBehind

NOTHING_FITS: Final = -1
_UNKNOWN: Final = ClaimState(0, 0, 0, 0)

T = TypeVar("T")
Lost = Callable[[str, str], None]
"""Called with the operation (acquire, release, …) and the reason of a StoreError."""


class Fallback:
    """A Store that never raises, made of that of this machine and, where there is one, that of the fleet."""

    def __init__(
        self, local: Store, shared: Store | None, servers: int, lost: Lost, local_scope: Scope = "machine"
    ) -> None:
        self._local = local
        self._shared = shared
        self._servers = servers
        self._local_scope = local_scope
        self._lost = lost
        self._write_behind = WriteBehind()
        self._flushing: asyncio.Task[None] | None = None
        self._here: set[tuple[str, str]] = set()
        """Leases and holds that were taken on this machine."""
        self._ended: list[Lease] = []
        self._releasing: asyncio.Task[None] | None = None
        self._values_here = False
        self.reached = shared is not None
        """True while the fleet's store answers; False where there is none."""

    @property
    def has_fleet(self) -> bool:
        """Whether there is a store of the fleet, within reach or not."""
        return self._shared is not None

    @property
    def scope(self) -> Scope:
        """With whom limits are shared now."""
        return "fleet" if self.reached else self._local_scope

    async def acquire(self, claims: Sequence[Claim], *, force: bool = False) -> Acquisition:
        if self._shared is not None:
            try:
                acquired = await self._shared.acquire(self._write_behind.reminding(claims), force=force)
            except StoreError as error:
                self._missed("acquire", error)
            else:
                self._write_behind.saw(claims, acquired.states)
                self._answered()
                await self._free_here(claims)
                return acquired
        try:
            return await self._acquire_here(claims, force)
        except StoreError as error:
            self._lost("acquire", error.reason)
            return Acquisition(True, -1, (_UNKNOWN,) * len(claims), "none")

    async def release(self, leases: Sequence[Lease]) -> None:
        """End leases: first on this machine, where a fleet that answers late must not keep places taken; then in the
        fleet, for all calls that come meanwhile at once.
        """
        if self._shared is None:
            await self._safely("release", self._local.release(leases), None)
            return
        if mine := [lease for lease in leases if (lease.key, lease.name) in self._here]:
            self._here.difference_update((lease.key, lease.name) for lease in mine)
            await self._safely("release", self._local.release(mine), None)
        # Those of this machine too: a call that ran into its timeout may have been done, and then the fleet knows them.
        self._ended += leases
        if self._releasing is None or self._releasing.done():
            self._releasing = asyncio.get_running_loop().create_task(self._release(self._shared))
        await asyncio.shield(self._releasing)

    async def _release(self, fleet: Store) -> None:
        while self._ended:
            ended, self._ended = self._ended, []
            if not await self._done("release", fleet.release(ended)):
                self._write_behind.enqueue_ends(ended)

    async def leases(self, key: str) -> list[LeaseHolder]:
        if self._shared is not None:
            found = await self._from_fleet("leases", self._shared.leases(key), None)
            if found is not None:
                return found
        return await self._safely("leases", self._local.leases(key), [])

    async def append(self, ring: str, notes: Sequence[bytes]) -> None:
        if self._shared is None or not await self._done("append", self._shared.append(ring, notes)):
            await self._safely("append", self._local.append(ring, notes), None)

    async def recent(self, ring: str, count: int) -> list[bytes]:
        if self._shared is not None:
            found = await self._from_fleet("recent", self._shared.recent(ring, count), None)
            if found is not None:
                return found
        return await self._safely("recent", self._local.recent(ring, count), [])

    async def add(self, key: str, amounts: Mapping[str, int], ttl_s: int) -> None:
        if self._shared is None:
            await self._safely("add", self._local.add(key, amounts, ttl_s), None)
        elif not await self._done("add", self._shared.add(key, amounts, ttl_s)):
            self._write_behind.enqueue_totals(key, amounts, ttl_s)

    async def totals(self, key: str) -> dict[str, int]:
        if self._shared is None:
            return await self._safely("totals", self._local.totals(key), {})
        found = await self._from_fleet("totals", self._shared.totals(key), None)
        return self._write_behind.totals(key, found)

    async def put(self, key: str, value: bytes, ttl_s: int, *, keep: bool = False) -> bytes:
        if self._shared is not None:
            held = await self._from_fleet("put", self._shared.put(key, value, ttl_s, keep=keep), None)
            if held is not None:
                return held
            self._values_here = True
        return await self._safely("put", self._local.put(key, value, ttl_s, keep=keep), value)

    async def get(self, key: str) -> bytes | None:
        if self._shared is not None:
            value = await self._from_fleet("get", self._shared.get(key), None)
            if value is not None or not self._values_here:
                return value
        return await self._safely("get", self._local.get(key), None)

    async def put_many(self, items: Mapping[str, bytes], ttl_s: int, *, keep: bool = False) -> dict[str, bytes]:
        if self._shared is not None:
            return await self._from_fleet("put_many", self._shared.put_many(items, ttl_s, keep=keep), dict(items))
        return await self._safely("put_many", self._local.put_many(items, ttl_s, keep=keep), dict(items))

    async def get_many(self, keys: Sequence[str], renew_s: int = 0) -> dict[str, bytes]:
        nothing: dict[str, bytes] = {}
        if self._shared is not None:
            return await self._from_fleet("get_many", self._shared.get_many(keys, renew_s), nothing)
        return await self._safely("get_many", self._local.get_many(keys, renew_s), nothing)

    async def delete(self, key: str) -> None:
        if self._shared is not None:
            await self._from_fleet("delete", self._shared.delete(key), None)
        if self._shared is None or self._values_here:
            await self._safely("delete", self._local.delete(key), None)

    async def close(self) -> None:
        if self._releasing is not None:
            await self._releasing
        if self._flushing is not None:
            self._flushing.cancel()
            with suppress(asyncio.CancelledError):
                await self._flushing
        for store in (self._shared, self._local):
            if store is not None:
                await self._safely("close", store.close(), None)

    async def _free_here(self, claims: Sequence[Claim]) -> None:
        """Let go of what was reserved on this machine while the fleet was out of reach."""
        freed = [
            Budget(claim.key, 0, 0, claim.ttl_s, freed=names)
            for claim in claims
            if isinstance(claim, Budget)
            if (names := tuple(name for name in claim.freed if (claim.key, name) in self._here))
        ]
        if freed:
            self._here.difference_update((claim.key, name) for claim in freed for name in claim.freed)
            await self._safely("acquire", self._local.acquire(freed, force=True), None)

    async def _acquire_here(self, claims: Sequence[Claim], force: bool) -> Acquisition:
        if self._shared is None:
            return await self._local.acquire(claims, force=force)
        acquired = await self._local.acquire([self._share(claim) for claim in claims], force=force)
        if acquired.granted:
            self._write_behind.enqueue_claims(claims)
            for claim in claims:
                if isinstance(claim, Lease) or (isinstance(claim, Budget) and claim.hold):
                    self._here.add((claim.key, claim.name))
                if isinstance(claim, Budget) and claim.freed:
                    self._here.difference_update((claim.key, name) for name in claim.freed)
        states = tuple(
            structs.replace(state, used=state.used + self._write_behind.spent(claim), remaining=state.remaining)
            for claim, state in zip(claims, acquired.states, strict=True)
        )
        return structs.replace(acquired, states=states)

    def _share(self, claim: Claim) -> Claim:
        if not claim.limit:
            return claim
        left = claim.limit - self._write_behind.spent(claim)
        least = NOTHING_FITS if isinstance(claim, Budget) else 1
        return structs.replace(claim, limit=max(least, left // self._servers) or least)

    async def _done(self, operation: str, call: Awaitable[None]) -> bool:
        """True if the fleet's store did it."""

        async def found() -> bool:
            await call
            return True

        return await self._from_fleet(operation, found(), False)

    async def _from_fleet(self, operation: str, call: Awaitable[T], otherwise: T) -> T:
        try:
            answer = await call
        except StoreError as error:
            self._missed(operation, error)
            return otherwise
        self._answered()
        return answer

    async def _safely(self, operation: str, call: Awaitable[T], otherwise: T) -> T:
        try:
            return await call
        except StoreError as error:
            self._lost(operation, error.reason)
            return otherwise

    def _missed(self, operation: str, error: StoreError) -> None:
        if error.reason != "size":  # which is the caller's fault
            self.reached = False
        self._lost(operation, error.reason)

    def _answered(self) -> None:
        self.reached = True
        if self._write_behind and (self._flushing is None or self._flushing.done()):
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        """Bring to the fleet what was spent, added and ended while it was out of reach."""
        assert self._shared is not None, "without a fleet there is nothing to owe"
        try:
            ended = self._write_behind.ends()
            await self._shared.release(ended)
            self._write_behind.flushed_ends(ended)
            claims = iter(self._write_behind.claims())
            while batch := list(islice(claims, CLAIMS_MAX)):
                await self._shared.acquire(batch, force=True)
                self._write_behind.flushed_claims(batch)
                back = [structs.replace(claim, cost=-claim.cost, least=0) for claim in batch]
                await self._safely("acquire", self._local.acquire(back, force=True), None)
            for key, amounts, ttl_s in self._write_behind.additions():
                await self._shared.add(key, amounts, ttl_s)
                self._write_behind.flushed_totals(key, amounts)
        except StoreError as error:
            self._missed("flush", error)
