"""Sliding windows in the shared file: how many units of a key were taken in each part of its period."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from proxy_pkg.store.contract import AGE_PARTS, NEVER, PERIOD_PARTS, RATE_COST_MAX, ClaimState, Rate
from proxy_pkg.store.hash_table import HashTable
from proxy_pkg.store.layout import PARTS, RATE_WORDS, RATES, RATES_AT
from proxy_pkg.store.region import Now, Region, hash_of

PART_UNITS_MAX: Final = 2**32 - 1
_COUNTS: Final = 3
"""The word of a record at which its counts begin."""
_PART_NS: Final = 10**9 // PERIOD_PARTS
"""Nanoseconds of a part for each second of the period."""


class Window(Struct, frozen=True, gc=False):
    """A record at one moment. `at` is its word, or -1 while there is none."""

    at: int
    key: int
    part: int
    used: int


class Rates:
    """The windows of a region. Call all of it with the region's lock held."""

    def __init__(self, region: Region) -> None:
        self._words = region.words
        self._halves = region.halves
        self._bytes = region.bytes
        self._table = HashTable(region, RATES_AT, RATE_WORDS, RATES, self._newest)

    def look(self, claim: Rate, now: Now) -> Window:
        """The window of a claim, with the parts that have passed out of it cleared."""
        part = now.boot_ns // (claim.period_s * _PART_NS)
        key = hash_of(claim.key)
        at = self._table.find(key)
        if at < 0:
            return Window(at, key, part, 0)
        words = self._words
        return Window(at, key, part, words[at + 2] if words[at + 1] == part else self._advance(at, part))

    def add(self, claim: Rate, window: Window, now: Now) -> int:
        """Count the cost as of now; a negative one takes back, from the part of its age. Returns what is used then."""
        at, cost = window.at, min(claim.cost, RATE_COST_MAX)
        if at < 0:
            if cost <= 0:
                return 0
            at = self._table.claim(window.key)
            self._words[at + 1] = window.part
            self._words[at] = window.key
        counts = (at + _COUNTS) * 2
        if cost >= 0:
            place = counts + window.part % PARTS
            self._halves[place] = min(self._halves[place] + cost, PART_UNITS_MAX)
        else:
            cost = -self._take_back(counts, window.part, _parts_of(claim, window, now), -cost)
        used = max(0, window.used + cost)
        self._words[at + 2] = used
        return used

    def state(self, claim: Rate, window: Window, used: int, now: Now, in_the_way: bool) -> ClaimState:
        """The state of a claim, `used` being its units after `acquire`."""
        if not used:
            return ClaimState(0, claim.limit, NEVER if in_the_way else 0, 0)
        part_ns = claim.period_s * _PART_NS
        reset_ms = ((window.part + PARTS) * part_ns - now.boot_ns) // 10**6 + 1
        retry_ms = self._retry_ms(claim, window, now) if in_the_way else 0
        return ClaimState(used, max(0, claim.limit - used), retry_ms, reset_ms)

    def _retry_ms(self, claim: Rate, window: Window, now: Now) -> int:
        cost = max(claim.cost, 1)
        if cost > claim.limit:
            return NEVER
        part_ns = claim.period_s * _PART_NS
        begun_ns = now.boot_ns - window.part * part_ns
        counts = (window.at + _COUNTS) * 2
        too_many = window.used + cost - claim.limit
        oldest = counts + (window.part + 1) % PARTS
        by_age = self._halves[oldest : counts + PARTS].tolist() + self._halves[counts:oldest].tolist()
        for steps, units in enumerate(by_age, 1):
            too_many -= units
            if too_many <= 0:
                return (steps * part_ns - begun_ns) // 10**6 + 1
        return (PARTS * part_ns - begun_ns) // 10**6 + 1

    def _advance(self, at: int, part: int) -> int:
        newest = self._words[at + 1]
        passed = part - newest
        counts = (at + _COUNTS) * 2
        if passed < 0 or passed >= PARTS:
            # A clock that stands before the newest part has started anew, and so does the window.
            self._bytes[counts * 4 : (counts + PARTS) * 4] = bytes(PARTS * 4)
        else:
            for step in range(newest + 1, part + 1):
                self._halves[counts + step % PARTS] = 0
        # Summed anew for each part: so a kill between a count and its sum is forgotten with the next part.
        used = sum(self._halves[counts : counts + PARTS])
        self._words[at + 2] = used
        self._words[at + 1] = part
        return used

    def _take_back(self, counts: int, newest: int, parts: Iterable[int], units: int) -> int:
        """Take units out of these parts, as far as they are still in the window; how many there were."""
        left = units
        for part in parts:
            if newest - PARTS < part <= newest:
                place = counts + part % PARTS
                acquired = min(left, self._halves[place])
                self._halves[place] -= acquired
                left -= acquired
                if left == 0:
                    break
        return units - left

    def _newest(self, at: int) -> int:
        return self._words[at + 1]


def _parts_of(claim: Rate, window: Window, now: Now) -> Iterable[int]:
    """Where what a claim gives back was counted, likeliest first."""
    if claim.age_ms <= 0:
        return range(window.part, window.part - PARTS, -1)
    part = (now.boot_ns - claim.age_ms * 10**6) // (claim.period_s * _PART_NS)
    return sorted(range(part - AGE_PARTS, part + AGE_PARTS + 1), key=lambda other: abs(other - part))
