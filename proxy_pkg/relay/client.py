"""The one aiohttp session of a worker: its pool, its limits, and nothing that adds to a request."""

import asyncio
import select
import ssl
from asyncio.transports import BaseTransport
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from math import inf
from random import random
from time import monotonic, monotonic_ns
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from msgspec import Struct

from proxy_pkg.relay.connecting import DirectConnector
from proxy_pkg.relay.keepalive import keep_alive
from proxy_pkg.relay.names import Names, open_names
from proxy_pkg.relay.proxies import Proxies
from proxy_pkg.relay.reading import ReadBuffer, read_in_parts
from proxy_pkg.relay.request import RelayRequest
from proxy_pkg.relay.spelling import spell_heads_as_they_came
from proxy_pkg.relay.upstream_errors import EndlessHeadError

_HEADER_LINE_BYTES_MAX = 64 << 10
_HEADERS_MAX = 512
_HEAD_BYTES_MAX = 1 << 20
_INTERIM_MAX = 100
"""Of both an answer may have so much before its own head is whole; each interim answer begins the wait anew."""
_NEWS = select.POLLIN | select.POLLRDHUP  # an unused connection has nothing to say but that it ends
_AGE_SPREAD = 5  # connections end at four to five fifths of their greatest age
_INTERIM = frozenset(range(100, 200)) - {101}


STRAIGHT = Proxies()
"""No proxy for anything."""


class PoolLimits(Struct, frozen=True):
    """Bounds of the upstream pool of one worker. Times in seconds."""

    connections_max: int
    idle_max: int
    idle_seconds: float
    dns_cache_seconds: float
    connect_timeout_seconds: float
    first_byte_timeout_seconds: float
    gap_timeout_seconds: float
    total_timeout_seconds: float
    """0 means no bound on the whole exchange."""
    connection_seconds_max: float = 0.0
    """The greatest age of a connection that is used again; 0 means none."""
    buffer_bytes: int = 64 << 10
    """What is read of an answer at once."""


class Connecting:
    """What getting a connection took; `connect_ns` stays 0 where one that was open could be used again, `pool_ns` where
    there was room for one.
    """

    __slots__ = ("connect_ns", "pool_ns")

    def __init__(self) -> None:
        self.connect_ns = 0
        self.pool_ns = 0


connecting: ContextVar[Connecting | None] = ContextVar("connecting", default=None)
"""Of the request that the running task is about to send: aiohttp itself tells nobody."""


