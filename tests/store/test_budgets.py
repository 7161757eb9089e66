"""Budgets in the shared file: their time, their room, and clocks that jump."""

from proxy_pkg.store.budgets import Budgets
from proxy_pkg.store.contract import Budget
from proxy_pkg.store.layout import BUDGETS
from proxy_pkg.store.region import Now, Region, private_region
from proxy_pkg.store.reservations import Reservations

DAY = 86_400


def budgets_of(region: Region) -> Budgets:
    return Budgets(region, Reservations(region, 1))


def charge(budgets: Budgets, claim: Budget, wall_s: float) -> int:
    now = Now(0, wall_s)
    return budgets.add(claim, budgets.look(claim, now), now)


def used(budgets: Budgets, key: str, wall_s: float) -> int:
    return budgets.look(Budget(key, 0, 0, DAY), Now(0, wall_s)).used


def test_a_budget_is_forgotten_when_its_time_is_over_and_not_before() -> None:
    budgets = budgets_of(private_region())
    assert charge(budgets, Budget("b", 5, 0, DAY), 1000) == 5
    assert charge(budgets, Budget("b", 2, 0, DAY), 1000 + DAY - 1) == 7
    assert used(budgets, "b", 1000 + DAY) == 0
    assert charge(budgets, Budget("b", 1, 0, DAY), 1000 + DAY) == 1


def test_a_clock_that_was_ahead_keeps_nobody_waiting_for_it() -> None:
    budgets = budgets_of(private_region())
    years = 20 * 365 * DAY
    charge(budgets, Budget("b", 5, 0, DAY), years)
    assert used(budgets, "b", 1000) == 5
    assert used(budgets, "b", 1000 + DAY + 2) == 0


def test_a_full_table_forgets_who_spent_least() -> None:
    budgets = budgets_of(private_region())
    charge(budgets, Budget("dear", 10**6, 0, DAY), 1000)
    for number in range(2 * BUDGETS):
        charge(budgets, Budget(str(number), 1, 0, DAY), 1000)
    assert used(budgets, "dear", 1000) == 10**6
    known = sum(used(budgets, str(number), 1000) for number in range(2 * BUDGETS))
    assert BUDGETS // 2 < known < BUDGETS
