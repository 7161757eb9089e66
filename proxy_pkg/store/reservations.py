"""What workers have reserved of budgets, in the shared file: one record for a worker and a budget, with the sum of what
its requests may still cost.

Which request has how much only its own worker knows. Records of a worker that has ended are nobody's: `reconcile` finds
them by the same locks as it finds stays (`stays.py`), and adds up anew what each budget has reserved.
"""

from collections.abc import Callable, Sequence
from typing import Final

from proxy_pkg.store.hash_table import HashTable
from proxy_pkg.store.layout import BUDGET_WORDS, BUDGETS, BUDGETS_AT, HOLD_WORDS, HOLDS, HOLDS_AT, UNSETTLED
from proxy_pkg.store.region import Region, hash_of

RESERVED: Final = 3
"""The word of a budget's record with the sum of its holds."""
_END: Final = HOLDS_AT + HOLDS * HOLD_WORDS
_BUDGETS_END: Final = BUDGETS_AT + BUDGETS * BUDGET_WORDS


class Reservations:
    """The holds of a region, in one worker. Call all of it with the region's lock held."""

    def __init__(self, region: Region, owner: int) -> None:
        self._words = region.words
        self._owner = owner
        self._table = HashTable(region, HOLDS_AT, HOLD_WORDS, HOLDS, self._units)
        self._mine: dict[int, dict[str, int]] = {}
        """Budget -> name -> units, of this worker."""

    def change(self, budget: int, budget_at: int, hold: int, name: str, freed: Sequence[str]) -> None:
        """Reserve `hold` units of the budget whose record is at a word, -1 without one; and let go of those `freed`."""
        mine = self._mine.setdefault(budget, {})
        before = sum(mine.values())
        for each in freed:
            mine.pop(each, None)
        if hold:
            mine[name] = hold
        after = sum(mine.values())
        if not mine:
            del self._mine[budget]
        if after == before:
            return
        self._words[UNSETTLED] = 1
        self._write(budget, after)
        if budget_at >= 0:
            self._words[budget_at + RESERVED] = max(0, self._words[budget_at + RESERVED] + after - before)
        self._words[UNSETTLED] = 0

    def reconcile(self, lives: Callable[[int], bool]) -> None:
        """Free what dead workers left, and add up anew. A pass over two tables: not for every request."""
        words = self._words
        words[UNSETTLED] = 1
        reserved = words[HOLDS_AT + 3 : _END : HOLD_WORDS].tolist()
        records = [HOLDS_AT + number * HOLD_WORDS for number, units in enumerate(reserved) if units]
        sums: dict[int, int] = {}
        living = {owner: lives(owner) for owner in {words[at + 2] for at in records}}
        for at in records:
            if words[at + 2] == self._owner:  # what stands there may be of another worker that had the number before
                words[at + 3] = sum(self._mine.get(words[at + 1], {}).values())
            elif not living[words[at + 2]]:
                words[at + 3] = 0
            sums[words[at + 1]] = sums.get(words[at + 1], 0) + words[at + 3]
        keys = words[BUDGETS_AT:_BUDGETS_END:BUDGET_WORDS].tolist()
        held = words[BUDGETS_AT + RESERVED : _BUDGETS_END : BUDGET_WORDS].tolist()
        for number, (key, units) in enumerate(zip(keys, held, strict=True)):
            if units != sums.get(key, 0):
                words[BUDGETS_AT + number * BUDGET_WORDS + RESERVED] = sums.get(key, 0)

    def close(self) -> None:
        """Let go of all that this worker has reserved; `reconcile` of the others is to follow."""
        for budget in self._mine:
            self._write(budget, 0)
        self._mine.clear()

    def _write(self, budget: int, units: int) -> None:
        key = hash_of(f"{budget} {self._owner}")
        at = self._table.find(key)
        if at < 0:
            at = self._table.claim(key)
            self._words[at + 1] = budget
            self._words[at + 2] = self._owner
        self._words[at + 3] = units
        self._words[at] = key

    def _units(self, at: int) -> int:
        return self._words[at + 3]
