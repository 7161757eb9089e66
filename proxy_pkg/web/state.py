"""What a worker knows of its own condition, for the routes that tell others."""

import time

from msgspec import Struct


class WorkerState(Struct):
    """Written by the worker as it starts and stops, read by `/readyz`. Monotonic time, in seconds."""

    started_monotonic: float
    slot: int = -1
    warm: bool = False
    """Everything that the first request needs is loaded."""
    draining: bool = False
    """Open requests are being finished; new ones should go elsewhere."""

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
