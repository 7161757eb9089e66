"""Rates, budgets and leases in the shared file, taken all or none."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from proxy_pkg.store.budgets import Budgets
from proxy_pkg.store.contract import Acquisition, Budget, Claim, Lease, LeaseHolder, Rate, Scope, StoreError
from proxy_pkg.store.leases import Leases
from proxy_pkg.store.rates import Rates
from proxy_pkg.store.region import Now, Region, now
from proxy_pkg.store.reservations import Reservations

RECONCILE_PAUSE_SECONDS: Final = 0.2
"""A refused lease, and a budget of which much is reserved, make us look for dead workers, at most this often."""


class Claims:
    """The claims of a region, in one worker."""

    def __init__(self, region: Region, scope: Scope) -> None:
        self._region = region
        self._scope: Scope = scope
        self.leases = Leases(region)
        self.holds = Reservations(region, self.leases.owner)
        budgets = Budgets(region, self.holds)
        self._books: dict[type, Any] = {Rate: Rates(region), Budget: budgets, Lease: self.leases}
        """Claim -> where it is kept: each has `look`, `add` and `state`."""
        self._reconciled_at = 0.0
        with suppress(StoreError), region:  # where many workers begin at once, the first claim does it
            self._reconcile()

    def acquire(self, claims: Sequence[Claim], force: bool) -> Acquisition:
        """As the contract says."""
        with self._region:
            moment = now()
            self._reconcile_first()
            acquired = self._take(claims, force, moment)
            if not acquired.granted and self._may_be_of_the_dead(claims, acquired) and self._reconciled():
                acquired = self._take(claims, force, moment)
            return acquired

    def release(self, leases: Sequence[Lease]) -> None:
        """As the contract says."""
        with self._region:
            for lease in leases:
                self.leases.release(lease)

    def here(self, key: str) -> list[LeaseHolder]:
        """As `leases` in the contract."""
        with self._region:
            self._reconcile_first()
            return self.leases.those(key)

    def close(self) -> None:
        """End the leases of this worker, and free what it has reserved."""
        with self._region:
            self.holds.close()
            self.holds.reconcile(self.leases.lives)
            self.leases.close()

    def _reconcile_first(self) -> None:
        if self.leases.unsettled():
            self._reconcile()

    def _reconcile(self) -> None:
        self.holds.reconcile(self.leases.lives)
        self.leases.reconcile()

    @staticmethod
    def _may_be_of_the_dead(claims: Sequence[Claim], acquired: Acquisition) -> bool:
        return type(claims[acquired.refused]) is Lease or acquired.states[acquired.refused].reserved > 0

    def _take(self, claims: Sequence[Claim], force: bool, moment: Now) -> Acquisition:
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
        states = tuple([book.state(claim, view, used.pop(0), moment, blocked) for claim, book, view, blocked in steps])
        return Acquisition(refused < 0, refused, states, self._scope)

    def _add(self, steps: list[tuple[Claim, Any, Any, bool]], moment: Now) -> list[int]:
        # A lease may find no room, and must find out before anything else is taken.
        entered = {id(claim): book.add(claim, view, moment) for claim, book, view, _ in steps if type(claim) is Lease}
        return [
            entered[id(claim)] if type(claim) is Lease else book.add(claim, view, moment)
            for claim, book, view, _ in steps
        ]

    def _reconciled(self) -> bool:
        clock = time.monotonic()
        if clock - self._reconciled_at < RECONCILE_PAUSE_SECONDS:
            return False
        self._reconciled_at = clock
        self._reconcile()
        return True


def in_the_way(claim: Claim, view: Any) -> bool:
    """Whether a claim's limit would be passed; `view` says what is used, and for a lease whether it is here already."""
    if isinstance(claim, Lease):
        return view.at < 0 and bool(view.used >= claim.limit)
    if isinstance(claim, Budget) and claim.hold:
        all_units = view.used + view.reserved + claim.cost + claim.hold
        return bool(all_units > claim.limit and (view.reserved or view.used >= claim.limit))
    return bool(view.used + max(claim.cost, 1) > claim.limit)
