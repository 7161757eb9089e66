"""Counters with an end in the shared file: what was spent under a key."""

from msgspec import Struct

from proxy_pkg.store.contract import NEVER, UNITS_MAX, Budget, ClaimState
from proxy_pkg.store.hash_table import HashTable
from proxy_pkg.store.layout import BUDGET_WORDS, BUDGETS, BUDGETS_AT
from proxy_pkg.store.region import Now, Region, hash_of
from proxy_pkg.store.reservations import RESERVED, Reservations


class BudgetRecord(Struct, frozen=True, gc=False):
    """A record at one moment. `at` is its word, or -1 while there is none that counts."""

    at: int
    key: int
    used: int
    expires_s: int
    reserved: int = 0


class Budgets:
    """The budgets of a region. Call all of it with the region's lock held."""

    def __init__(self, region: Region, holds: Reservations) -> None:
        self._words = region.words
        self._holds = holds
        self._table = HashTable(region, BUDGETS_AT, BUDGET_WORDS, BUDGETS, self._used)

    def look(self, claim: Budget, now: Now) -> BudgetRecord:
        """The record of a claim. One whose time is over counts as empty."""
        key = hash_of(claim.key)
        at = self._table.find(key)
        if at < 0:
            return BudgetRecord(-1, key, claim.least, 0)
        expires_s = self._words[at + 2]
        latest_s = int(now.wall_s) + claim.ttl_s + 1
        if expires_s > latest_s:  # the clock was ahead when this was written, and no request is to wait for that time
            expires_s = self._words[at + 2] = latest_s
        held = self._words[at + 1] if expires_s > now.wall_s else 0
        return BudgetRecord(at, key, max(held, claim.least), expires_s, self._words[at + RESERVED])

    def add(self, claim: Budget, record: BudgetRecord, now: Now) -> int:
        """Charge the cost, and reserve or free. Returns what is used then."""
        at, used = record.at, min(max(0, record.used + claim.cost), UNITS_MAX)
        if at >= 0 and record.expires_s > now.wall_s:
            self._words[at + 1] = used
        elif used or claim.hold:
            at = self._begin(at, record.key, used, int(now.wall_s) + claim.ttl_s)
        if claim.hold or claim.freed:
            self._holds.change(record.key, at, claim.hold, claim.name, claim.freed)
        return used

    def _begin(self, at: int, key: int, used: int, expires_s: int) -> int:
        if at >= 0:
            self._words[at + 1] = 0
        else:
            at = self._table.claim(key)
        self._words[at + 2] = expires_s
        self._words[at + 1] = used
        self._words[at] = key
        return at

    def state(self, claim: Budget, record: BudgetRecord, used: int, now: Now, in_the_way: bool) -> ClaimState:
        """The state of a claim, `used` being its units after `acquire`."""
        left_s = record.expires_s - now.wall_s if record.expires_s > now.wall_s else claim.ttl_s
        reset_ms = int(left_s * 1000) + 1
        retry_ms = 0
        if in_the_way:
            retry_ms = NEVER if 0 < claim.limit < claim.cost else reset_ms
        return ClaimState(used, max(0, claim.limit - used), retry_ms, reset_ms if used else 0, record.reserved)

    def _used(self, at: int) -> int:
        # The clock may have jumped, so the time that is over is no reason to drop one: least spent goes first.
        return self._words[at + 1] + self._words[at + RESERVED]
