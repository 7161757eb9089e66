"""What a worker knows of its own condition, for the routes that tell others."""

import time
from collections.abc import Awaitable, Callable

from msgspec import Struct

from proxy_pkg.prices.table import Source
from proxy_pkg.stats.figures import Figures
from proxy_pkg.stats.snapshot import Server
from proxy_pkg.telemetry.shared_publisher import SharedPublisher

Section = Callable[[Server], Awaitable[object]]
"""Tells one part of `/stats` that is more than counts: what JSON can hold. It raises nothing."""


class WorkerState(Struct):
    """Written by the worker as it starts and stops, read by `/readyz`. Monotonic time, in seconds."""

    started_monotonic: float
    slot: int = -1
    warm: bool = False
    """Everything that the first request needs is loaded."""
    draining: bool = False
    """Open requests are being finished; new ones should go elsewhere."""
    shared_publisher: SharedPublisher | None = None
    """What the workers tell each other, once the loop runs."""
    prices: tuple[Source, ...] = ()
    """Which prices costs are worked out with, those that go first at the front."""
    fleet: Callable[[Server], Awaitable[Figures | None]] | None = None
    """Tells the sums of all servers, or None if they are not known now; there is one only where they share a store."""
    sections: dict[str, Section] = {}
    """By their names in `/stats`; there are some only while the worker's loop runs."""

    @property
    def age_seconds(self) -> float:
        """Since the worker started."""
        return round(time.monotonic() - self.started_monotonic, 3)

    @property
    def hindrance(self) -> str:
        """Why this worker should not be sent requests; empty if it should."""
        if self.draining:
            return "draining"
        return "" if self.warm else "starting"
