"""How the descriptors of a process are shared between its clients, its upstreams and everything else."""

import resource
from pathlib import Path
from typing import Final

SPARE: Final = 32
"""For the log, state files, lookups and the loop's own, beyond what is open at the start."""
_UNLIMITED: Final = 1 << 30
_OPEN: Final = Path("/proc/self/fd")
_OPEN_GUESSED: Final = 64
"""What is taken to be open where there is no /proc, as in some containers."""


def descriptor_shares(upstreams_max: int) -> tuple[int, int]:
    """The most connections of clients, and of upstreams, that this process has descriptors for.

    Upstreams get what the settings say, `upstreams_max`, or half of what there is where that is less.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        limit = _UNLIMITED
    free = max(2, limit - _open_now())
    free -= min(SPARE, free // 4)
    upstreams = min(upstreams_max, free // 2)
    return free - upstreams, upstreams


def _open_now() -> int:
    try:
        return len(list(_OPEN.iterdir()))
    except OSError:
        return _OPEN_GUESSED
