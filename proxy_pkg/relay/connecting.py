"""How a connection to an upstream is made: within one time limit, to addresses that are looked up without a thread, and
with an error that says in words what went wrong.

aiohttp's own connector looks up outside its time limit, and uvloop hands even an address to the system's resolver, in
a pool of threads in which names without an answer keep all others waiting.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import aiohappyeyeballs
import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import TCPConnector

from proxy_pkg.errors import RelayError
from proxy_pkg.relay.dns import LookupFailedError
from proxy_pkg.relay.names import Names
from proxy_pkg.relay.upstream_errors import TooLateError, Way, connect_failure

_PROXIED_STEPS: Final = 3  # to the proxy, through it, TLS
_LOOK_AGAIN_AT: Final = 0.5
"""After this share of the limit a known address that has not answered is looked up again."""
_UNDER_WAY: Final = frozenset((errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR, errno.EALREADY))
_NO_DESCRIPTOR: Final = frozenset((errno.EMFILE, errno.ENFILE))

Opened = tuple[asyncio.Transport, ResponseHandler]


class DirectConnector(TCPConnector):
    """A connector whose `_create_connection` raises RelayError alone. `names` looks hosts up; this closes it."""

    def __init__(self, names: Names, **options: Any) -> None:
        super().__init__(use_dns_cache=False, **options)
        self.names = names
        self._loop_for_addresses: Any = _AddressLoop(self._loop)

    async def close(self, **options: Any) -> None:
        await super().close(**options)
        await self.names.close()

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:  # noqa: ASYNC109  # the base has it
        way = Way(req.host, req.port, req.proxy, req.url.scheme in ("https", "wss"), timeout.sock_connect or 0)
        # Without it, a proxy that never answers to CONNECT would be waited for without end.
        limit_seconds = way.limit_seconds * _PROXIED_STEPS if req.proxy else 0
        try:
            async with asyncio.timeout(limit_seconds or None):
                return await super()._create_connection(req, traces, timeout)
        except RelayError:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if isinstance(error, OSError) and error.errno in _NO_DESCRIPTOR and await self._close_idle():
                return await self._create_connection(req, traces, timeout)
            raise connect_failure(error, way) from error

    async def _close_idle(self) -> bool:
        """Close the connections that no request uses, for their descriptors; False where there are none."""
        if not self._conns:
            return False
        for protocol in [protocol for idle in self._conns.values() for protocol, _ in idle]:
            protocol.abort()
        self._conns.clear()
        await asyncio.sleep(0)  # the loop closes them at its next turn
        await asyncio.sleep(0)
        return True

    async def _create_direct_connection(
        self,
        req: Any,
        traces: Any,
        timeout: Any,  # noqa: ASYNC109  # the base has it
        *,
        client_error: type[Exception] = aiohttp.ClientConnectorError,
    ) -> Opened:
        """A connection to the host of `req`, which may be a proxy: lookup, connecting and TLS within one limit."""
        host = req.url.raw_host
        if host.endswith(".."):
            host = host.rstrip(".") + "."
        steps = _Steps(host)
        limit_seconds = timeout.sock_connect or None
        try:
            async with asyncio.timeout(limit_seconds):
                return await self._reach(req, steps, limit_seconds, client_error)
        except LookupFailedError as error:
            raise aiohttp.ClientConnectorDNSError(req.connection_key, error) from error
        except TimeoutError as error:
            if not steps.is_looked_up:
                late = LookupFailedError(host, "unanswered", "no answer in time")
                raise aiohttp.ClientConnectorDNSError(req.connection_key, late) from error
            raise TooLateError("direct TLS" if steps.is_connected else "connection") from error

    async def _reach(
        self, req: Any, steps: "_Steps", limit_seconds: float | None, client_error: type[Exception]
    ) -> Opened:
        addresses, is_remembered = await self.names.addresses(steps.host)
        steps.is_looked_up = True
        attempt = self._open(req, addresses, steps, client_error)
        if not is_remembered:
            return await attempt
        # A remembered address may be one that the name no longer has.
        task = asyncio.ensure_future(attempt)
        try:
            await asyncio.wait((task,), timeout=limit_seconds and limit_seconds * _LOOK_AGAIN_AT)
            if task.done() and task.exception() is None:
                return task.result()
            newer = await self._newer(steps.host, addresses, is_open=not task.done())
            if not newer:
                return await task
        except BaseException:
            await _ended(task)
            raise
        await _ended(task)
        return await self._open(req, newer, steps, client_error)

    async def _newer(self, host: str, tried: Sequence[str], *, is_open: bool) -> list[str]:
        """The addresses to try in place of those that do not answer; none where the name still has those."""
        try:
            found = await self.names.anew(host)
        except LookupFailedError:
            return []
        newer = [address for address in found if address not in tried]
        return [] if is_open and len(newer) < len(found) else newer

    async def _open(self, req: Any, addresses: Sequence[str], steps: "_Steps", client_error: type[Exception]) -> Opened:
        """A connection to one of the addresses: where TLS with one fails, with the next."""
        infos = [_info(address, req.port) for address in addresses]
        context = self._get_ssl_context(req)
        name = (req.server_hostname or req.url.raw_host).rstrip(".") if context else None
        fault: Exception | None = None
        while True:
            steps.is_connected = False
            try:
                peer = await aiohappyeyeballs.start_connection(
                    infos,
                    happy_eyeballs_delay=self._happy_eyeballs_delay,
                    interleave=self._interleave,
                    loop=self._loop_for_addresses,
                )
            except (OSError, RuntimeError) as error:
                # What the one that accepted a connection said tells more.
                raise _foreign(fault or error, req.connection_key, client_error) from error
            steps.is_connected = True
            address = None
            try:
                address = peer.getpeername()
                return await self._loop.create_connection(self._factory, sock=peer, ssl=context, server_hostname=name)
            except OSError as error:
                peer.close()
                fault = fault or error
                if address is not None:
                    aiohappyeyeballs.remove_addr_infos(infos, address)
                if address is None or not infos:
                    raise _foreign(fault, req.connection_key, client_error) from error

    async def _start_tls_connection(self, *arguments: Any, **options: Any) -> Any:
        """TLS with the upstream, through a proxy."""
        try:
            return await super()._start_tls_connection(*arguments, **options)
        except TimeoutError as error:
            raise TooLateError("TLS") from error


class _Steps:
    """How far connecting has come."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.is_looked_up = False
        self.is_connected = False


