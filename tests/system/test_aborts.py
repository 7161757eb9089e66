"""Clients that leave, in every phase of a request, leave nothing behind (the full number: `make bench-aborts`)."""

from collections.abc import Callable

from bench.aborts import SETTINGS, aborted
from bench.processes import Server
from tests.fakes.upstream import Upstream


def test_a_storm_of_clients_that_leave_leaves_nothing_open(server: Callable[..., Server], upstream: Upstream) -> None:
    started = server(**SETTINGS)
    figures = aborted(started, upstream, 1000)
    missed = [each for each in figures if not each.meets_bar and each.unit != "ms to the upstream, longest"]
    assert not missed
    log = started.log.read_text()
    assert "Traceback" not in log
    assert "never retrieved" not in log
