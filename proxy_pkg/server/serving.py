"""One worker's serving loop: uvicorn's Server with our way of accepting, of showing life, and above all of ending.

The end of a worker, each step within its time:

1. It is not ready any more and takes no connection but those that are in the queue already.
2. Each open connection gets the answer it waits for, with `connection: close`. Answers have until the drain limit. One
   that is idle goes to another worker; where there is none, it may bring one request more, for it may be on its way.
3. Those still open get an error in the stream's own format, at the end of an event, and are closed.
4. The app closes down: counters and log lines are written.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Protocol

from uvicorn.config import Config
from uvicorn.server import Server, logger

from proxy_pkg.server.accept import Acceptor, Balancer
from proxy_pkg.server.allocator import allocator_trim
from proxy_pkg.server.client_timeouts import ClientLimits, ClientTimeouts
from proxy_pkg.server.connection import Connection, HandedOverConnection, OpenConnections
from proxy_pkg.server.connection_limit import ConnectionLimit
from proxy_pkg.server.handover import Handover
from proxy_pkg.server.load_table import LoadTable

BEAT_SECONDS: Final = 1.0
PARTING_SECONDS: Final = 2.0
"""Time for open exchanges to end in good order once their limit has passed."""
_POLL_SECONDS: Final = 0.05


class Life(Protocol):
    """What the serving loop needs of the process that it runs in."""

    load_table: LoadTable | None
    slot: int
    handover: Handover | None
    max_requests: int
    client_limits: ClientLimits
    connections_max: int
    """Connections of clients that there are descriptors for."""

    def begin_drain(self) -> None:
        """From now on this worker is not ready."""

    def abandon(self) -> None:
        """End every open exchange, in good order."""

    def beat(self) -> None:
        """The loop turns: report it to the master, which ends a worker that stops reporting."""

    def on_ready(self) -> None:
        """The worker serves."""

    def on_retiring(self) -> None:
        """The worker has served as many requests as it should."""

    def is_spent(self) -> bool:
        """Whether the process is not fit to serve for long."""

    def is_orphan(self) -> bool:
        """Whether the master is gone."""


class ServingLoop(Server):
    """Serves until a signal ends it."""

    def __init__(self, config: Config, life: Life) -> None:
        super().__init__(config)
        self._life = life
        self._stop = asyncio.Event()
        self._hurry = False
        self._is_retiring = False
        self._pulse: asyncio.TimerHandle | None = None
        self._acceptors: list[Acceptor] = []
        self._successor: Acceptor | None = None
        self._balancer = Balancer(self._load, life.load_table, life.slot, os.getpid())
        self.server_state = OpenConnections(self._balancer.publish)
        self.server_state.head_timeout_seconds = life.client_limits.head_seconds
        self.server_state.buffer_bytes = life.client_limits.buffer_bytes
        self._freed = allocator_trim()
        self._timeouts = ClientTimeouts(self.server_state.connections, life.client_limits)

    async def serve(self, sockets: Any = None) -> None:
        """All of it. No sign of life is given afterwards: what is left to do then has a time of its own."""
        try:
            await super().serve(sockets)
        finally:
            if self._pulse is not None:
                self._pulse.cancel()

    async def startup(self, sockets: Any = None) -> None:
        """Begin to accept from `sockets`, which listen already. Ends the process if the app cannot start."""
        self.servers = []
        self._beat()
        await super().startup(sockets=[])
        loop = asyncio.get_running_loop()
        named: Any = {
            "config": self.config,
            "server_state": self.server_state,
            "app_state": self.lifespan.state,
            "_loop": loop,
        }
        protocol = partial(Connection, **named)
        limit = ConnectionLimit(self.server_state.connections, self._pending, loop.time, self._life.connections_max)
        self.server_state.default_headers = self.config.encoded_headers
        self._acceptors = [Acceptor(loop, listener, protocol, self._balancer, limit) for listener in sockets or []]
        if self._life.handover is not None:
            self._successor = Acceptor(
                loop, self._life.handover, partial(HandedOverConnection, **named), self._balancer
            )
            self._acceptors.append(self._successor)
        for acceptor in self._acceptors:
            acceptor.start()
        self._life.on_ready()

    async def main_loop(self) -> None:
        await self._stop.wait()

    async def shutdown(self, sockets: Any = None) -> None:
        """The steps above."""
        logger.info("draining: %d connections, %d requests", *self._open())
        self._life.begin_drain()
        self._balancer.leave()
        for acceptor in self._acceptors:
            acceptor.stop()
            if acceptor is not self._successor:
                acceptor.take_all()
        for listener in sockets or []:
            listener.close()
        await self._finish()
        if any(self._open()):
            await self._part()
        await self.lifespan.shutdown()

    async def _finish(self) -> None:
        """Let open connections come to their end."""
        limit = time.monotonic() + (self.config.timeout_graceful_shutdown or 0)
        asked: set[Any] = set()
        while not self._hurry and time.monotonic() < limit:
            self._pass_on()
            for connection in self.server_state.connections - asked:
                connection.shutdown()
                asked.add(connection)
            if not any(self._open()):
                return
            await asyncio.sleep(_POLL_SECONDS)

    def _pass_on(self) -> None:
        """Give idle connections to the workers that go on. The last worker takes what others gave before they ended."""
        if self._life.handover is None or self._successor is None:
            return
        if self._balancer.is_alone:
            self._successor.take_all()
            return
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection) and connection.is_idle:
                connection.hand_over(self._life.handover)

    async def _part(self) -> None:
        """End what is still open, in good order first, then at once."""
        reason = "it is to end at once" if self._hurry else "the drain limit has passed"
        logger.warning("%s: ending %d connections, %d requests", reason, *self._open())
        self._life.abandon()
        for connection in list(self.server_state.connections):
            abandon = getattr(connection, "abandon", None)
            if abandon is not None:
                abandon()
        limit = time.monotonic() + PARTING_SECONDS
        while any(self._open()) and time.monotonic() < limit:  # noqa: ASYNC110 (uvicorn keeps plain sets)
            await asyncio.sleep(_POLL_SECONDS)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        await asyncio.sleep(0)

    def _open(self) -> tuple[int, int]:
        return len(self.server_state.connections) + self._pending(), len(self.server_state.tasks)

    def _pending(self) -> int:
        return sum(acceptor.pending for acceptor in self._acceptors)

    def _load(self) -> int:
        return sum(self._open())

    def _beat(self) -> None:
        """Once a second on the loop's own clock, which no change of the time of day reaches."""
        self._pulse = asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)
        self._life.beat()
        self._timeouts.look(asyncio.get_running_loop().time())
        self._freed.look(is_idle=not self.server_state.tasks)
        if not self._stop.is_set():
            self._balancer.publish()
        is_due = self.server_state.total_requests >= self._life.max_requests or self._life.is_spent()
        if is_due and not self._is_retiring:
            self._is_retiring = True
            self._life.on_retiring()
        if self._life.is_orphan() and not self._hurry:
            logger.error("the master is gone, so nobody would replace or end this worker: it ends now")
            self._end(hurry=True)

    def _end(self, hurry: bool) -> None:
        self._hurry = self._hurry or hurry
        self.should_exit = True
        self._stop.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """TERM drains; INT and QUIT end at once, if in good order.

        Nothing is raised again afterwards, as uvicorn would: the process then ends by itself, and its hooks run.
        """
        loop = asyncio.get_running_loop()
        hurries = {signal.SIGTERM: False, signal.SIGINT: True, signal.SIGQUIT: True}
        for number, hurry in hurries.items():
            loop.add_signal_handler(number, self._end, hurry)
        yield
