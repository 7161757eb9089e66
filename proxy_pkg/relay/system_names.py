"""The system's own resolver, for what DNS does not know: names of mDNS, of directories, of this machine.

It blocks, and nothing ends it. So each name has one thread of its own at a time, there are few of them, and they keep
no worker from ending.
"""

import asyncio
import contextlib
import socket
import threading
from pathlib import Path
from typing import Final

from proxy_pkg.relay.dns import Found, LookupFailedError

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
