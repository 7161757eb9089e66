"""What this worker spent, added and ended while the fleet's store was out of reach, and what it had last seen there."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from msgspec import structs

from proxy_pkg.store.contract import Budget, Claim, ClaimState, Lease

QUEUED_KEYS_MAX: Final = 10_000
"""Keys that are remembered; what comes on top is forgotten, the oldest first among what was only seen."""


class WriteBehind:
    """In memory, for one worker."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}
        """What the fleet had spent of a budget, and until when that holds."""
        self._queued: dict[str, tuple[int, int]] = {}
        self._seen_totals: dict[str, dict[str, int]] = {}
        self._queued_totals: dict[str, tuple[dict[str, int], int]] = {}
        self._queued_ends: dict[tuple[str, str], Lease] = {}

    def __bool__(self) -> bool:
        return bool(self._queued or self._queued_totals or self._queued_ends)

    def saw(self, claims: Sequence[Claim], states: Sequence[ClaimState]) -> None:
        """Remember what the fleet has spent of each budget."""
        for claim, state in zip(claims, states, strict=True):
            if isinstance(claim, Budget):
                self._seen.pop(claim.key, None)
                self._seen[claim.key] = (state.used, self._clock() + state.reset_ms / 1000)
        while len(self._seen) > QUEUED_KEYS_MAX:
            del self._seen[next(iter(self._seen))]

    def spent(self, claim: Claim) -> int:
        """What the fleet had spent of a budget when it was last seen; 0 for other claims."""
        used, until = self._seen.get(claim.key, (0, 0.0)) if isinstance(claim, Budget) else (0, 0.0)
        return used if self._clock() < until else 0

    def reminding(self, claims: Sequence[Claim]) -> list[Claim]:
        """The claims, with what was last seen of each budget: a store that came back empty hears of it."""
        return [
            structs.replace(claim, least=self.spent(claim)) if isinstance(claim, Budget) else claim for claim in claims
        ]

    def enqueue_claims(self, claims: Sequence[Claim]) -> None:
        """Remember what was charged on this machine alone."""
        for claim in claims:
            if isinstance(claim, Budget) and claim.cost:
                held, _ = self._queued.get(claim.key, (0, 0))
                if held or len(self._queued) < QUEUED_KEYS_MAX:
                    self._queued[claim.key] = (held + claim.cost, claim.ttl_s)

    def claims(self) -> list[Budget]:
        """What is queued for the fleet's budgets."""
        queued = (Budget(key, cost, 0, ttl_s) for key, (cost, ttl_s) in self._queued.items())
        return [structs.replace(claim, least=self.spent(claim)) for claim in queued]

    def flushed_claims(self, claims: Sequence[Budget]) -> None:
        """Forget what was written; more may have come on top meanwhile."""
        for claim in claims:
            left = self._queued[claim.key][0] - claim.cost
            if left:
                self._queued[claim.key] = (left, claim.ttl_s)
            else:
                del self._queued[claim.key]

    def enqueue_ends(self, leases: Iterable[Lease]) -> None:
        """Remember leases that ended, and that the fleet may take for being here."""
        for lease in leases:
            if len(self._queued_ends) < QUEUED_KEYS_MAX:
                self._queued_ends[lease.key, lease.name] = lease

    def ends(self) -> list[Lease]:
        """The leases whose end is queued."""
        return list(self._queued_ends.values())

    def flushed_ends(self, leases: Iterable[Lease]) -> None:
        """Forget those that were written."""
        for lease in leases:
            self._queued_ends.pop((lease.key, lease.name), None)

    def enqueue_totals(self, key: str, amounts: Mapping[str, int], ttl_s: int) -> None:
        """Remember what was to be added."""
        held, _ = self._queued_totals.get(key, ({}, 0))
        if held or len(self._queued_totals) < QUEUED_KEYS_MAX:
            self._queued_totals[key] = (_sum(held, amounts), ttl_s)

    def totals(self, key: str, found: Mapping[str, int] | None) -> dict[str, int]:
        """The totals to show: as found in the fleet, or, for None, as last seen there, with what is queued on top."""
        if found is not None:
            self._seen_totals.pop(key, None)
            self._seen_totals[key] = dict(found)
            while len(self._seen_totals) > QUEUED_KEYS_MAX:
                del self._seen_totals[next(iter(self._seen_totals))]
        queued, _ = self._queued_totals.get(key, ({}, 0))
        return _sum(self._seen_totals.get(key, {}), queued)

    def additions(self) -> list[tuple[str, dict[str, int], int]]:
        """What is queued for the fleet's totals: key, amounts and time to live."""
        return [(key, dict(amounts), ttl_s) for key, (amounts, ttl_s) in self._queued_totals.items()]

    def flushed_totals(self, key: str, amounts: Mapping[str, int]) -> None:
        """Forget what was written; more may have come on top meanwhile."""
        held, ttl_s = self._queued_totals.pop(key)
        left = _sum(held, {field: -amount for field, amount in amounts.items()})
        left = {field: amount for field, amount in left.items() if amount}
        if left:
            self._queued_totals[key] = (left, ttl_s)


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    result = dict(one)
    for field, amount in other.items():
        result[field] = result.get(field, 0) + amount
    return result
