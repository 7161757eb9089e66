"""The status that a worker reports to its master: one bit each, in the mode of the heartbeat file that both hold open.

The file has no name, is made by gunicorn for each worker and dies with it, so nothing is left to clean up, and a
worker that is killed in the middle leaves a whole answer. SIGCHLD, which the master handles in any case, wakes it.
"""

import os
import signal
from typing import Any, Final

_MADE: Final = 0o600
READY: Final = 0o100
"""The worker serves."""
ENDINGS: Final = frozenset((signal.SIGTERM, signal.SIGQUIT, signal.SIGINT))
"""The signals that end a worker. They are held back from before its fork until it has handlers of its own: those that
it inherits from the master would take them for the master's, and the worker would never end.
"""
RETIRING: Final = 0o010
"""The worker has reached its maximum of requests. It serves until a successor is ready and the master ends it."""


def report(worker: Any, bits: int) -> None:
    """In the worker: add `bits` to what the master can read, and wake it."""
    os.fchmod(worker.tmp.fileno(), _MADE | status_bits(worker) | bits)
    if os.getppid() == worker.ppid:
        os.kill(worker.ppid, signal.SIGCHLD)


def status_bits(worker: Any) -> int:
    """The bits of a worker, 0 once its file is closed."""
    try:
        return os.fstat(worker.tmp.fileno()).st_mode & (READY | RETIRING)
    except (OSError, ValueError):
        return 0
