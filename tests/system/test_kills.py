"""Workers that are killed at any moment, their start included, leave no worker stuck."""

from bench.kills import kills


def test_no_start_stays_stuck_under_kills() -> None:
    stuck, *_ = kills(24, seed=7)
    assert stuck.meets_bar, stuck.cells()
