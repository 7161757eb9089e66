"""How long a client may keep a connection without bringing a request, or taking an answer.

All connections are looked at once a second, so that no request pays for a timer. What is seen at one look and again at
the next ages; a limit may be passed by a second. The time between two parts of a body is limited where it is read
(web/body.py): only there it is known whether the client is waited for, or the upstream.
"""

from collections.abc import Collection
from enum import Enum
from typing import Any, Final

from msgspec import Struct

from proxy_pkg.server.connection import Connection


class Waiting(Enum):
    """What a connection waits for its client to do."""

    HEAD = "to end the head of a request"
    BODY = "to send more of a body"
    REST = "to end a body whose answer is complete"
    READ = "to read what was written"


class Wait(Struct, frozen=True):
    """`since` is on the loop's clock. `token` says which head it is, or how much was there at the first look."""

    waiting: Waiting
    since: float
    token: Any


class ClientLimits(Struct, frozen=True):
    """The settings that bound what a client may hold."""

    head_seconds: float
    body_seconds: float
    read_seconds: float
    body_rate_bytes_min: int
    buffer_bytes: int = 64 << 10
    """Of an answer, in parts of which it is written."""


class ClientTimeouts:
    """Ages the connections of a worker, and ends those that are too old. Other protocols' connections stay alone."""

    def __init__(self, connections: Collection[Any], limits: ClientLimits) -> None:
        self._connections = connections
        self._limits = limits
        self._seconds: Final = {
            Waiting.HEAD: limits.head_seconds,
            Waiting.REST: limits.body_seconds,
            Waiting.READ: limits.read_seconds,
        }

    def look(self, now: float) -> None:
        """To be called once a second."""
        for connection in list(self._connections):
            if isinstance(connection, Connection):
                connection.wait = wait = self._aged(connection, now)
                if wait is not None and now - wait.since >= self._seconds.get(wait.waiting, now):
                    _end(connection, wait.waiting)

    def _aged(self, connection: Connection, now: float) -> Wait | None:
        seen = self._seen(connection)
        if seen is None:
            return None
        waiting, token = seen
        before: Wait | None = connection.wait
        if before is not None and before.waiting is waiting and self._is_same(waiting, before.token, token):
            return before
        # A connection that was just made is looked at from there on: it has had nothing else to do.
        is_first = waiting is Waiting.HEAD and connection.is_first_head
        return Wait(waiting, connection.made_at if is_first else now, token)

    def _is_same(self, waiting: Waiting, before: Any, token: Any) -> bool:
        if waiting is Waiting.BODY:
            return bool(token - before < max(1, self._limits.body_rate_bytes_min))
        return bool(before == token) if waiting is Waiting.READ else before is token

    def _seen(self, connection: Connection) -> tuple[Waiting, Any] | None:
        """What it waits for now; None if for nothing of its client, or for a request that has not begun."""
        transport, cycle = connection.transport, connection.cycle
        if connection.flow.write_paused or transport.is_closing():
            return Waiting.READ, transport.get_write_buffer_size()
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body or cycle.response_started or connection.flow.read_paused:
                return None
            return Waiting.BODY, connection.body_bytes
        if connection.is_in_head:
            return Waiting.HEAD, connection.scope
        if cycle is not None and cycle.more_body:
            return Waiting.REST, cycle
        # Bytes that begin no head, such as empty lines, have stopped the timer of an idle connection.
        return (Waiting.HEAD, cycle) if connection.timeout_keep_alive_task is None else None


def _end(connection: Connection, waiting: Waiting) -> None:
    if waiting is Waiting.HEAD and connection.is_in_head:
        connection.refuse_head_late()
    elif waiting is Waiting.READ:
        connection.transport.abort()
    else:
        connection.transport.close()
