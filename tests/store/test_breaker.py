"""The circuit breaker: when it opens, and how it finds the way back."""

from itertools import pairwise

from proxy_pkg.store.breaker import FAILURES_MAX, PAUSE_SECONDS, PAUSE_SECONDS_MAX, WINDOW_SECONDS, Breaker


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(FAILURES_MAX):
        breaker.failed()
    assert not breaker.allows
    return breaker


def test_failures_in_a_row_open_it() -> None:
    breaker = Breaker(Clock())
    for _ in range(FAILURES_MAX - 1):
        breaker.failed()
    assert breaker.allows
    breaker.failed()
    assert not breaker.allows


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker(Clock())
    for _ in range(5):
        for _ in range(FAILURES_MAX - 1):
            breaker.failed()
        breaker.succeeded()
    assert breaker.allows


def test_failures_far_apart_keep_it_closed() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(4 * FAILURES_MAX):
        breaker.failed()
        clock.seconds += WINDOW_SECONDS / (FAILURES_MAX - 1) + 0.1
    assert breaker.allows


def test_a_closed_one_wants_no_probe() -> None:
    assert not Breaker(Clock()).probe_due()


def test_one_probe_at_a_time_with_growing_pauses() -> None:
    clock = Clock()
    breaker = opened(clock)
    probes = []
    for _ in range(4000):
        if breaker.probe_due():
            probes.append(clock.seconds - 100)
        breaker.failed()
        clock.seconds += 0.01
    pauses = [later - earlier for earlier, later in pairwise(probes)]
    assert abs(probes[0] - PAUSE_SECONDS) < 0.02
    assert pauses == sorted(pauses) or abs(max(pauses) - pauses[-1]) < 0.02
    assert PAUSE_SECONDS_MAX - 0.02 < pauses[-1] < PAUSE_SECONDS_MAX + 0.02


def pause_of(breaker: Breaker, clock: Clock) -> float:
    """Opens it, and closes it with the first probe. Returns how long that took to be due."""
    for _ in range(FAILURES_MAX):
        breaker.failed()
    began = clock.seconds
    while not breaker.probe_due():
        clock.seconds += 0.01
    breaker.succeeded()
    assert breaker.allows
    return clock.seconds - began


def test_what_opens_again_and_again_is_tried_less_often() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    pauses = [pause_of(breaker, clock) for _ in range(6)]
    assert abs(pauses[0] - PAUSE_SECONDS) < 0.02
    assert all(later > 1.9 * earlier for earlier, later in pairwise(pauses[:4]))
    assert PAUSE_SECONDS_MAX - 0.02 < pauses[-1] < PAUSE_SECONDS_MAX + 0.02


def test_after_a_while_without_a_fault_the_pauses_start_afresh() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    pause_of(breaker, clock)
    clock.seconds += WINDOW_SECONDS + 0.1
    assert abs(pause_of(breaker, clock) - PAUSE_SECONDS) < 0.02
