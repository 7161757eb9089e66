"""The engine for several machines: one Redis, Valkey or compatible, with its Lua scripts. Needs the `redis` extra.

All keys of claims share one hash slot of a Cluster, because one step covers them all; the rest spreads over slots. A
call takes one round trip and at most the timeout. After failures in a row a breaker opens: then every call raises at
once, and a task of its own finds out when Redis is back, so that no request ever waits for that.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha1
from typing import Any, Final, TypeVar

from msgspec import convert
from redis.exceptions import (
    ConnectionError,
    NoScriptError,
    OutOfMemoryError,
    RedisClusterException,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from proxy_pkg.store import scripts
from proxy_pkg.store.breaker import Breaker
from proxy_pkg.store.connection_log import ConnectionLog
from proxy_pkg.store.connections import Connections
from proxy_pkg.store.contract import (
    LEASE_SECONDS_MAX,
    PERIOD_PARTS,
    RATE_COST_MAX,
    UNITS_MAX,
    VALUE_BYTES_MAX,
    Acquisition,
    Budget,
    Claim,
    ClaimState,
    Lease,
    LeaseHolder,
    Rate,
    StoreError,
    checked_claims,
    checked_many,
    checked_notes,
)
from proxy_pkg.store.redis_client import close

RENEW_SECONDS: Final = LEASE_SECONDS_MAX / 3
LEASES_AT_ONCE: Final = 100
SLOTS_AT_ONCE: Final = 8
CONNECT_SECONDS: Final = 5.0
"""For connecting; a probe may also look for a new primary meanwhile."""
LOOK_SECONDS: Final = 0.1
"""While the breaker is open: how often to see whether a probe is due."""
RING_SECONDS: Final = 7 * 86_400

T = TypeVar("T")
Held = TypeVar("Held")
Script = tuple[bytes, str]


def _script(text: str) -> Script:
    return text.encode(), sha1(text.encode(), usedforsecurity=False).hexdigest()


TAKE, RENEW, LEAVE, HERE, APPEND, ADD = map(
    _script, (scripts.TAKE, scripts.RENEW, scripts.LEAVE, scripts.HERE, scripts.APPEND, scripts.ADD)
)
KEEP, PUT_MANY, GET_MANY, HOLD = map(_script, (scripts.KEEP, scripts.PUT_MANY, scripts.GET_MANY, scripts.HOLD))


class Redis:
    """The store of a fleet. `client` is of redis.asyncio, see `clients.connect`; `prefix` begins every key."""

    def __init__(
        self, client: Any, prefix: str, timeout_ms: int, connect_seconds: float = CONNECT_SECONDS, place: str = ""
    ) -> None:
        self._client = client
        self._connect_seconds = connect_seconds
        self._connection_log = ConnectionLog(place, timeout_ms)
        self._timeout_seconds = timeout_ms / 1000
        self._claims = f"{prefix}{{claims}}:"
        self._prefix = prefix
        self._slot: Callable[[str], int] = getattr(client, "keyslot", _one_slot)
        """Where a Cluster has a key; one script reaches one slot."""
        self._breaker = Breaker(time.monotonic)
        self._connections = Connections(client)
        self._mine: dict[tuple[str, str], Lease] = {}
        """The leases of this worker, which it renews."""
        self._worker = secrets.token_hex(8)
        self._holds: dict[str, dict[str, int]] = {}
        """What this worker has reserved: key of a budget -> name -> units. Renewed too, which also puts right what a
        call did that ran into its timeout."""
        self._tending: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()

    @property
    def reached(self) -> bool:
        """False while the breaker is open."""
        return self._breaker.allows

    async def acquire(self, claims: Sequence[Claim], *, force: bool = False) -> Acquisition:
        checked_claims(claims)
        keys: list[str] = []
        values: list[str | bytes | int] = [int(force)]
        for claim in claims:
            keys += self._keys(claim)
            values += _fields(claim, self._hold(claim) if isinstance(claim, Budget) else "")

        async def acquire() -> Acquisition:
            return _taken(claims, convert(await self._run(TAKE, keys, values), list[int]))

        acquired = await self._call(acquire)
        if acquired.granted:
            for claim in claims:
                if isinstance(claim, Lease):
                    self._mine[claim.key, claim.name] = claim
                elif isinstance(claim, Budget) and claim.hold:
                    self._holds.setdefault(claim.key, {})[claim.name] = claim.hold
        return acquired

    def _hold(self, claim: Budget) -> str:
        """What the script is told of a claim's hold. What is freed is so from now on, whatever becomes of the call."""
        mine = self._holds.get(claim.key, {})
        freed = sum(mine.pop(name, 0) for name in claim.freed)
        return f"{self._worker} {claim.hold} {claim.hold - freed}"

    async def release(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            self._mine.pop((lease.key, lease.name), None)
        for start in range(0, len(leases), LEASES_AT_ONCE):
            batch = leases[start : start + LEASES_AT_ONCE]
            await self._call(partial(self._run, LEAVE, self._keys_of(batch), [lease.name for lease in batch]))

    async def leases(self, key: str) -> list[LeaseHolder]:
        async def here() -> list[LeaseHolder]:
            flat = convert(await self._run(HERE, self._keys(Lease(key, "")), []), list[bytes])
            pairs = zip(flat[::2], flat[1::2], strict=True)
            return [LeaseHolder(name.decode("utf-8", "replace"), note) for name, note in pairs]

        return await self._call(here)

    async def append(self, ring: str, notes: Sequence[bytes]) -> None:
        checked_notes(notes)
        await self._call(lambda: self._run(APPEND, [f"{self._prefix}ring:{ring}"], [RING_SECONDS, *notes]))

    async def recent(self, ring: str, count: int) -> list[bytes]:
        if count <= 0:
            return []

        async def recent() -> list[bytes]:
            return convert(await self._command("LRANGE", f"{self._prefix}ring:{ring}", 0, count - 1), list[bytes])

        return await self._call(recent)

    async def add(self, key: str, amounts: Mapping[str, int], ttl_s: int) -> None:
        flat = [part for field, amount in amounts.items() for part in (field, _bounded(amount, UNITS_MAX))]
        await self._call(lambda: self._run(ADD, [f"{self._prefix}totals:{key}"], [ttl_s, *flat]))

    async def totals(self, key: str) -> dict[str, int]:
        async def totals() -> dict[str, int]:
            held = convert(await self._command("HGETALL", f"{self._prefix}totals:{key}"), dict[bytes, bytes])
            return {field.decode("utf-8", "replace"): int(amount) for field, amount in held.items()}

        return await self._call(totals)

    async def put(self, key: str, value: bytes, ttl_s: int, *, keep: bool = False) -> bytes:
        if len(value) > VALUE_BYTES_MAX:
            raise StoreError("a value is longer than the store takes", "size")
        place = f"{self._prefix}value:{key}"

        async def kept() -> bytes:
            return convert(await self._run(KEEP, [place], [ttl_s, value]), bytes)

        if keep:
            return await self._call(kept)
        await self._call(lambda: self._command("SET", place, value, "EX", ttl_s))
        return value

    async def get(self, key: str) -> bytes | None:
        async def get() -> bytes | None:
            return convert(await self._command("GET", f"{self._prefix}value:{key}"), bytes | None)

        return await self._call(get)

    async def put_many(self, items: Mapping[str, bytes], ttl_s: int, *, keep: bool = False) -> dict[str, bytes]:
        checked_many(len(items), sum(map(len, items.values())))

        async def put(keys: list[str]) -> list[bytes]:
            given = [ttl_s, int(keep), *(items[key] for key in keys)]
            places = [f"{self._prefix}value:{key}" for key in keys]
            return convert(await self._run(PUT_MANY, places, given), list[bytes])

        return await self._call(partial(self._by_slot, list(items), put))

    async def get_many(self, keys: Sequence[str], renew_s: int = 0) -> dict[str, bytes]:
        checked_many(len(keys))

        async def get(some: list[str]) -> list[bytes | None]:
            places = [f"{self._prefix}value:{key}" for key in some]
            return convert(await self._run(GET_MANY, places, [renew_s]), list[bytes | None])

        found = await self._call(partial(self._by_slot, keys, get))
        return {key: value for key, value in found.items() if value is not None}

    async def _by_slot(
        self, keys: Sequence[str], call: Callable[[list[str]], Awaitable[list[Held]]]
    ) -> dict[str, Held]:
        """What `call` answers for keys, asked for those of one slot at a time, and a few slots at once."""
        slots: dict[int, list[str]] = {}
        for key in keys:
            slots.setdefault(self._slot(f"{self._prefix}value:{key}"), []).append(key)
        answers: dict[str, Held] = {}
        batches = list(slots.values())
        for start in range(0, len(batches), SLOTS_AT_ONCE):
            some = batches[start : start + SLOTS_AT_ONCE]
            for batch, held in zip(some, await asyncio.gather(*map(call, some)), strict=True):
                answers.update(zip(batch, held, strict=True))
        return answers

    async def delete(self, key: str) -> None:
        await self._call(lambda: self._command("DEL", f"{self._prefix}value:{key}"))

    async def close(self) -> None:
        if self._tending is not None:
            self._tending.cancel()
            with suppress(asyncio.CancelledError):
                await self._tending
        with suppress(StoreError):
            await self.release(list(self._mine.values()))
            for held in self._holds.values():
                held.clear()
            await self._renew_holds()
        with suppress(StoreError):
            await self._connections.close()
            await _within(self._timeout_seconds, partial(close, self._client))

    def _keys(self, claim: Claim) -> list[str]:
        kind = type(claim).__name__.lower()
        key = f"{self._claims}{kind}:{claim.key}"
        # A lease and a budget may have the same key: what stands beside them is told apart too.
        return [key, f"{self._claims}{'note' if isinstance(claim, Lease) else 'held'}:{claim.key}"]

    def _keys_of(self, claims: Sequence[Claim]) -> list[str]:
        return [key for claim in claims for key in self._keys(claim)]

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        if self._tending is None:
            self._tending = asyncio.get_running_loop().create_task(self._tend())
        if not self._breaker.allows:
            raise StoreError("Redis is out of reach", "open")
        try:
            answer = await _within(self._timeout_seconds, call)
        except StoreError as error:
            if error.reason != "size":
                self._breaker.failed(at_once=self._connection_log.is_lasting(error))
            if not self._breaker.allows:
                self._connection_log.failed(error)
                self._opened.set()
            raise
        self._breaker.succeeded()
        self._connection_log.succeeded()
        return answer

    async def _run(self, script: Script, keys: Sequence[str], values: Sequence[Any]) -> Any:
        text, digest = script
        try:
            return await self._command("EVALSHA", digest, len(keys), *keys, *values)
        except NoScriptError:
            return await self._command("EVAL", text, len(keys), *keys, *values)

    async def _command(self, *words: Any) -> Any:
        async with self._connections:
            return await self._client.execute_command(*words)

    async def _tend(self) -> None:
        """Renew the leases of this worker, and find out when Redis is back."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RENEW_SECONDS):
                    await self._opened.wait()
            while not self._breaker.allows:
                await asyncio.sleep(LOOK_SECONDS)
                if self._breaker.probe_due() and await self._probe():
                    self._connections.joined()
                    self._breaker.succeeded()
                    self._connection_log.succeeded()
            self._opened.clear()
            with suppress(StoreError):
                await self._renew()

    async def _probe(self) -> bool:
        # A write, as a replica or a full server would answer a PING too.
        try:
            probe = partial(self._client.execute_command, "SET", f"{self._claims}probe", b"", "EX", 60)
            await _within(self._connect_seconds, probe)
            # Once more, now that it is connected: what takes longer than a call may is of no use to calls.
            await _within(self._timeout_seconds, probe)
        except StoreError as error:
            self._connection_log.failed(error)
            return False
        return True

    async def _renew(self) -> None:
        mine = list(self._mine)
        for start in range(0, len(mine), LEASES_AT_ONCE):
            # Some may have left while an earlier batch was on its way.
            batch = [self._mine[which] for which in mine[start : start + LEASES_AT_ONCE] if which in self._mine]
            flat = [part for lease in batch for part in (lease.name, lease.note)]
            await self._call(partial(self._run, RENEW, self._keys_of(batch), flat))
        await self._renew_holds()

    async def _renew_holds(self) -> None:
        budgets = list(self._holds)
        for start in range(0, len(budgets), LEASES_AT_ONCE):
            batch = budgets[start : start + LEASES_AT_ONCE]
            units = [sum(self._holds[key].values()) for key in batch]
            keys = [f"{self._claims}note:{key}" for key in batch]
            await self._call(partial(self._run, HOLD, keys, [self._worker, *units]))
            for key, held in zip(batch, units, strict=True):
                if not held and not self._holds[key]:
                    del self._holds[key]


def _one_slot(_key: str) -> int:
    return 0


def _fields(claim: Claim, hold: str) -> list[str | bytes | int]:
    if isinstance(claim, Lease):
        return ["lease", 1, claim.limit, 0, claim.name, claim.note]
    if isinstance(claim, Rate):
        return [
            "rate",
            _bounded(claim.cost, RATE_COST_MAX),
            claim.limit,
            claim.period_s * 1_000_000 // PERIOD_PARTS,
            claim.age_ms,
            "",
        ]
    return ["budget", _bounded(claim.cost, UNITS_MAX), claim.limit, claim.ttl_s, _bounded(claim.least, UNITS_MAX), hold]


def _bounded(number: int, most: int) -> int:
    return max(-most, min(number, most))


def _taken(claims: Sequence[Claim], answer: list[int]) -> Acquisition:
    refused = answer[0] - 1
    states = [_state(claim, *answer[at : at + 4]) for at, claim in zip(range(1, len(answer), 4), claims, strict=True)]
    return Acquisition(refused < 0, refused, tuple(states), "fleet")


def _state(claim: Claim, used: int, retry_after_ms: int, reset_ms: int, reserved: int) -> ClaimState:
    return ClaimState(used, max(0, claim.limit - used), retry_after_ms, reset_ms, reserved)


async def _within(seconds: float, call: Callable[[], Awaitable[T]]) -> T:
    """What `call` answers within so many seconds. Raises StoreError, and nothing else."""
    try:
        async with asyncio.timeout(seconds):
            return await call()
    except UnicodeEncodeError as error:
        raise StoreError("a key or a name is no text", "size") from error
    except Exception as error:
        # The client raises more than RedisError: its own error for a Cluster that is gone, and whatever its parser
        # meets where something else than Redis answers.
        raise StoreError(f"Redis: {type(error).__name__}: {error}", _reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, RedisTimeoutError | TimeoutError):
        return "timeout"
    if isinstance(error, OutOfMemoryError):
        return "full"
    gone = ConnectionError | OSError | RedisClusterException
    return "unreachable" if isinstance(error, gone) else "refused"
