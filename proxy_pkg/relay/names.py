"""Which addresses an upstream's name has: looked up once for all who wait, remembered for a while, never a cause for
others to wait.

    an address         is what it says: nothing is looked up
    a known name       comes from memory, as long as its owner lets it (the TTL) and the settings allow
    an unknown name    has one lookup at a time; each of those who wait may leave, the lookup goes on without them
    a name of no use   is remembered for a moment, so that a burst of requests asks once
    a silent server    leaves the last addresses in use for an hour (RFC 8767): better an old address than none
"""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

from proxy_pkg.relay.dns import Found, LookupFailedError, ask

LOOKUPS_MAX: Final = 256
"""Names that are looked up at once; more are refused at once."""
NAMES_MAX: Final = 1024
LOOKUP_SECONDS_MAX: Final = 20.0
"""A lookup that nobody waits for any more may go on so long, for those who come next."""
FAILURE_SECONDS: Final = 1.0
STALE_SECONDS_MAX: Final = 3600.0
STALE_AFTER_SECONDS: Final = 1.0
"""An old address is used when a new lookup takes longer than this."""
_LEAST_SECONDS: Final = 1.0

Ask = Callable[[str], Awaitable[Found]]

THREADS_MAX: Final = 16
_UNDERSTOOD: Final = frozenset(("files", "dns"))
"""The sources that c-ares asks too."""
_NSSWITCH: Final = Path("/etc/nsswitch.conf")
_UNKNOWN: Final = frozenset((socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)))


class SystemNames:
    """`getaddrinfo` in threads."""

    def __init__(self) -> None:
        self._busy: set[str] = set()

    async def ask(self, host: str) -> Found:
        """The addresses of a name. Raises LookupFailedError; cancelled, it leaves its thread to its wait."""
        if host in self._busy:
            raise LookupFailedError(host, "unanswered", "the system's resolver still waits for an answer about it")
        if len(self._busy) >= THREADS_MAX:
            raise LookupFailedError(host, "busy", f"{THREADS_MAX} other names wait for the system's resolver")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Found] = loop.create_future()

        def finish(found: Found | LookupFailedError) -> None:
            self._busy.discard(host)
            if answer.done():
                return
            if isinstance(found, Found):
                answer.set_result(found)
            else:
                answer.set_exception(found)

        def work() -> None:
            found = _looked_up(host)
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(finish, found)

        self._busy.add(host)
        try:
            threading.Thread(target=work, name="system-names", daemon=True).start()
        except RuntimeError as error:
            self._busy.discard(host)
            raise LookupFailedError(host, "busy", "no thread can be started for the system's resolver") from error
        return await answer


def _looked_up(host: str) -> Found | LookupFailedError:
    try:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except socket.gaierror as error:
        return LookupFailedError(host, "unknown" if error.errno in _UNKNOWN else "unanswered", str(error.strerror))
    except (OSError, UnicodeError) as error:
        return LookupFailedError(host, "unknown", str(error))
    addresses = dict.fromkeys(str(info[4][0]) for info in infos)
    return Found(tuple(addresses))


def has_more_sources(nsswitch: Path = _NSSWITCH) -> bool:
    """Whether this system has sources of names besides its file of hosts and DNS."""
    try:
        lines = nsswitch.read_text(errors="replace").splitlines()
    except OSError:
        return False
    for line in lines:
        database, colon, sources = line.partition("#")[0].partition(":")
        if colon and database.strip() == "hosts":
            return any(word not in _UNDERSTOOD for word in sources.split() if not word.startswith(("[", "!")))
    return False


class Known:
    """What is remembered of a name. `turn` counts its uses: addresses of one kind take turns."""

    __slots__ = ("addresses", "failure", "failure_until", "fresh_until", "looked_up_at", "turn")

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ()
        self.looked_up_at = 0.0
        self.fresh_until = 0.0
        self.failure: LookupFailedError | None = None
        self.failure_until = 0.0
        self.turn = 0


