"""What must be one truth for all workers, and with Redis for all machines: the contract that each engine keeps.

Five kinds of state, and one operation or two for each:

    claims   `acquire`, `release`, `leases`    rates, budgets and leases; a request makes one call for all of them
    rings    `append`, `recent`          the last few notes of a kind
    totals   `add`, `totals`             integers that only grow together
    values   `put`, `get`, `delete`      bytes under a key, for a while; `put_many` and `get_many` in one call

Every call ends within the bound of its engine (`embedded.LOCK_WAIT_MS`, `HEADROOM_REDIS_TIMEOUT_MS`) or raises
StoreError, and nothing else. `fallback.Fallback`, which is what a worker holds, never raises: see there.

Clocks. A rate runs on a clock that no one can set: that of the machine since its start (embedded), or the Redis
server's own. Where that clock stands before what is stored, as after a reboot or a failover, the window starts
afresh, so that nobody is locked out. Lifetimes run on the wall clock.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol

from msgspec import Struct

from proxy_pkg.errors import ProxyError

NOTE_BYTES_MAX: Final = 1000
"""The longest note of a lease or a ring."""
VALUE_BYTES_MAX: Final = 8 * 1024 * 1024
"""The longest value, and the most that several put at once may have together."""
MANY_MAX: Final = 1024
"""The values that one call puts or gets."""
RING_NOTES_MAX: Final = 512
"""The notes that a ring keeps."""
UNITS_MAX: Final = 2**52
"""The largest count or cost that is told apart from a larger one. Whole numbers are exact up to it in every engine."""
PERIOD_PARTS: Final = 256
"""A rate is counted in so many parts of its period, which is how exact it is."""
AGE_PARTS: Final = 2
"""An age of what is given back may be wrong by so many parts: it is told by another clock, and after a wait."""

Scope = Literal["fleet", "machine", "worker", "none"]
"""Who agreed on an answer: all machines, the workers of this one, this worker alone, or nobody."""


class StoreError(ProxyError):
    """The engine did not do it: out of reach, too slow, full, or the argument is beyond a bound of the contract.

    `reason` is one word for counters: timeout, unreachable, open, busy, full, refused, damaged, size.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Rate(Struct, frozen=True, tag=True):
    """At most `limit` units within any `period_s` seconds.

    A sliding window: a unit counts for the whole period from when it was taken, and for at most one part of
    PERIOD_PARTS longer. So no stretch of `period_s` ever holds more than `limit`, and under steady pressure at
    least 99.6 % of it are granted. A `limit` of 0 counts and never refuses. `cost` is at least 0, with
    `force` it may be negative to give back, and what is above RATE_COST_MAX counts as that. One key has one period.

    What is given back was taken `age_ms` ago, as nearly as AGE_PARTS parts: it is found there and nowhere else. So what
    has passed out of the window gives nothing back, which others would have taken. Without an age the newest units go.
    """

    key: str
    cost: int
    limit: int
    period_s: int
    age_ms: int = 0


class Budget(Struct, frozen=True, tag=True):
    """At most `limit` units under `key` until it is forgotten, `ttl_s` seconds after its first charge.

    For calendar days and months: put the date into the key, and let `ttl_s`, in every call, reach beyond its end. It
    survives a restart. Units are what the caller means, say millionths of a dollar. A `limit` of 0 counts and never
    refuses, and one below 0 always does. What is used counts as `least` units if it is less: for who knows of so
    many, where a store may have forgotten.

    `hold` units are reserved under `name`, for what is going to be charged: until a later claim has the name among
    those that it has `freed`, or the worker ends (at once on this machine, within STAY_SECONDS_MAX on others). A claim
    with a hold stands in the way if all that is used and reserved and its own are above the limit; where nothing is
    reserved, it may go beyond what is left, as long as anything is. One without a hold is not kept out by those of
    others. With `force` a hold is taken whatever the limit.
    """

    key: str
    cost: int
    limit: int
    ttl_s: int
    least: int = 0
    hold: int = 0
    name: str = ""
    freed: tuple[str, ...] = ()


class Lease(Struct, frozen=True, tag=True):
    """One of at most `limit` that are here at once under `key`, from `acquire` to `release`.

    `name` is unique under the key, say a request id; a second `acquire` of the same name replaces its `note`, which is
    what `leases` shows to others, and counts once. A lease ends by itself when its worker dies: at once on this
    machine, within STAY_SECONDS_MAX on others. A `limit` of 0 never refuses.
    A name longer than 200 bytes is shown cut.
    """

    key: str
    name: str
    limit: int = 0
    note: bytes = b""


LEASE_SECONDS_MAX: Final = 30
RATE_COST_MAX: Final = 2**31 - 1

Claim = Rate | Budget | Lease


