"""A request that has ended, as the log and the list of the last requests tell of it."""

import time
from functools import lru_cache

from msgspec import Struct

from proxy_pkg.stats.record import RequestRecord


class Ended(Struct, frozen=True):
    """What is noted when a request ends. Nothing is written down from it before somebody has a moment."""

    id: str
    method: str
    path: str
    status: int
    """0 where no answer was started."""
    record: RequestRecord
    problem: str
    """Why it went wrong, as a sentence; empty if it did not."""
    unix_seconds: float
    """When it ended."""
    duration_ns: int

    @property
    def time(self) -> str:
        """When it ended, in UTC, as ISO 8601 has it."""
        second = int(self.unix_seconds)
        return f"{_second(second)}.{int((self.unix_seconds - second) * 1000):03d}Z"


@lru_cache(maxsize=4)  # most share their second with the one before
def _second(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
