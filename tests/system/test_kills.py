"""Workers that are killed at any moment, their start included, leave no worker stuck."""

from bench.kills import kills


def test_no_start_stays_stuck_under_kills() -> None:
    assert [figure.cells() for figure in kills(60, seed=7) if not figure.meets_bar] == []
