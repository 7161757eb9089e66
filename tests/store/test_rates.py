"""The sliding window: never more than the limit in any period, and hardly ever less."""

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.store.contract import PERIOD_PARTS, Rate
from proxy_pkg.store.hash_table import PLACES_MAX
from proxy_pkg.store.layout import RATES
from proxy_pkg.store.rates import Rates
from proxy_pkg.store.region import Now, private_region

SECOND = 10**9
PERIOD_S = 8
PART_NS = PERIOD_S * SECOND // PERIOD_PARTS


class Clocked:
    """Rates with a clock that the test turns, and every grant it made."""

    def __init__(self) -> None:
        self.rates = Rates(private_region())
        self.now_ns = 5 * SECOND
        self.grants: list[tuple[int, int]] = []

    def acquire(self, cost: int, limit: int, key: str = "a") -> bool:
        now = Now(self.now_ns, 0.0)
        claim = Rate(key, cost, limit, PERIOD_S)
        window = self.rates.look(claim, now)
        if window.used + max(cost, 1) > limit:
            return False
        self.rates.add(claim, window, now)
        self.grants.append((self.now_ns, cost))
        return True

    def within(self, span_ns: int) -> int:
        return sum(cost for at, cost in self.grants if self.now_ns - at < span_ns)

    def look(self, key: str = "a") -> int:
        return self.rates.look(Rate(key, 0, 0, PERIOD_S), Now(self.now_ns, 0.0)).used


STEPS = st.lists(
    st.tuples(st.integers(0, PERIOD_S * SECOND // 3) | st.integers(0, 3 * PART_NS), st.integers(1, 4)), max_size=60
)


@settings(max_examples=150)
@given(STEPS)
def test_no_period_holds_more_than_the_limit_nor_is_room_refused(steps: list[tuple[int, int]]) -> None:
    clocked, limit = Clocked(), 6
    for pause_ns, cost in steps:
        clocked.now_ns += pause_ns
        before, longer = clocked.within(PERIOD_S * SECOND), clocked.within(PERIOD_S * SECOND + PART_NS)
        granted = clocked.acquire(cost, limit)
        if granted:
            assert before + cost <= limit
        else:
            assert longer + cost > limit


def test_under_steady_pressure_almost_all_is_granted() -> None:
    clocked, limit, periods = Clocked(), 600, 20
    for _ in range(periods * limit * 3):
        clocked.acquire(1, limit)
        clocked.now_ns += PERIOD_S * SECOND // (limit * 3)
    assert 0.99 * periods * limit <= len(clocked.grants) <= (periods + 1) * limit


@settings(max_examples=60)
@given(STEPS)
def test_waiting_as_told_is_enough(steps: list[tuple[int, int]]) -> None:
    clocked, limit = Clocked(), 6
    for pause_ns, cost in steps:
        clocked.now_ns += pause_ns
        if clocked.acquire(cost, limit):
            continue
        claim, now = Rate("a", cost, limit, PERIOD_S), Now(clocked.now_ns, 0.0)
        window = clocked.rates.look(claim, now)
        wait_ms = clocked.rates.state(claim, window, window.used, now, True).retry_after_ms
        clocked.now_ns += wait_ms * 10**6
        assert clocked.acquire(cost, limit)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, SECOND), st.integers(-5, 9)), max_size=40))
def test_what_is_given_back_is_given_back_once(steps: list[tuple[int, int]]) -> None:
    """As long as nothing has passed out of the window, it is a plain sum that never falls below zero."""
    clocked, held = Clocked(), 0
    for pause_ns, cost in steps:
        clocked.now_ns += pause_ns // 8
        now, claim = Now(clocked.now_ns, 0.0), Rate("a", cost, 0, PERIOD_S)
        held = max(0, held + cost)
        assert clocked.rates.add(claim, clocked.rates.look(claim, now), now) == held
    assert clocked.look() == held


def test_a_clock_that_starts_anew_locks_nobody_out() -> None:
    clocked = Clocked()
    clocked.now_ns = 10**6 * SECOND
    assert clocked.acquire(6, 6) and not clocked.acquire(1, 6)
    clocked.now_ns = 1 * SECOND
    assert clocked.acquire(6, 6)
    assert not clocked.acquire(1, 6)
    clocked.now_ns += 2 * PERIOD_S * SECOND
    assert clocked.acquire(6, 6)


def test_a_full_table_forgets_who_has_not_come_for_longest() -> None:
    clocked = Clocked()
    keys = [str(number) for number in range(RATES + 400)]
    for key in keys:
        clocked.acquire(1, 9, key)
        clocked.acquire(1, 9, "always")
        clocked.now_ns += PART_NS // 1000
    known = sum(clocked.look(key) for key in keys)
    assert RATES - 300 < known <= RATES
    assert clocked.look("always") == len(keys) or clocked.look("always") == 9
    assert sum(clocked.look(key) for key in keys[-PLACES_MAX:]) >= PLACES_MAX - 4