class Names:
    """The names of one worker. `cache_seconds` bounds how long an address is used without asking again; `clock` gives
    seconds and never goes back.
    """

    def __init__(self, ask_once: Ask, cache_seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._ask = ask_once
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._lookups: dict[str, asyncio.Task[None]] = {}

    async def addresses(self, host: str) -> tuple[tuple[str, ...], bool]:
        """The addresses of a name, and whether they come from memory. Raises LookupFailedError."""
        if is_address(host):
            return (host,), False
        key = host.lower()
        known = self._known.get(key)
        now = self._clock()
        if known is not None:
            if now < known.fresh_until:
                return self._turned(known), True
            if known.failure is not None and now < known.failure_until:
                return self._old(known, now, known.failure), True
        return await self._waited(key, known)

    async def anew(self, host: str) -> tuple[str, ...]:
        """The addresses of a name from a lookup that has not ended yet. Raises LookupFailedError."""
        key = host.lower()
        await asyncio.shield(self._lookup(key))
        known = self._known[key]
        if known.failure is not None:
            raise known.failure
        return self._turned(known)

    async def close(self) -> None:
        """End every lookup."""
        tasks = list(self._lookups.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _waited(self, key: str, known: Known | None) -> tuple[tuple[str, ...], bool]:
        lookup = self._lookup(key)
        if known is not None and known.addresses and self._clock() - known.looked_up_at < STALE_SECONDS_MAX:
            done, _ = await asyncio.wait((lookup,), timeout=STALE_AFTER_SECONDS)
            if not done:
                return self._turned(known), True
        else:
            await asyncio.shield(lookup)
        known = self._known[key]
        if known.failure is not None:
            return self._old(known, self._clock(), known.failure), True
        return self._turned(known), False

    def _lookup(self, key: str) -> "asyncio.Task[None]":
        """The lookup of this name that is under way."""
        if (running := self._lookups.get(key)) is not None:
            return running
        if len(self._lookups) >= LOOKUPS_MAX:
            raise LookupFailedError(key, "busy", f"{LOOKUPS_MAX} other names are being looked up")
        task = asyncio.get_running_loop().create_task(self._learn(key))
        self._lookups[key] = task
        task.add_done_callback(lambda _: self._lookups.pop(key, None))
        return task

    async def _learn(self, key: str) -> None:
        """Look a name up, and remember what came of it; never raises but to be cancelled."""
        failure: LookupFailedError | None = None
        found = Found(())
        try:
            async with asyncio.timeout(LOOKUP_SECONDS_MAX):
                found = await self._ask(key)
        except TimeoutError:
            failure = LookupFailedError(key, "unanswered", "no answer")
        except LookupFailedError as error:
            failure = error
        now = self._clock()
        known = self._known.setdefault(key, Known())
        self._known.move_to_end(key)
        known.failure, known.failure_until = failure, now + FAILURE_SECONDS
        if failure is None:
            known.addresses, known.looked_up_at = found.addresses, now
            known.fresh_until = now + min(max(found.seconds, _LEAST_SECONDS), self._cache_seconds)
        while len(self._known) > NAMES_MAX:
            self._known.popitem(last=False)

    def _old(self, known: Known, now: float, failure: LookupFailedError) -> tuple[str, ...]:
        """The last addresses where no name server says anything; a name that is gone is gone."""
        if failure.fault != "unknown" and known.addresses and now - known.looked_up_at < STALE_SECONDS_MAX:
            return self._turned(known)
        raise LookupFailedError(failure.host, failure.fault, failure.detail)

    def _turned(self, known: Known) -> tuple[str, ...]:
        """The addresses, those of each kind beginning with another one each time, the kinds in their order."""
        known.turn += 1
        of_kind: dict[bool, list[str]] = {}
        for address in known.addresses:
            of_kind.setdefault(":" in address, []).append(address)
        turned: list[str] = []
        for addresses in of_kind.values():
            at = known.turn % len(addresses)
            turned += addresses[at:] + addresses[:at]
        return tuple(turned)


def open_names(servers: Sequence[str], cache_seconds: float, *, by_system: bool = False) -> Names:
    """Names by DNS (`servers`, or those of the system), or else by the system's own resolver.

    Where this system has more sources than its file of hosts and DNS, they are asked for what DNS does not know.
    """
    system = SystemNames()
    if by_system:
        return Names(system.ask, cache_seconds)
    more = system.ask if has_more_sources() else None
    return Names(partial(_ask_both, servers, more), cache_seconds)


async def _ask_both(servers: Sequence[str], more: Ask | None, host: str) -> Found:
    try:
        return await ask(host, servers)
    except LookupFailedError as error:
        if more is None or error.fault != "unknown":
            raise
    return await more(host)


def is_address(host: str) -> bool:
    """Whether this is an IP address, and so no name."""
    if not (host[-1:].isdigit() or ":" in host):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
