"""A request that has ended, as the log and the list of the last requests tell of it."""

import re
import time
from functools import lru_cache
from typing import Final

from msgspec import Struct

from proxy_pkg.stats.record import RequestRecord

_PATH_CHARS_MAX: Final = 256
_QUERY: Final = re.compile(r"[?#;&]")
"""Where a query begins, for whoever wrote it: clients that encode once too often put theirs into the path."""
_SECRET: Final = re.compile(
    r"(?i)(?:bearer|basic)[ +:=]+[^/]+"
    r"|(?<![a-z0-9])(?:(?:sk|pk|gsk|xai|hf|ghp)[-_][^/]{8,}|AIza[^/]+|ya29\.[^/]+|ABSK[^/]+|eyJ[^/]{16,})"
    r"|(?:key|token|secret|password)=[^/]*"
    r"|(?<=//)[^/]*@"
)
"""What only credentials look like: a scheme and what follows, known beginnings, a name with its value, userinfo."""


class Ended(Struct, frozen=True):
    """What is noted when a request ends. Nothing is written down from it before somebody has a moment."""

    id: str
    method: str
    path: str
    """As it came: `shown_path` is for others to see."""
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


def shown_path(path: str) -> str:
    """A path for a log, without what may be a query or a credential, and not too long."""
    return _shown(path[: 2 * _PATH_CHARS_MAX])


@lru_cache(maxsize=256)  # most requests have one of few
def _shown(path: str) -> str:
    shown = _SECRET.sub("***", _QUERY.split(path, maxsplit=1)[0])
    return shown if len(shown) <= _PATH_CHARS_MAX else shown[:_PATH_CHARS_MAX] + "..."


@lru_cache(maxsize=4)  # most share their second with the one before
def _second(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
