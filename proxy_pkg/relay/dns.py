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
_SLOW_AFTER_SECONDS: Final = 0.5
_SLOW_SECONDS_MAX: Final = 20.0
"""With each try c-ares forgets the one before, so that a server which takes four seconds for every answer would never
be heard within a limit of five. A question that waits for its one answer is asked beside the others then.
"""
_SOON_SECONDS: Final = 0.2

_LOCAL: Final = frozenset(("localhost.",))
"""With its dot c-ares takes it for a name like others, and asks somebody else where this machine is (RFC 6761)."""

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
    """One lookup on its way: `answer` has its result or LookupFailedError. Must live in the running loop, and be
    closed.
    """

    def __init__(self, host: str, servers: Sequence[str], try_seconds: float, tries: int) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Found] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._open: dict[int, tuple[bool, bool]] = {}
        self._channel = pycares.Channel(
            sock_state_cb=self._watch, timeout=try_seconds, tries=tries, servers=list(servers) or None
        )

    def begin(self) -> None:
        """Ask. Raises LookupFailedError."""
        try:
            self._channel.getaddrinfo(self._host, None, type=socket.SOCK_STREAM, callback=self._on_answer)
        except (UnicodeError, ValueError) as error:
            raise LookupFailedError(self._host, "unknown", "it is no host name") from error
        self._tick()

    def close(self) -> None:
        """Ask no longer. May be repeated."""
        if self._timer is not None:
            self._timer.cancel()
        if not self.answer.cancel() and not self.answer.cancelled():
            self.answer.exception()  # has been seen, as far as asyncio is concerned
        # In this thread: what is left open is ended by a thread of pycares, which may not touch the loop.
        self._channel.cancel()
        for socket_number in list(self._open):
            self._watch(socket_number, False, False)
        self._channel.close()

    def _on_answer(self, result: Any, error: int | None) -> None:
        if self.answer.done():
            return
        if error is None:
            found = _found(result)
            if found.addresses:
                self.answer.set_result(found)
                return
            error = pycares.errno.ARES_ENODATA
        self.answer.set_exception(_failed(self._host, error))

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
        if self.answer.done():
            return
        self._channel.process_fd(pycares.ARES_SOCKET_BAD, pycares.ARES_SOCKET_BAD)
        self._timer = self._loop.call_later(_SOON_SECONDS, self._tick)


async def ask(host: str, servers: Sequence[str] = ()) -> Found:
    """The addresses of a name, from `servers` (each an address with or without a port) or the system's.

    Raises LookupFailedError. Has no time limit: the caller cancels it.
    """
    if host.lower() in _LOCAL:
        host = "localhost"
    questions: list[Question] = []
    try:
        questions.append(_begun(host, servers, _FIRST_TRY_SECONDS, _TRIES))
        await asyncio.wait((questions[0].answer,), timeout=_SLOW_AFTER_SECONDS)
        if not questions[0].answer.done():
            questions.append(_begun(host, servers, _SLOW_SECONDS_MAX, 1))
        return await _first([question.answer for question in questions])
    finally:
        for question in questions:
            question.close()


async def _first(answers: "Sequence[asyncio.Future[Found]]") -> Found:
    """The first answer, addresses before failures. Silence is one only when all are silent."""
    waiting = set(answers)
    while True:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for answer in sorted(done, key=lambda each: each.exception() is not None):
            failure = answer.exception()
            if not (waiting and isinstance(failure, LookupFailedError) and failure.fault == "unanswered"):
                return answer.result()


def _begun(host: str, servers: Sequence[str], try_seconds: float, tries: int) -> Question:
    try:
        question = Question(host, servers, try_seconds, tries)
    except (pycares.AresError, RuntimeError) as error:
        raise LookupFailedError(host, "unanswered", f"no lookup can begin: {error}") from error
    try:
        question.begin()
    except LookupFailedError:
        question.close()
        raise
    return question


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