class ClaimState(Struct, frozen=True, gc=False):
    """How a claim stands after `acquire`, whether granted or not."""

    used: int
    """Units taken and not yet free again; for a lease, how many are here."""
    remaining: int
    """What is left of the limit, at least 0; 0 too where there is no limit."""
    retry_after_ms: int
    """0 for a claim that did not stand in the way. Else the time until it would be granted if nobody else took
    any; NEVER if its cost is above its limit; 0 for a lease too, since nobody knows when another leaves."""
    reset_ms: int
    """The time until all that is used is free again; 0 for a lease."""
    reserved: int = 0
    """Of a budget: what all holds have together, before this claim."""


NEVER: Final = -1


class Acquisition(Struct, frozen=True):
    """The answer of `acquire`. `standings` has one entry for each claim, in order."""

    granted: bool
    refused: int
    """The index of the first claim that stood in the way, or -1."""
    states: tuple[ClaimState, ...]
    scope: Scope


class LeaseHolder(NamedTuple):
    """One that is here now."""

    name: str
    note: bytes


class Store(Protocol):
    """An engine. Methods may be called at once from many tasks of one event loop; each worker opens its own."""

    async def acquire(self, claims: Sequence[Claim], *, force: bool = False) -> Acquisition:
        """Take all claims or none of them, in one atomic step over all workers (and machines).

        A claim stands in the way if its used units and its cost (at least 1) are above its limit: so a cost of 0
        asks whether one more would fit, and takes nothing. With `force` all are taken, whatever the limits, costs
        may be negative, and used units never fall below 0: that is how to settle an estimate, to record what was
        spent, and, at a cost of 0, how to look. At most CLAIMS_MAX at a time, their keys all different.
        """
        ...

    async def release(self, leases: Sequence[Lease]) -> None:
        """End leases of this worker; those that have ended already do no harm."""
        ...

    async def leases(self, key: str) -> list[LeaseHolder]:
        """Who is here under `key`, over all workers (and machines), in no order."""
        ...

    async def append(self, ring: str, notes: Sequence[bytes]) -> None:
        """Put notes, oldest first, at the end of a ring, which keeps the last RING_NOTES_MAX. At most RINGS_MAX."""
        ...

    async def recent(self, ring: str, count: int) -> list[bytes]:
        """The last `count` notes of a ring, newest first."""
        ...

    async def add(self, key: str, amounts: Mapping[str, int], ttl_s: int) -> None:
        """Add to the totals under `key`, all in one step; they are forgotten `ttl_s` after the latest addition.

        They survive a restart. Made for a call every few seconds, not for one per request.
        """
        ...

    async def totals(self, key: str) -> dict[str, int]:
        """All totals under `key`."""
        ...

    async def put(self, key: str, value: bytes, ttl_s: int, *, keep: bool = False) -> bytes:
        """Keep `value` under `key` for `ttl_s` seconds; returns the value that now holds.

        With `keep`, a value that is already there stays as it is: of several writers the first one wins. Old
        values make room for new ones where the engine is full.
        """
        ...

    async def get(self, key: str) -> bytes | None:
        """The value under `key`, or None."""
        ...

    async def put_many(self, items: Mapping[str, bytes], ttl_s: int, *, keep: bool = False) -> dict[str, bytes]:
        """`put` for several keys in one call; returns what now holds under each. At most MANY_MAX.

        With `keep`, a value that is already there stays, and lives for `ttl_s` from now. Others may see some of the
        values before the rest.
        """
        ...

    async def get_many(self, keys: Sequence[str], renew_s: int = 0) -> dict[str, bytes]:
        """The values under those of `keys` that have one, in one call. At most MANY_MAX.

        With `renew_s`, they live for so many seconds from now.
        """
        ...

    async def delete(self, key: str) -> None:
        """Forget the value under `key`."""
        ...

    async def close(self) -> None:
        """End the leases of this worker, and let go of what it holds."""
        ...


CLAIMS_MAX: Final = 16
RINGS_MAX: Final = 4


def checked_claims(claims: Sequence[Claim]) -> None:
    """Raise StoreError where the contract's bounds are broken: too many claims, or a note that is too long."""
    if len(claims) > CLAIMS_MAX:
        raise StoreError(f"more than {CLAIMS_MAX} claims at once", "size")
    for claim in claims:
        if type(claim) is Lease:
            checked_notes((claim.note,))


def checked_many(count: int, value_bytes: int = 0) -> None:
    """Raise StoreError for more values than one call takes, in number or in bytes."""
    if count > MANY_MAX or value_bytes > VALUE_BYTES_MAX:
        raise StoreError("more values at once than the store takes", "size")


def checked_notes(notes: Sequence[bytes]) -> None:
    """Raise StoreError for a note that is too long."""
    if any(len(note) > NOTE_BYTES_MAX for note in notes):
        raise StoreError(f"a note is longer than {NOTE_BYTES_MAX} bytes", "size")
