"""Taking connections from the queue that all workers share.

Whoever wakes first would take all of a burst, and connections that are kept alive would pin its clients to one worker
for good. So a worker takes one connection at a time, and one that has more to do than another waits a little first: the
other will have taken it by then. If not, it takes it itself. A wait never loses or refuses a connection.
"""

import asyncio
import errno
import logging
from collections.abc import Callable
from typing import Any, Final

from proxy_pkg.server.connection_limit import ConnectionLimit
from proxy_pkg.server.load_table import LoadTable, Reading

TOLERATED_SHARE: Final = 8
"""A worker may have one connection more than another, and this part of its load: so little is not worth a wait.
One that has nothing at all to do always comes first."""
DEFER_SECONDS: Final = 0.003
"""One wait for another worker."""
DEFERRALS_MAX: Final = 10
"""Waits for the sake of one connection."""
EXHAUSTED_PAUSE_SECONDS: Final = 0.1
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

logger = logging.getLogger("proxy_pkg")


class Balancer:
    """Compares the load of this worker with that of the others. Without a `load_table` there are no others."""

    def __init__(
        self, load: Callable[[], int], load_table: LoadTable | None = None, slot: int = -1, pid: int = 0
    ) -> None:
        self._load = load
        self._load_table = load_table if slot >= 0 else None
        self._slot = slot
        self._pid = pid
        self._idler: list[Reading] = []
        self._silent: list[Reading] = []
        self._has_left = False

    def publish(self) -> int:
        """Publish the load for the other workers, and return it."""
        load = self._load()
        if self._load_table is not None and not self._has_left:
            self._load_table.publish(self._slot, self._pid, load)
        return load

    def leave(self) -> None:
        """Take this worker out of the table: no other worker waits for it from now on."""
        self._has_left = True
        if self._load_table is not None:
            self._load_table.leave(self._slot)

    @property
    def is_alone(self) -> bool:
        """Whether no other worker takes connections."""
        return self._load_table is None or not self._load_table.others(self._slot)

    @property
    def exceeded(self) -> bool:
        """Whether a worker that shows life has clearly less to do."""
        load = self.publish()
        if self._load_table is None or self._has_left:
            return False
        less = max(load - 1 - load // TOLERATED_SHARE, min(load, 1))
        others = self._load_table.others(self._slot)
        self._silent = [sign for sign in self._silent if sign in others]
        self._idler = [sign for sign in others if sign[0] < less and sign not in self._silent]
        return bool(self._idler)

    def waited(self) -> None:
        """The wait brought nothing: a less loaded worker is not waited for again until it publishes a new load."""
        self._silent += self._idler


class Acceptor:
    """Takes connections from `listener`, a listening socket that does not block, and hands them to the loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: Any,
        protocol: Callable[[], asyncio.Protocol],
        balancer: Balancer,
        limit: ConnectionLimit | None = None,
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._protocol = protocol
        self._balancer = balancer
        self._limit = limit
        self._timer: asyncio.TimerHandle | None = None
        self._deferrals = 0
        self._exhausted = False
        self._stopped = False
        self._pending: set[asyncio.Task[Any]] = set()

    @property
    def pending(self) -> int:
        """Connections taken and not yet seen by their protocol."""
        return len(self._pending)

    def start(self) -> None:
        self._timer = None
        self._loop.add_reader(self._listener.fileno(), self._on_readable)

    def stop(self) -> None:
        """Take nothing more by itself. The queue stays open for other processes."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._listener.fileno())

    def take_all(self) -> None:
        """Take what is in the queue already, whatever others have to do."""
        while self._take():
            pass

    def _on_readable(self) -> None:
        if self._balancer.exceeded:
            if self._deferrals < DEFERRALS_MAX:
                self._deferrals += 1
                self._pause(DEFER_SECONDS)
                return
            self._balancer.waited()
        self._deferrals = 0
        if self._limit is not None and self._limit.is_reached:
            # What is closed now is free when the loop has turned, and the listener is still readable then.
            if not self._limit.make_room():
                self._on_exhausted("all connections that descriptors allow have requests")
            return
        self._take()

    def _pause(self, seconds: float) -> None:
        if self._stopped:
            return
        self._loop.remove_reader(self._listener.fileno())
        self._timer = self._loop.call_later(seconds, self.start)

    def _take(self) -> bool:
        """Take one connection; False if there is none to be had now."""
        try:
            peer, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionError:
            return True  # that one left while it waited; there may be others
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            if self._limit is not None:
                self._limit.make_room()
            self._on_exhausted(error.strerror or str(error))
            return False
        self._exhausted = False
        peer.setblocking(False)
        pending = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, peer))
        self._pending.add(pending)
        pending.add_done_callback(self._on_opened)
        return True

    def _on_opened(self, pending: "asyncio.Task[Any]") -> None:
        self._pending.discard(pending)
        if not pending.cancelled() and isinstance(pending.exception(), OSError):
            logger.debug("a connection was gone before it was open: %s", pending.exception())

    def _on_exhausted(self, reason: str) -> None:
        """Leave the other connections in the queue until descriptors are free again. Logged once, not at every try."""
        if not self._exhausted:
            logger.error("no connection can be taken for now: %s", reason)
        self._exhausted = True
        self._pause(EXHAUSTED_PAUSE_SECONDS)
