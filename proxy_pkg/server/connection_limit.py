"""How many connections of clients a worker has at most, and which of them make room for others.

Descriptors run short before anything else does, and without one there is no upstream connection, no log and no state
file. So clients get a part of them. Beyond it, the connections that waited longest for their client are closed: idle
ones, those with half a head, and those with a body that hardly moves.
"""

import logging
import math
from collections.abc import Callable, Collection
from typing import Any, Final

from proxy_pkg.server.client_timeouts import Wait, Waiting
from proxy_pkg.server.connection import Connection

BATCH_SHARE: Final = 16
"""This part of those that could be closed is closed at once: to look for the oldest costs a look at all of them."""
PATIENCE_SECONDS: Final = 2.0
"""What has waited for so long, for a head or for a body that hardly moves, makes room before anything newer."""

logger = logging.getLogger("proxy_pkg")


class ConnectionLimit:
    """The limit of one worker. `pending` counts connections that are not among `connections` yet."""

    def __init__(
        self,
        connections: Collection[Any],
        pending: Callable[[], int],
        clock: Callable[[], float],
        most: float = math.inf,
    ) -> None:
        self._connections = connections
        self._pending = pending
        self._clock = clock
        self._is_logged = False
        self.most = most

    @property
    def is_reached(self) -> bool:
        return len(self._connections) + self._pending() >= self.most

    def make_room(self) -> bool:
        """Close some connections, the oldest first; False where each has something to do. A descriptor is free
        again only when the loop has turned.
        """
        if not self._is_logged:
            logger.warning(
                "%d connections are open, and descriptors run short: those that wait longest for their client are "
                "closed; a higher limit for open files (ulimit -n) gives room for more",
                len(self._connections),
            )
            self._is_logged = True
        now = self._clock()
        ages = [
            (_idle_age(connection, now), _stalled_age(connection, now), connection)
            for connection in self._connections
            if isinstance(connection, Connection) and not connection.transport.is_closing()
        ]
        waiting = [(max(idle, stalled), connection) for idle, stalled, connection in ages]
        candidates = [pair for pair in waiting if pair[0] >= PATIENCE_SECONDS]
        if not candidates:
            # All are new. Where most of them bring bodies, those that will not go on are known in a moment.
            candidates = [(idle, connection) for idle, _, connection in ages if idle >= 0]
            if 2 * len(candidates) < len(ages):
                return False
        candidates.sort(key=lambda pair: -pair[0])
        closed, wanted = 0, len(candidates) // BATCH_SHARE + 1
        for _, connection in candidates:
            closed += connection.make_way()
            if closed == wanted:
                break
        return closed > 0


def _idle_age(connection: Connection, now: float) -> float:
    """For how long a connection has waited for a head or its end; below 0 if it does something else."""
    cycle = connection.cycle
    if cycle is not None and not cycle.response_complete:
        return -1
    if connection.is_first_head:
        return now - connection.made_at
    timer = connection.timeout_keep_alive_task
    if timer is not None:
        return max(0.0, now - timer.when() + connection.timeout_keep_alive)
    return 0 if connection.wait is None else now - connection.wait.since


def _stalled_age(connection: Connection, now: float) -> float:
    """For how long a body has hardly moved; below 0 for everything else."""
    wait: Wait | None = connection.wait
    return now - wait.since if wait is not None and wait.waiting is Waiting.BODY else -1
