"""A client's connection: uvicorn's own, with the head of an answer held back until its first bytes can go along.

A write is the dearest thing a relayed request does, and uvicorn writes the head of every answer by itself. Held
for the rest of the loop's turn, at the longest, it leaves together with what follows; nothing waits for anything.
"""

import asyncio
import fcntl
import math
import os
import socket
import struct
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from uvicorn.server import ServerState

from proxy_pkg.relay.keepalive import keep_alive
from proxy_pkg.server.framing import StrictConnection
from proxy_pkg.server.handover import Handover

_HEAD = b"HTTP/1.1 "
_LAST_REQUEST_SECONDS = 1
_REQUEST_TIMEOUT = 408
_UNAVAILABLE = 503


def write_in_parts(transport: Any, part_bytes: int) -> None:
    """Bound what `transport` buffers: a writer is paused above half of `part_bytes`.

    Without a bound of its own the kernel takes some megabytes for each client that reads nothing. It counts what was
    not sent yet, so a fast reader far away still has as much on its way as its connection can carry.
    """
    transport.set_write_buffer_limits(part_bytes // 2)
    peer = transport.get_extra_info("socket")
    if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError, AttributeError):  # a kernel without it
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 2 * part_bytes)


class HeadCork:
    """A transport that holds back the head of an answer until the next write, or the next turn of the loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""

    def write(self, data: bytes) -> None:
        if self._held:
            data, self._held = self._held + data, b""
            self._transport.write(data)
        elif data.startswith(_HEAD):
            self._held = data
            self._loop.call_soon(self.flush)
        elif data:
            self._transport.write(data)

    def flush(self) -> None:
        if self._held:
            data, self._held = self._held, b""
            self._transport.write(data)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class OpenRequests(set[asyncio.Task[None]]):
    """The tasks of requests in progress, with a callback for the end of the last one."""

    def __init__(self, on_last: Callable[[], object]) -> None:
        super().__init__()
        self._on_last = on_last

    def discard(self, task: object) -> None:
        super().discard(task)
        if not self:
            self._on_last()


class OpenConnections(ServerState):
    """What uvicorn's connections share, with a callback for when there is less."""

    head_timeout_seconds = math.inf
    """How long a new connection may send nothing."""
    buffer_bytes = 64 << 10
    """In parts of how many bytes an answer is written."""

    def __init__(self, on_less: Callable[[], object]) -> None:
        super().__init__()
        self.on_less = on_less
        # A connection may be gone before its request has ended: what was told then says that there is work.
        self.tasks = OpenRequests(on_less)


class Connection(StrictConnection):
    """One client's connection.

    When the worker ends, an answer that has not begun says `connection: close`. A connection without a request, and
    one whose answer began too early to say so, goes to another worker. Where there is none it waits a moment for a
    request more: it may be on its way, and a connection closed in its face is a failure that the client cannot tell
    from a lost request.
    """

    ending = False
    made_at = 0.0
    """On the loop's clock."""
    body_bytes = 0
    """Of all bodies so far."""
    wait: Any = None
    """What it waited for when it was last looked at (server/client_timeouts.py)."""
    is_handed_over = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base has it
        self.made_at = self.loop.time()
        super().connection_made(HeadCork(transport, self.loop))  # type: ignore[arg-type]  # a transport in all but name
        keep_alive(transport)
        write_in_parts(transport, getattr(self.server_state, "buffer_bytes", OpenConnections.buffer_bytes))
        # The base counts the time without a request from the first answer on. A new connection has as long as for a
        # head, and one from another worker, which had its first answer there, as long as after any answer.
        limit = getattr(self.server_state, "head_timeout_seconds", math.inf)
        self._await_request(math.inf if self.is_handed_over else limit)

    def _await_request(self, seconds_max: float = math.inf) -> None:
        self._unset_keepalive_if_required()
        seconds = min(self.timeout_keep_alive, seconds_max)
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    @property
    def is_in_head(self) -> bool:
        """Whether a head has begun and not ended."""
        return self._in_head

    @property
    def is_first_head(self) -> bool:
        """Whether nothing came before the head that is waited for, here or elsewhere."""
        return self.cycle is None and not self.is_handed_over

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        super().on_body(body)

    def refuse_head_late(self) -> None:
        """Answer the part of a head that is here, and close."""
        self._refuse(_REQUEST_TIMEOUT)

    def make_way(self) -> bool:
        """Close, so that another client gets the descriptor. False if a request has come that is not read yet."""
        if self._in_head or (self.cycle is not None and not self.cycle.response_complete):
            self._refuse(_UNAVAILABLE)
        else:
            self.timeout_keep_alive_handler()
        return self.transport.is_closing()

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a request, and nothing of an answer, is in this process."""
        cycle = self.cycle
        between = cycle is None or (cycle.response_complete and not cycle.more_body)
        if not between or self._in_head or self.pipeline or self.transport.is_closing():
            return False
        self.transport.flush()  # type: ignore[attr-defined]  # it is a HeadCork
        return not self.transport.get_write_buffer_size()

    def hand_over(self, handover: Handover) -> None:
        """Let another worker go on with this idle connection; it stays here if there is no room for it now."""
        if not handover.give(_descriptor(self.transport)):
            return
        # What the peer sends from now on stays in the kernel until its new owner reads it; our end closes silently.
        self.transport.abort()

    def shutdown(self) -> None:
        self.ending = True
        self.timeout_keep_alive = _LAST_REQUEST_SECONDS
        if self.cycle is None or self.cycle.response_complete:
            self._await_request()
        elif not self.cycle.response_started:
            self.cycle.keep_alive = False

    def timeout_keep_alive_handler(self) -> None:
        """Close, unless a request has come that the loop has not read yet."""
        if self.transport.is_closing():
            return
        descriptor = _descriptor(self.transport)
        if _received_bytes(descriptor):
            return
        # The transport closes in the next turn of the loop only, and the peer should not ask us anything until then.
        _send_fin(descriptor)
        super().timeout_keep_alive_handler()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.ending and self.cycle is not None:
            self.cycle.keep_alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # The base forgets the timer after a reset, and it would keep the last request alive until it fires.
        self._unset_keepalive_if_required()
        if isinstance(self.server_state, OpenConnections):
            self.server_state.on_less()


class HandedOverConnection(Connection):
    """One that another worker had before."""

    is_handed_over = True


def _descriptor(transport: asyncio.Transport) -> int:
    """The transport's own descriptor, or -1."""
    peer = transport.get_extra_info("socket")
    return -1 if peer is None else int(peer.fileno())


def _received_bytes(descriptor: int) -> int:
    """Bytes that the peer sent and no one has read: the kernel knows before the loop does."""
    try:
        answer = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0")
    except (OSError, ValueError):
        return 0
    return int(struct.unpack("i", answer)[0])


def _send_fin(descriptor: int) -> None:
    """Tell the peer, at once, that nothing more comes."""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as peer:
        peer.shutdown(socket.SHUT_WR)
