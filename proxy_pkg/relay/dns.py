"""One question to the name servers, asked by c-ares: no thread waits for the answer, so that a name server that is
silent about one name keeps no other name waiting.

c-ares reads /etc/resolv.conf (servers, search domains, options), /etc/hosts, and from /etc/nsswitch.conf whether the
file or DNS goes first; it knows `localhost` by itself, and orders addresses by RFC 6724. Each question has a channel of
its own: a channel that is kept would answer from a cache of its own, also where the caller must know anew.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any, Final, Literal

import pycares
from msgspec import Struct

_FIRST_TRY_SECONDS: Final = 1.0
"""Then the next server is asked, and at the end of the list the first one again, with twice the time."""
_TRIES: Final = 4
_SOON_SECONDS: Final = 0.2

Fault = Literal["unknown", "unanswered", "refused", "busy"]


class Found(Struct, frozen=True):
    """What a name means: addresses, the best first, and for how many seconds the name's owner lets them stand."""

    addresses: tuple[str, ...]
    seconds: int = 0


class LookupFailedError(OSError):
    """A name has no address for us. `fault` says why:

    unknown     the name server says that there is none
    unanswered  no name server answered in time, or none could be reached
    refused     a name server answered with an error of its own
    busy        too many other lookups are under way
    """

    def __init__(self, host: str, fault: Fault, detail: str) -> None:
        super().__init__(None, detail)
        self.host = host
        self.fault: Fault = fault
        self.detail = detail


class Question:
    """One lookup on its way. Must live in the running loop, and be closed."""

    def __init__(self, host: str, servers: Sequence[str]) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Found] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._open: dict[int, tuple[bool, bool]] = {}
        self._channel = pycares.Channel(
            sock_state_cb=self._watch, timeout=_FIRST_TRY_SECONDS, tries=_TRIES, servers=list(servers) or None
        )

    async def answer(self) -> Found:
        """Raises LookupFailedError."""
        try:
            self._channel.getaddrinfo(self._host, None, type=socket.SOCK_STREAM, callback=self._told)
        except (UnicodeError, ValueError) as error:
            raise LookupFailedError(self._host, "unknown", "it is no host name") from error
        self._tick()
        return await self._answer

    def close(self) -> None:
        """Ask no longer. May be repeated."""
        if self._timer is not None:
            self._timer.cancel()
        # In this thread: what is left open is ended by a thread of pycares, which may not touch the loop.
        self._channel.cancel()
        for socket_number in list(self._open):
            self._watch(socket_number, False, False)
        self._channel.close()

    def _told(self, result: Any, error: int | None) -> None:
        if self._answer.done():
            return
        if error is None:
            found = _found(result)
            if found.addresses:
                self._answer.set_result(found)
                return
            error = pycares.errno.ARES_ENODATA
        self._answer.set_exception(_failed(self._host, error))

    def _watch(self, socket_number: int, reads: bool, writes: bool) -> None:
        """c-ares says which of its sockets it waits for, and how."""
        read, wrote = self._open.pop(socket_number, (False, False))
        if reads:
            self._loop.add_reader(socket_number, self._channel.process_fd, socket_number, pycares.ARES_SOCKET_BAD)
        elif read:
            self._loop.remove_reader(socket_number)
        if writes:
            self._loop.add_writer(socket_number, self._channel.process_fd, pycares.ARES_SOCKET_BAD, socket_number)
        elif wrote:
            self._loop.remove_writer(socket_number)
        if reads or writes:
            self._open[socket_number] = (reads, writes)

    def _tick(self) -> None:
        """Let c-ares see what has taken too long."""
        if self._answer.done():
            return
        self._channel.process_fd(pycares.ARES_SOCKET_BAD, pycares.ARES_SOCKET_BAD)
        self._timer = self._loop.call_later(_SOON_SECONDS, self._tick)


async def ask(host: str, servers: Sequence[str] = ()) -> Found:
    """The addresses of a name, from `servers` (each an address with or without a port) or the system's.

    Raises LookupFailedError. Has no time limit: the caller cancels it.
    """
    try:
        question = Question(host, servers)
    except (pycares.AresError, RuntimeError) as error:
        raise LookupFailedError(host, "unanswered", f"no lookup can begin: {error}") from error
    try:
        return await question.answer()
    finally:
        question.close()


def _found(result: Any) -> Found:
    addresses: dict[str, None] = {}
    seconds = [node.ttl for node in result.nodes]
    for node in result.nodes:
        address = node.addr[0].decode("ascii")
        scope = node.addr[3] if len(node.addr) > 3 else 0
        addresses[f"{address}%{scope}" if scope else address] = None
    return Found(tuple(addresses), max(0, min(seconds, default=0)))


def _failed(host: str, error: int) -> LookupFailedError:
    return LookupFailedError(host, _FAULTS.get(error, "refused"), str(pycares.errno.strerror(error)))


_FAULTS: Final[dict[int, Fault]] = {
    pycares.errno.ARES_ENOTFOUND: "unknown",
    pycares.errno.ARES_ENODATA: "unknown",
    pycares.errno.ARES_EBADNAME: "unknown",
    pycares.errno.ARES_ETIMEOUT: "unanswered",
    pycares.errno.ARES_ECONNREFUSED: "unanswered",
    pycares.errno.ARES_ECANCELLED: "unanswered",
}