class _AddressLoop:
    """What aiohappyeyeballs needs of a loop, where `sock_connect` looks nothing up.

    uvloop's asks the system's resolver about an address too, in a thread: https://github.com/MagicStack/uvloop,
    `Loop.sock_connect`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.create_future = loop.create_future
        self.create_task = loop.create_task
        self.call_later = loop.call_later

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def sock_connect(self, peer: socket.socket, address: tuple[Any, ...]) -> None:
        """Connect a non-blocking socket to an IP address. Raises OSError."""
        number = peer.connect_ex(address)
        if number in _UNDER_WAY:
            writable = self._loop.create_future()
            descriptor = peer.fileno()
            self._loop.add_writer(descriptor, _wake, writable)
            try:
                await writable
            finally:
                self._loop.remove_writer(descriptor)
            number = peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, f"connecting to {address[0]}:{address[1]}: {errno.errorcode.get(number, number)}")


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _info(address: str, port: int) -> Any:
    if ":" not in address:
        return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)
    address, _, scope = address.partition("%")
    number = _scope_number(scope)
    return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, number)


def _scope_number(scope: str) -> int:
    if not scope or scope.isdecimal():
        return int(scope or 0)
    with suppress(OSError):
        return socket.if_nametoindex(scope)
    return 0


def _foreign(error: Exception, key: Any, client_error: type[Exception]) -> Exception:
    """As aiohttp names what went wrong."""
    if isinstance(error, ssl.CertificateError):
        return aiohttp.ClientConnectorCertificateError(key, error)
    if isinstance(error, ssl.SSLError):
        return aiohttp.ClientConnectorSSLError(key, error)
    return client_error(key, error if isinstance(error, OSError) else OSError(str(error)))


async def _ended(task: "asyncio.Future[Opened]") -> None:
    """Cancel it, wait until it has ended, and close what it opened all the same."""
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled() and task.exception() is None:
        task.result()[0].abort()