class PooledConnection(ResponseHandler):
    """A connection that is looked at before it is used again.

    One that the upstream closed in the same turn of the loop still seems open to aiohttp, and a request written to
    it would be lost: a POST cannot be sent twice.
    """

    _poller: Any = None
    _parameters: dict[str, Any]
    _ends_at: float = inf
    _head: bytearray | None = None
    """What came while the head of an answer is waited for; None once it is there."""
    _head_bytes = 0
    _interim = 0
    """What came before that, interim answers with it, and how many these are."""
    on_bytes: Callable[[int], None] | None = None
    """Is told of bytes as they come, once the connection is a WebSocket's."""
    early_bytes = 0
    """Those that came before anybody else wanted to be told: a single turn of the loop may read megabytes."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds_max: float = 0.0, buffer: ReadBuffer | None = None
    ) -> None:
        super().__init__(loop)
        self._read_into = buffer
        if seconds_max:
            # Not all at once: connections that were opened together would be opened anew together.
            self._ends_at = monotonic() + seconds_max * (1 - random() / _AGE_SPREAD)  # noqa: S311  # keeps no secret

    @property
    def is_too_old(self) -> bool:
        """Whether no further request may use it: the name may mean another address by now."""
        return monotonic() > self._ends_at

    def set_response_params(self, **parameters: Any) -> None:
        self._parameters = parameters
        self._head, self._head_bytes, self._interim = bytearray(), 0, 0
        super().set_response_params(**parameters)

    def data_received(self, data: bytes) -> None:
        if self._head is None:
            if self.on_bytes is not None:
                self.on_bytes(len(data))
            super().data_received(data)
            return
        self._head += data
        before = len(self._buffer)
        super().data_received(data)
        if self._buffer and not self._is_interim():
            self._head = None
            if self.upgraded:
                self.on_bytes = self._come_early
            return
        self._head_bytes += len(data)
        self._interim += len(self._buffer) - before
        if self._head_bytes > _HEAD_BYTES_MAX or self._interim > _INTERIM_MAX:
            self._refuse_head()
        elif self._buffer:
            # aiohttp takes it for an answer, and with its end the limit of the wait for one would be over.
            self._head = bytearray()
            self._reschedule_timeout()

    def _refuse_head(self) -> None:
        self._head = None
        if self.transport is not None:
            self.transport.close()
        self.set_exception(EndlessHeadError())

    def _come_early(self, more_bytes: int) -> None:
        self.early_bytes += more_bytes

    def _is_interim(self) -> bool:
        """Whether the newest head that came is a 1xx: the answer itself is still to come."""
        code: int = self._buffer[-1][0][0].code
        return code in _INTERIM

    def is_connected(self) -> bool:
        if self.transport is None or self.transport.is_closing() or monotonic() > self._ends_at:
            return False
        if self._poller is None:
            self._poller = select.poll()
            self._poller.register(self.transport.get_extra_info("socket").fileno(), _NEWS)
        return not self._poller.poll(0)

    def close(self) -> None:
        transport = self.transport
        super().close()
        # A closed transport waits until what it was given is sent, and an upstream that does not read never lets it.
        if transport is not None and transport.get_write_buffer_size():
            transport.abort()

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        keep_alive(transport)
        if self._read_into is not None:
            read_in_parts(transport, self, self._read_into)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        if self._head and isinstance(exc, HttpProcessingError) and self._read_again(bytes(self._head)):
            return
        super().set_exception(exc, *cause)
        # Of an answer whose framing goes wrong on the way, aiohttp tells only those who wait for its head.
        body = self._payload
        if isinstance(exc, HttpProcessingError) and body is not None and not body.is_eof():
            body.set_exception(aiohttp.ClientPayloadError("the framing is not HTTP"), exc)

    def _read_again(self, data: bytes) -> bool:
        """Take the head and what is right behind it one after the other; False if no head is in `data`.

        Where an answer goes on after its end, or goes wrong in the first bytes of its body, aiohttp's parser drops
        the head that came with them, although it was good.
        """
        head, end, rest = data.partition(b"\r\n\r\n")
        self._head = None
        if not end or not rest:
            return False
        super().set_response_params(**self._parameters)
        super().data_received(head + end)
        while self._buffer and self._is_interim() and b"\r\n\r\n" in rest:
            head, end, rest = rest.partition(b"\r\n\r\n")
            super().data_received(head + end)
        if self._buffer:
            super().data_received(rest)
        return True


class BoundedConnector(DirectConnector):
    """A connector that keeps at most `idle_max` unused connections, none of them for longer than
    `connection_seconds_max`; aiohttp has no such options of its own.
    """

    def __init__(self, idle_max: int, connection_seconds_max: float, buffer_bytes: int, **options: Any) -> None:
        super().__init__(**options)
        self._factory = partial(  # type: ignore[assignment]  # a subclass will do
            PooledConnection,
            loop=self._loop,
            seconds_max=connection_seconds_max,
            buffer=ReadBuffer(buffer_bytes),
        )
        self._idle_max = idle_max

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:  # noqa: ASYNC109  # the base has it
        began_ns = monotonic_ns()
        protocol = await super()._create_connection(req, traces, timeout)
        if (made := connecting.get()) is not None:
            made.connect_ns = monotonic_ns() - began_ns
        return protocol

    async def _wait_for_available_connection(self, key: Any, traces: Any) -> None:
        began_ns = monotonic_ns()
        try:
            await super()._wait_for_available_connection(key, traces)
        finally:
            if (made := connecting.get()) is not None:
                made.pool_ns += monotonic_ns() - began_ns

    def _release(self, key: Any, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        ends = should_close or self.idle_count >= self._idle_max or protocol.is_too_old  # type: ignore[attr-defined]
        super()._release(key, protocol, should_close=ends)

    @property
    def idle_count(self) -> int:
        """Connections that wait to be used again."""
        return sum(map(len, self._conns.values()))

    @property
    def busy_count(self) -> int:
        """Connections that carry an exchange."""
        return len(self._acquired)


def open_session(
    limits: PoolLimits,
    proxies: Proxies = STRAIGHT,
    trust: ssl.SSLContext | None = None,
    names: Names | None = None,
) -> tuple[aiohttp.ClientSession, BoundedConnector]:
    """The session of this worker and its connector. Call inside the running loop; close the session at its end.

    `trust` says which certificates upstreams may have; None trusts the system's authorities. `names` looks hosts up;
    the session closes it.
    """
    connector = BoundedConnector(
        idle_max=limits.idle_max,
        connection_seconds_max=limits.connection_seconds_max,
        buffer_bytes=limits.buffer_bytes,
        names=names or open_names((), limits.dns_cache_seconds),
        limit=limits.connections_max,
        keepalive_timeout=limits.idle_seconds,
        ssl=trust or True,
    )
    timeout = aiohttp.ClientTimeout(
        total=limits.total_timeout_seconds or None,
        sock_connect=limits.connect_timeout_seconds,
        sock_read=limits.first_byte_timeout_seconds,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        read_bufsize=limits.buffer_bytes // 4,  # reading pauses above twice as much
        **session_options(proxies),
    )
    send_once(session)
    return session, connector


def send_once(session: aiohttp.ClientSession) -> None:
    """Keep a session from sending a second time, after a fault, what it takes for idempotent.

    Idle connections are looked at before use, so what such a fault leaves open is whether the first request was
    carried out.
    """
    session._retry_connection = False


def session_options(proxies: Proxies) -> dict[str, Any]:
    """What every session of ours has: nothing added to a request, nothing taken from an answer."""
    spell_heads_as_they_came()
    return {
        "request_class": partial(RelayRequest, proxies=proxies),
        "cookie_jar": aiohttp.DummyCookieJar(),
        "auto_decompress": False,
        "max_line_size": _HEADER_LINE_BYTES_MAX,
        "max_field_size": _HEADER_LINE_BYTES_MAX,
        "max_headers": _HEADERS_MAX,
        "requote_redirect_url": False,
    }
