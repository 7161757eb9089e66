"""Rates, budgets and stays in the shared file, taken all or none."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from proxy_pkg.store.budgets import Budgets
from proxy_pkg.store.contract import Budget, Claim, Here, Rate, Scope, Stay, StoreError, Taken
from proxy_pkg.store.holds import Holds
from proxy_pkg.store.rates import Rates
from proxy_pkg.store.region import Now, Region, now
from proxy_pkg.store.stays import Stays

SETTLE_PAUSE_SECONDS: Final = 0.2
"""A refused stay, and a budget of which much is reserved, make us look for dead workers, at most this often."""


class Claims:
    """The claims of a region, in one worker."""

    def __init__(self, region: Region, scope: Scope) -> None:
        self._region = region
        self._scope: Scope = scope
        self.stays = Stays(region)
        self.holds = Holds(region, self.stays.owner)
        budgets = Budgets(region, self.holds)
        self._books: dict[type, Any] = {Rate: Rates(region), Budget: budgets, Stay: self.stays}
        """Claim -> where it is kept: each has `look`, `add` and `standing`."""
        self._settled_at = 0.0
        with suppress(StoreError), region:  # where many workers begin at once, the first claim does it
            self._settle()

    def take(self, claims: Sequence[Claim], force: bool) -> Taken:
        """As the contract says."""
        with self._region:
            moment = now()
            self._settle_first()
            taken = self._take(claims, force, moment)
            if not taken.granted and self._may_be_of_the_dead(claims, taken) and self._settled():
                taken = self._take(claims, force, moment)
            return taken

    def leave(self, stays: Sequence[Stay]) -> None:
        """As the contract says."""
        with self._region:
            for stay in stays:
                self.stays.leave(stay)

    def here(self, key: str) -> list[Here]:
        """As `stays` in the contract."""
        with self._region:
            self._settle_first()
            return self.stays.those(key)

    def close(self) -> None:
        """End the stays of this worker, and free what it has reserved."""
        with self._region:
            self.holds.close()
            self.holds.settle(self.stays.lives)
            self.stays.close()

    def _settle_first(self) -> None:
        if self.stays.unsettled():
            self._settle()

    def _settle(self) -> None:
        self.holds.settle(self.stays.lives)
        self.stays.settle()

    @staticmethod
    def _may_be_of_the_dead(claims: Sequence[Claim], taken: Taken) -> bool:
        return type(claims[taken.refused]) is Stay or taken.standings[taken.refused].reserved > 0

    def _take(self, claims: Sequence[Claim], force: bool, moment: Now) -> Taken:
        steps = []
        refused = -1
        for number, claim in enumerate(claims):
            book = self._books[type(claim)]
            view = book.look(claim, moment)
            blocked = not force and claim.limit != 0 and in_the_way(claim, view)
            if blocked and refused < 0:
                refused = number
            steps.append((claim, book, view, blocked))
        used = [step[2].used for step in steps] if refused >= 0 else self._add(steps, moment)
        standings = tuple(
            [book.standing(claim, view, used.pop(0), moment, blocked) for claim, book, view, blocked in steps]
        )
        return Taken(refused < 0, refused, standings, self._scope)

    def _add(self, steps: list[tuple[Claim, Any, Any, bool]], moment: Now) -> list[int]:
        # A stay may find no room, and must find out before anything else is taken.
        entered = {id(claim): book.add(claim, view, moment) for claim, book, view, _ in steps if type(claim) is Stay}
        return [
            entered[id(claim)] if type(claim) is Stay else book.add(claim, view, moment)
            for claim, book, view, _ in steps
        ]

    def _settled(self) -> bool:
        clock = time.monotonic()
        if clock - self._settled_at < SETTLE_PAUSE_SECONDS:
            return False
        self._settled_at = clock
        self._settle()
        return True


def in_the_way(claim: Claim, view: Any) -> bool:
    """Whether a claim's limit would be passed; `view` says what is used, and for a stay whether it is here already."""
    if isinstance(claim, Stay):
        return view.at < 0 and bool(view.used >= claim.limit)
    if isinstance(claim, Budget) and claim.hold:
        all_units = view.used + view.reserved + claim.cost + claim.hold
        return bool(all_units > claim.limit and (view.reserved or view.used >= claim.limit))
    return bool(view.used + max(claim.cost, 1) > claim.limit)
