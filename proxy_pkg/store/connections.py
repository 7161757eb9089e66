"""How a Redis is connected to: in the background, within a limit of its own, while calls have theirs.

Connecting takes several round trips (TCP, TLS, the password, the database), a call takes one. A call that waits for a
connection and runs into its own limit leaves; the connection is made all the same, and the next call finds it.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Final, Self

from redis.exceptions import ConnectionError

CONNECTIONS_MAX: Final = 32
"""Per worker; more calls at once wait for one, within their time."""


class Patient:
    """What a connection class of redis-py becomes: whoever leaves while it connects leaves it to that.

    redis-py itself keeps a connection whose caller left between TCP and the password's answer, and then reads that
    answer as the next command's.
    """

    _making: "asyncio.Task[None] | None" = None

    async def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        if self._making is not None and asyncio.current_task() is self._making:
            await super().connect_check_health(check_health, retry_socket_connect)  # type: ignore[misc]
            return
        if self._making is None:
            if self.is_connected:  # type: ignore[attr-defined]
                return
            self._making = asyncio.get_running_loop().create_task(self._make(check_health, retry_socket_connect))
            self._making.add_done_callback(self._made)
        making = self._making
        await asyncio.wait((making,))  # which leaves it alone where its caller is cancelled
        if making.cancelled():
            raise ConnectionError("closed while it was being made")
        making.result()

    async def disconnect(self, *arguments: Any, **options: Any) -> None:
        making = self._making
        if making is not None and asyncio.current_task() is not making:
            making.cancel()
            await asyncio.wait((making,))
        await super().disconnect(*arguments, **options)  # type: ignore[misc]

    async def _make(self, check_health: bool, retry_socket_connect: bool) -> None:
        try:
            async with asyncio.timeout(self.socket_connect_timeout):  # type: ignore[attr-defined]
                await super().connect_check_health(check_health, retry_socket_connect)  # type: ignore[misc]
        except BaseException:
            with suppress(Exception):
                await super().disconnect(nowait=True)  # type: ignore[misc]
            raise

    def _made(self, making: "asyncio.Task[None]") -> None:
        self._making = None
        if not making.cancelled():
            making.exception()  # seen, where nobody waits for it any more


def patient(connection_class: type) -> type:
    """The same class, whose connecting outlives whoever asked for it."""
    return type(f"Patient{connection_class.__name__}", (Patient, connection_class), {})


class Connections:
    """A place for each call, as many as there are connections that are made; where none is free, one more is made.

    A call that waits takes whichever is free first: a new connection, which may need more time than the call has, or
    one that another call gives back. `async with` acquires a place. A Cluster has its connections by node: then there
    are CONNECTIONS_MAX places from the start.
    """

    def __init__(self, client: Any) -> None:
        self._pool: Any = getattr(client, "connection_pool", None)
        self._made = 0 if self._pool is not None else CONNECTIONS_MAX
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._making: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        while self._busy >= self._made:
            self._make_one_more()
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled() and turn.exception() is None:
                    self._wake_one()
                raise
        self._busy += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._busy -= 1
        self._wake_one()

    def joined(self) -> None:
        """A call through a connection of its own came back after a time in which all failed: what was made before
        is as good as lost.
        """
        if self._pool is not None:
            self._made = 1
        self._wake_one()

    async def close(self) -> None:
        if self._making is not None:
            self._making.cancel()
            await asyncio.wait((self._making,))

    def _make_one_more(self) -> None:
        if self._making is None and self._made < CONNECTIONS_MAX:
            self._making = asyncio.get_running_loop().create_task(self._make())

    async def _make(self) -> None:
        connection = self._pool.make_connection()
        try:
            await connection.connect()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told to those who wait for it
            self._making = None
            self._fail(error)
            return
        except BaseException:
            self._making = None
            raise
        self._making = None
        self._pool._available_connections.append(connection)  # there is no other way to give a pool a connection
        self._made += 1
        self._wake_one()

    def _wake_one(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _fail(self, error: Exception) -> None:
        """Nobody waits for what cannot be had; where others have connections, theirs will be free."""
        if self._made:
            return
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(error)
