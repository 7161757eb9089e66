"""What else on this machine has the port that a server would have, and whether that is a server of this kind.

Nothing but the standard library and msgspec, so that a command that asks starts quickly.
"""

import http.client
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from proxy_pkg.config.settings import Settings
from proxy_pkg.stats import mastership

LIMIT_SECONDS: Final = 2.0
"""For a question. The server gives itself half of it."""
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 (an address to ask, not to listen on)
_HEALTH_BYTES_MAX: Final = 65_536
_TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENS: Final = "0A"
"""The state LISTEN of a TCP socket in those tables."""
_WORDS_SHOWN: Final = 4
_CHARACTERS_SHOWN: Final = 80


class PortOwner(Struct, frozen=True):
    """The process that listens on a port; `command` is the beginning of its command line."""

    pid: int
    command: str


def owner_of(port: int) -> PortOwner | None:
    """Who listens on `port`, the parent where several share the socket; None where that cannot be seen from here."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    if not sockets:
        return None
    pids = [pid for pid in _processes() if _has_one_of(pid, sockets)]
    eldest = next((pid for pid in pids if _parent(pid) not in pids), 0)
    return PortOwner(eldest, _command(eldest)) if eldest else None


def is_ours(settings: Settings, host: str, port: int) -> bool:
    """Whether a server of this kind listens there, by its public health answer."""
    connection = http.client.HTTPConnection(asked_at(host), port, timeout=LIMIT_SECONDS)
    try:
        connection.request("GET", "/health", headers=headers_for(settings, host, port))
        answer = connection.getresponse()
        if answer.getheader("x-headroom-error"):
            return True
        health = msgspec.json.decode(answer.read(_HEALTH_BYTES_MAX), type=dict[str, Any])
        return {"status", "version", "worker"} <= health.keys()
    except (OSError, http.client.HTTPException, msgspec.MsgspecError, UnicodeError):
        return False
    finally:
        connection.close()


def is_master(settings: Settings, holder: PortOwner | None) -> bool:
    """Whether that process is the master of the server with this state directory, though it may not answer."""
    with suppress(OSError):
        return holder is not None and holder.pid in mastership.masters(settings.state_dir)
    return False


def asked_at(host: str) -> str:
    """The address at which to ask a server that listens on `host`."""
    return _ANY.get(host, host)


def headers_for(settings: Settings, host: str, port: int) -> dict[str, str]:
    """By an address, which the server takes for its own whatever names it knows; with a token where it wants one."""
    host = asked_at(host)
    headers = {"host": f"[{host}]:{port}" if ":" in host else f"{host}:{port}"}
    if token := settings.proxy_token or settings.proxy_keys.partition(",")[0].partition(":")[2]:
        headers["x-headroom-token"] = token
    return headers


def _listening(port: int) -> Iterator[str]:
    """The inodes of the sockets that listen on a port, on whichever address."""
    for table in _TABLES:
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _processes() -> Iterator[int]:
    with suppress(OSError):
        yield from sorted(int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())


def _has_one_of(pid: int, sockets: set[str]) -> bool:
    with suppress(OSError):  # it is another user's, or has ended
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(path.readlink()) in sockets:
                    return True
    return False


def _parent(pid: int) -> int:
    with suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _command(pid: int) -> str:
    """Its first words: what stands behind them may be long, or a secret."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")[:_WORDS_SHOWN]
        text = " ".join(word.decode("utf-8", "replace") for word in words)[:_CHARACTERS_SHOWN]
        return "".join(char if char.isprintable() else "?" for char in text)
    return ""
