"""Whether an address can be listened on, reported in one line before gunicorn tries it for five seconds.

Gunicorn names neither the setting nor the process that has the port, and logs each try twice.
"""

import errno
import os
import socket
import stat
import sys
import time
from pathlib import Path
from typing import Any, Final

from proxy_pkg.config.load import socket_passed
from proxy_pkg.config.settings import Settings
from proxy_pkg.server.gunicorn_limits import bind_address
from proxy_pkg.server.port_owner import is_master, is_ours, owner_of

PATIENCE_SECONDS: Final = 2.0
"""For a server that is ending and still has the port."""
_POLL_SECONDS: Final = 0.1
OURS: Final = "HEADROOM_HOST and HEADROOM_PORT"
COMMAND_LINE: Final = "--bind"


def make_sure(server: Any, settings: Settings) -> None:
    """In the master, before anything is opened: ends the process with status 1 where an address cannot be had.

    A socket that was handed over, by a service manager or by the master before an upgrade, makes that unnecessary.
    """
    if server.master_pid or socket_passed() or server.cfg.reuse_port:
        return
    setting = OURS if server.cfg.bind == [bind_address(settings)] else COMMAND_LINE
    for address in server.cfg.address:
        if refusal := _refusal(settings, address, setting):
            server.log.error("cannot start: %s", refusal)
            sys.exit(1)


def refusal(settings: Settings, host: str, port: int, setting: str = OURS) -> str:
    """Why nothing can listen there, with who does and what to do; empty if something can."""
    fault = _fault(host, port)
    return _sentence(settings, host, port, setting, fault) if fault else ""


def _refusal(settings: Settings, address: Any, setting: str) -> str:
    if isinstance(address, str):
        return _of_path(Path(address), setting)
    if not isinstance(address, tuple):
        return ""  # a descriptor
    host, port = address[:2]
    limit = time.monotonic() + PATIENCE_SECONDS
    while (fault := _fault(host, port)) and fault.errno == errno.EADDRINUSE and time.monotonic() < limit:
        time.sleep(_POLL_SECONDS)
    return _sentence(settings, host, port, setting, fault) if fault else ""


def _fault(host: str, port: int) -> OSError | None:
    """Binds as gunicorn does, without listening."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except UnicodeError:
        return OSError(None, "it is no host name")
    except OSError as error:
        return error
    return None


def _sentence(settings: Settings, host: str, port: int, setting: str, fault: OSError) -> str:
    reason = fault.strerror or str(fault)
    place = f"cannot listen on {host} port {port} ({setting}): {reason}"
    if fault.errno == errno.EADDRINUSE:
        return f"{place}; {_who(settings, host, port, setting)}"
    if fault.errno == errno.EACCES:
        return f"{place}; ports below 1024 need root or CAP_NET_BIND_SERVICE; take a higher {_port(setting)}"
    return f"{place}; {_host(setting)} must be a name or an address of this machine"


def _who(settings: Settings, host: str, port: int, setting: str) -> str:
    holder = owner_of(port)
    who = f"process {holder.pid} ({holder.command})" if holder else "a process that cannot be seen from here"
    if is_master(settings, holder) or is_ours(settings, host, port):
        return (
            f"a server of this kind has it already, {who}: `proxyctl status` shows it, `proxyctl reload` hands it new "
            f"settings, `proxyctl drain` ends it; or take another {_port(setting)}"
        )
    return (
        f"{who} has it (`ss -ltnp 'sport = :{port}'` shows who listens there): end it, or take another {_port(setting)}"
    )


def _port(setting: str) -> str:
    return "HEADROOM_PORT" if setting == OURS else f"port in {setting}"


def _host(setting: str) -> str:
    return "HEADROOM_HOST" if setting == OURS else f"the host in {setting}"


def _of_path(path: Path, setting: str) -> str:
    """Why there can be no socket of the file system at `path`. Gunicorn replaces a socket that is there."""
    place = f"cannot listen on the socket {path} ({setting})"
    try:
        if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
            return f"{place}: there is something that is no socket; remove it, or name another path"
        if not path.parent.is_dir():
            return f"{place}: {path.parent} is no directory; make it, or name another path"
        if not os.access(path.parent, os.W_OK | os.X_OK):
            return f"{place}: {path.parent} cannot be written; name a directory of your own"
    except OSError as error:
        return f"{place}: {error.strerror or error}"
    return ""
