"""A working double of the store: one process, no files, a clock that tests turn; it keeps every unit it grants."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from msgspec import structs

from proxy_pkg.store.contract import (
    AGE_PARTS,
    NEVER,
    PERIOD_PARTS,
    RING_NOTES_MAX,
    RINGS_MAX,
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


class Memory:
    """The contract, written as plainly as it can be. With `failing` set, every call raises it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.failing: StoreError | None = None
        self.calls = 0
        self._rates: dict[str, list[list[float]]] = {}
        self._budgets: dict[str, tuple[int, float]] = {}
        self._holds: dict[str, dict[str, int]] = {}
        self._leases: dict[str, dict[str, bytes]] = {}
        self._rings: dict[str, deque[bytes]] = {}
        self._totals: dict[str, tuple[dict[str, int], float]] = {}
        self._values: dict[str, tuple[bytes, float]] = {}

    def empty(self) -> None:
        """Forget everything, as a server without persistence does when it starts anew."""
        self.__init__(self._clock)  # type: ignore[misc]

    def _called(self) -> float:
        self.calls += 1
        if self.failing is not None:
            raise self.failing
        return self._clock()

    async def acquire(self, claims: Sequence[Claim], *, force: bool = False) -> Acquisition:
        now = self._called()
        checked_claims(claims)
        used = [self._used(claim, now) for claim in claims]
        blocked = [not force and self._blocks(claim, units) for claim, units in zip(claims, used, strict=True)]
        reserved = [self._reserved(claim) for claim in claims]
        refused = blocked.index(True) if True in blocked else -1
        if refused < 0:
            used = [self._add(claim, now) for claim in claims]
        states = tuple(
            structs.replace(self._state(claim, units, is_blocked, now), reserved=held)
            for claim, units, is_blocked, held in zip(claims, used, blocked, reserved, strict=True)
        )
        return Acquisition(refused < 0, refused, states, "machine")

    def _reserved(self, claim: Claim) -> int:
        return sum(self._holds.get(claim.key, {}).values()) if isinstance(claim, Budget) else 0

    def _used(self, claim: Claim, now: float) -> int:
        if isinstance(claim, Lease):
            return len(self._leases.get(claim.key, {}))
        if isinstance(claim, Budget):
            used, until = self._budgets.get(claim.key, (0, 0.0))
            return max(used if until > now else 0, claim.least)
        log = self._rates.setdefault(claim.key, [])
        log[:] = [entry for entry in log if now - entry[0] < claim.period_s]
        return int(sum(units for _, units in log))

    def _blocks(self, claim: Claim, used: int) -> bool:
        if claim.limit == 0:
            return False
        if isinstance(claim, Lease):
            return claim.name not in self._leases.get(claim.key, {}) and used >= claim.limit
        if isinstance(claim, Budget) and claim.hold:
            reserved = self._reserved(claim)
            fits = used + reserved + claim.cost + claim.hold <= claim.limit
            return not fits and (reserved > 0 or used >= claim.limit)
        return used + max(claim.cost, 1) > claim.limit

    def _add(self, claim: Claim, now: float) -> int:
        if isinstance(claim, Lease):
            self._leases.setdefault(claim.key, {})[claim.name] = claim.note
        elif isinstance(claim, Budget):
            held = self._holds.setdefault(claim.key, {})
            for name in claim.freed:
                held.pop(name, None)
            if claim.hold:
                held[claim.name] = claim.hold
            used = max(0, self._used(claim, now) + claim.cost)
            _, until = self._budgets.get(claim.key, (0, 0.0))
            if used:
                self._budgets[claim.key] = (used, until if until > now else now + claim.ttl_s)
            else:
                self._budgets.pop(claim.key, None)
        elif claim.cost > 0:
            self._rates[claim.key].append([now, claim.cost])
        else:
            self._give_back(claim, now)
        return self._used(claim, now)

    def _give_back(self, claim: Rate, now: float) -> None:
        log, units = self._rates[claim.key], float(-claim.cost)
        if claim.age_ms:
            off = AGE_PARTS * claim.period_s / PERIOD_PARTS
            log = [entry for entry in log if abs(now - claim.age_ms / 1000 - entry[0]) <= off]
        for entry in reversed(log):
            acquired = min(units, entry[1])
            entry[1] -= acquired
            units -= acquired

    def _state(self, claim: Claim, used: int, blocked: bool, now: float) -> ClaimState:
        remaining = max(0, claim.limit - used)
        if isinstance(claim, Lease):
            return ClaimState(used, remaining, 0, 0)
        if isinstance(claim, Budget):
            _, until = self._budgets.get(claim.key, (0, now + claim.ttl_s))
            reset_ms = int((until - now) * 1000) + 1
        else:
            reset_ms = int(claim.period_s * (1 + 1 / PERIOD_PARTS) * 1000) + 1
        retry_ms = 0
        if blocked:
            retry_ms = NEVER if 0 < claim.limit < claim.cost else self._retry_ms(claim, used, now, reset_ms)
        return ClaimState(used, remaining, retry_ms, reset_ms if used else 0)

    def _retry_ms(self, claim: Rate | Budget, used: int, now: float, reset_ms: int) -> int:
        if isinstance(claim, Budget):
            return reset_ms
        too_many = used + max(claim.cost, 1) - claim.limit
        for at, units in self._rates[claim.key]:
            too_many -= int(units)
            if too_many <= 0:
                return int((at + claim.period_s - now) * 1000) + 1
        return reset_ms

    async def release(self, leases: Sequence[Lease]) -> None:
        self._called()
        for lease in leases:
            self._leases.get(lease.key, {}).pop(lease.name, None)

    async def leases(self, key: str) -> list[LeaseHolder]:
        self._called()
        return [LeaseHolder(name, note) for name, note in self._leases.get(key, {}).items()]

    async def append(self, ring: str, notes: Sequence[bytes]) -> None:
        self._called()
        checked_notes(notes)
        if ring not in self._rings and len(self._rings) == RINGS_MAX:
            raise StoreError("too many rings", "size")
        self._rings.setdefault(ring, deque(maxlen=RING_NOTES_MAX)).extend(notes)

    async def recent(self, ring: str, count: int) -> list[bytes]:
        self._called()
        return list(self._rings.get(ring, ()))[::-1][: max(0, count)]

    async def add(self, key: str, amounts: Mapping[str, int], ttl_s: int) -> None:
        now = self._called()
        held, until = self._totals.get(key, ({}, 0.0))
        held = dict(held) if until > now else {}
        for field, amount in amounts.items():
            held[field] = held.get(field, 0) + amount
        self._totals[key] = (held, now + ttl_s)

    async def totals(self, key: str) -> dict[str, int]:
        now = self._called()
        held, until = self._totals.get(key, ({}, 0.0))
        return dict(held) if until > now else {}

    async def put(self, key: str, value: bytes, ttl_s: int, *, keep: bool = False) -> bytes:
        now = self._called()
        held, until = self._values.get(key, (b"", 0.0))
        if keep and until > now:
            return held
        self._values[key] = (value, now + ttl_s)
        return value

    async def get(self, key: str) -> bytes | None:
        now = self._called()
        held, until = self._values.get(key, (b"", 0.0))
        return held if until > now else None

    async def put_many(self, items: Mapping[str, bytes], ttl_s: int, *, keep: bool = False) -> dict[str, bytes]:
        checked_many(len(items), sum(map(len, items.values())))
        now = self._called()
        return {key: self._put(key, value, now, ttl_s, keep) for key, value in items.items()}

    def _put(self, key: str, value: bytes, now: float, ttl_s: int, keep: bool) -> bytes:
        held, until = self._values.get(key, (b"", 0.0))
        if not keep or until <= now:
            held = value
        self._values[key] = held, now + ttl_s
        return held

    async def get_many(self, keys: Sequence[str], renew_s: int = 0) -> dict[str, bytes]:
        checked_many(len(keys))
        now = self._called()
        found = {key: self._values[key] for key in keys if key in self._values}
        found = {key: (value, until) for key, (value, until) in found.items() if until > now}
        if renew_s:
            self._values |= {key: (value, now + renew_s) for key, (value, _) in found.items()}
        return {key: value for key, (value, _) in found.items()}

    async def delete(self, key: str) -> None:
        self._called()
        self._values.pop(key, None)

    async def close(self) -> None:
        self._called()
