"""A WebSocket through us: messages both ways as they come, close codes and reasons too, and nothing sent twice.

Each hop has its own handshake, masks, compression and pings; a ping is answered by whoever got it. A slow reader
on one side stops the reading on the other, so a socket never holds more than a few messages.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Literal

import aiohttp
from msgspec import Struct
from multidict import CIMultiDict
from yarl import URL

from proxy_pkg.errors import RefusedError, RelayError, UpstreamBrokenError
from proxy_pkg.relay.client import send_once, session_options
from proxy_pkg.relay.keepalive import keep_alive
from proxy_pkg.relay.proxies import Proxies
from proxy_pkg.relay.pump import Receive, Send
from proxy_pkg.relay.upstream_errors import FINAL_MAX, FINAL_MIN, FOREIGN_ERRORS, place_of, translated

MESSAGE_BYTES_MAX = 64 << 20
"""Of one message, in either direction."""
NO_CODE = 1005
"""Stands for a close frame without a code."""
CUT = 1006
"""Stands for an end without a close frame."""

_TOO_BIG = 1009
_CODE_MAX = 4999
_REFUSAL_BYTES_MAX = 1 << 20
_FLUSH_SECONDS = 0.3
_CLOSE_SECONDS = 0.5
_DEFLATE_WINDOW_BITS = 15


class HandshakeRefusedError(RelayError):
    """The upstream answered the handshake with an ordinary response: `status`, raw `headers`, `body`."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        super().__init__(f"the upstream refused the WebSocket with status {status}", "head")
        self.status = status
        self.headers = headers
        self.body = body


class Ending(Struct, frozen=True):
    """Who ended a socket, with which close code and reason; NO_CODE and CUT stand for what has no code."""

    by: Literal["client", "upstream", "proxy"]
    code: int
    reason: str = ""


class UpstreamSocket:
    """An open WebSocket to the upstream. `headers` are those of its handshake answer, as they came."""

    def __init__(self, opened: aiohttp.ClientWebSocketResponse, place: str = "") -> None:
        self._socket = opened
        self._place = place
        response = opened._response  # aiohttp shows the handshake's answer nowhere else
        self.headers = list(response.raw_headers)
        self.subprotocol = response.headers.get("Sec-WebSocket-Protocol")
        assert response.connection is not None, "a socket without a connection"
        self._transport: Any = response.connection.transport
        self._protocol: Any = response.connection.protocol
        keep_alive(self._transport)
        self._hold: Callable[[int], None] = _nobody
        self._coming_bytes = 0
        self._refusal: RefusedError | None = None

    def watch(self, hold: Callable[[int], None]) -> None:
        """From now on `hold` is told of bytes of messages as they come and are taken. It may raise RefusedError, which
        `receive` then raises.
        """
        self._hold, self._protocol.on_bytes = hold, self._come
        self._come(self._protocol.early_bytes)

    def _come(self, more_bytes: int) -> None:
        if self._refusal is not None:
            return
        try:
            self._hold(more_bytes)
            self._coming_bytes += more_bytes
        except RefusedError as error:
            self._refusal = error
            self._socket._reader.set_exception(error)
            self._transport.abort()

    def let_go(self) -> None:
        """What came is in messages that were taken, or it is the beginning of the next one, in the last bytes read."""
        if not self._socket._reader._buffer:
            self._hold(-self._coming_bytes)
            self._coming_bytes = 0

    async def send(self, message: str | bytes) -> None:
        """Raises RelayError if the socket is broken or closing.

        A task that is cancelled here leaves: the message still goes out whole, or the connection ends with it.
        """
        work = self._socket.send_str(message) if isinstance(message, str) else self._socket.send_bytes(message)
        sending = asyncio.get_running_loop().create_task(work)
        sending.add_done_callback(_look_at)
        try:
            await asyncio.shield(sending)
        except FOREIGN_ERRORS as error:
            raise translated(error, "send", self._place) from error

    async def receive(self) -> str | bytes | Ending:
        """The next message, or how the socket ended. Answers pings on its way. Raises what `watch` was given raises."""
        message = await self._socket.receive()
        if self._refusal is not None:
            raise self._refusal
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            data: str | bytes = message.data
            return data
        if message.type is aiohttp.WSMsgType.CLOSE:
            code = message.data or NO_CODE
            return Ending("upstream", code if code <= _CODE_MAX else CUT, message.extra or "")
        fault = message.data if message.type is aiohttp.WSMsgType.ERROR else None
        if isinstance(fault, aiohttp.WebSocketError) and fault.code == _TOO_BIG:
            return Ending("upstream", _TOO_BIG, f"a message of the upstream is longer than {MESSAGE_BYTES_MAX} bytes")
        return Ending("upstream", CUT)

    async def close(self, code: int, reason: str = "") -> None:
        """Say goodbye, wait a moment for the answer, and be gone in any case. May be repeated."""
        self._protocol.on_bytes = None
        self._hold(-self._coming_bytes)
        self._coming_bytes = 0
        with suppress(*FOREIGN_ERRORS):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._socket.close(code=_WORDS.get(code, code), message=reason.encode())
        if self._transport.get_write_buffer_size():
            self._transport.abort()  # else a peer that reads nothing would keep it for ever


def _nobody(_: int) -> None:
    """Where nobody counts."""


def _look_at(sending: "asyncio.Task[None]") -> None:
    """Take note of how it ended, which nobody else does after a cancellation."""
    if not sending.cancelled():
        sending.exception()


# What is said to the upstream where the client said nothing: "normal" and "going away".
_WORDS = {NO_CODE: 1000, CUT: 1001}


def open_socket_session(
    connector: aiohttp.BaseConnector,
    proxies: Proxies,
    connect_timeout_seconds: float,
    first_byte_timeout_seconds: float,
    buffer_bytes: int = 64 << 10,
) -> aiohttp.ClientSession:
    """The session for WebSockets of this worker, with the pool of its other session. Close it at the worker's end.

    The time limits hold for the handshake; an open socket may be silent for as long as it likes. Reading stops while
    messages of half of `buffer_bytes` wait to be taken.
    """
    # The queue of a socket takes its bound from there, and pauses above twice as much; aiohttp has no option for it.
    aiohttp.client.DEFAULT_CHUNK_SIZE = buffer_bytes // 4  # type: ignore[attr-defined]
    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(_answered)
    trace.on_request_redirect.append(_answered)
    session = aiohttp.ClientSession(
        connector=connector,
        connector_owner=False,
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=connect_timeout_seconds, sock_read=first_byte_timeout_seconds
        ),
        trace_configs=[trace],
        **session_options(proxies),
    )
    send_once(session)
    return session


async def connect(session: aiohttp.ClientSession, url: str, headers: CIMultiDict[str], deflate: bool) -> UpstreamSocket:
    """An open socket to `url`, which is sent as it is spelled. `deflate` offers compression for this hop.

    Raises HandshakeRefusedError with what the upstream answered, or another RelayError.
    """
    target = URL(url, encoded=True)
    try:
        opened = await session.ws_connect(
            target,
            headers=headers,
            autoclose=False,
            compress=_DEFLATE_WINDOW_BITS if deflate else 0,
            max_msg_size=MESSAGE_BYTES_MAX,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
        )
    except FOREIGN_ERRORS as error:
        raise translated(error, "head", place_of(target)) from error
    return UpstreamSocket(opened, place_of(target))


async def _answered(_: Any, __: Any, ended: Any) -> None:
    """Keep the answer that refuses a handshake, which aiohttp would follow as a redirect or throw away."""
    response: aiohttp.ClientResponse = ended.response
    if response.status == 101:
        return
    if not FINAL_MIN <= response.status <= FINAL_MAX:
        response.close()
        raise UpstreamBrokenError(
            f"the upstream {place_of(response.url)} answered with status {response.status:03}, which means nothing",
            "head",
        )
    body = bytearray()
    try:
        while len(body) < _REFUSAL_BYTES_MAX and (part := await response.content.readany()):
            body += part
    except FOREIGN_ERRORS:
        body.clear()  # the status is what matters
    finally:
        response.close()
    raise HandshakeRefusedError(response.status, list(response.raw_headers), bytes(body[:_REFUSAL_BYTES_MAX]))


class Pump(Struct):
    """Relays the messages of one accepted socket; `receive` and `send` are ASGI's.

    transform  what becomes of a message of the client, None keeps it from the upstream; never raises
    observe    is shown each message of the upstream; never raises
    hold       is told the bytes of a client's message as it is taken, and as a negative number when it is sent;
               may raise RefusedError
    hold_back  the same for the upstream's messages, as they come
    """

    receive: Receive
    send: Send
    upstream: UpstreamSocket
    transform: Callable[[str | bytes], Awaitable[str | bytes | None]]
    observe: Callable[[str | bytes], None]
    hold: Callable[[int], None]
    hold_back: Callable[[int], None] = _nobody

    async def run(self, leave: Awaitable[Ending]) -> Ending:
        """Relay until one side ends, or `leave` gives an ending of ours. Closes neither side.

        Raises what `hold` raises.
        """
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[str | bytes | None] = asyncio.Queue(1)
        reader = loop.create_task(self._read_client(waiting))
        feeder = loop.create_task(self._feed_upstream(waiting))
        returner = loop.create_task(self._return_messages())
        leaver = asyncio.ensure_future(leave)
        tasks = (reader, feeder, returner, leaver)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if reader.done():
                ending = reader.result()
                if ending.code != CUT:  # what the client sent before its goodbye still goes out
                    with suppress(TimeoutError):
                        await asyncio.wait_for(waiting.put(None), _FLUSH_SECONDS)
                    await asyncio.wait((feeder, returner), timeout=_FLUSH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                return ending
            if feeder.done():
                feeder.result()
                await asyncio.wait((returner,), timeout=_FLUSH_SECONDS)
                return returner.result() if returner.done() else Ending("upstream", CUT)
            return returner.result() if returner.done() else leaver.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read_client(self, waiting: "asyncio.Queue[str | bytes | None]") -> Ending:
        while True:
            message = await self.receive()
            if message["type"] == "websocket.disconnect":
                code = message.get("code")
                return Ending("client", NO_CODE if code is None else code, message.get("reason") or "")
            text = message.get("text")
            data: str | bytes = message["bytes"] if text is None else text
            self.hold(len(data))
            await waiting.put(data)

    async def _feed_upstream(self, waiting: "asyncio.Queue[str | bytes | None]") -> None:
        """Ends at the first message that cannot be sent: it is not tried again, and nothing may overtake it."""
        while (data := await waiting.get()) is not None:
            try:
                sent = await self.transform(data)
                if sent is not None:
                    await self.upstream.send(sent)
            except RelayError:
                return
            self.hold(-len(data))

    async def _return_messages(self) -> Ending:
        self.upstream.watch(self.hold_back)
        while True:
            message = await self.upstream.receive()
            if isinstance(message, Ending):
                return message
            self.hold_back(len(message))
            self.upstream.let_go()
            self.observe(message)
            key = "text" if isinstance(message, str) else "bytes"
            try:
                await self.send({"type": "websocket.send", key: message})
            except OSError:  # what servers raise once the client is gone
                return Ending("client", CUT)
            self.hold_back(-len(message))
