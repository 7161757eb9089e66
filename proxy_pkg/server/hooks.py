"""Gunicorn's hooks as plain functions, small enough that none can break what it watches."""

import gc
import resource
import socket
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from proxy_pkg.config.blob import unpack
from proxy_pkg.config.checks import open_bind
from proxy_pkg.config.settings import Settings
from proxy_pkg.errors import SettingsError
from proxy_pkg.stats import mastership
from proxy_pkg.stats.directory import prepare
from proxy_pkg.store import embedded
from proxy_pkg.tokens import count

_NETWORK: Final = frozenset((socket.AF_INET, socket.AF_INET6))
_LOCAL: Final = "localhost"
"""Where a socket of the file system is reached from."""
_TASKS: Final = Path("/proc/self/task")
_DESCRIPTORS: Final = Path("/proc/self/fd")


def on_starting(server: Any, settings: Settings) -> None:
    """In the master, before anything is opened: claim the state directory and load the vocabulary.

    Ends the process with status 1 if the directory cannot be used.
    """
    try:
        # Held by the master and inherited by each worker, so that it is free when the last of them has ended.
        server.state_lock = prepare(settings.state_dir)
    except SettingsError as error:
        server.log.error("cannot start: %s", error)
        sys.exit(1)
    server.mastership = mastership.claim(settings.state_dir)
    if not server.state_lock.fresh and not server.master_pid:
        server.log.warning(
            "a server that still runs uses the state directory %s: both count and limit as one; if it does not end, "
            "give each its own HEADROOM_STATE_DIR",
            settings.state_dir,
        )
    if warning := embedded.prepare(settings.state_dir, settings.store_bytes_max):
        server.log.warning("%s", warning)
    # Those that we were started with, and the queue of idle connections.
    server.sockets_at_start = open_sockets()
    _raise_descriptor_limit()
    encoder = count.load()
    if encoder.problem:
        server.log.warning("tokens are estimated from bytes: %s", encoder.problem)


def _raise_descriptor_limit() -> None:
    """Let the workers open as many files as the system allows; many start programs with a limit of 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def when_ready(server: Any, settings: Settings) -> None:
    """Move what is loaded out of the collector's sight, so that workers go on sharing its pages.

    Ends the process with status 1 if a socket that a service manager handed over, or an address on gunicorn's command
    line, lets in strangers where the settings would not.
    """
    for listener in server.LISTENERS:
        host = listener.sock.getsockname()[0] if listener.sock.family in _NETWORK else _LOCAL
        if refusal := open_bind(settings, host, f"the socket at {host}"):
            server.log.error("cannot start: %s", refusal)
            sys.exit(1)
    gc.collect()
    gc.freeze()
    server.log.info("vocabulary loaded, forking workers")


def pre_fork(server: Any, worker: Any) -> None:
    """In the master: give the worker what it shares with others, and begin to count its time, or none would find out
    that it hangs.

    What makes a fork unsafe is logged at every fork; a server that serves continues.
    """
    worker.slot, worker.load_table, worker.handover = server.slot(), server.load_table, server.handover
    worker.notify()
    shared = server.sockets_at_start | {listener.fileno() for listener in worker.sockets}
    for hazard in hazards(shared):
        server.log.error("a worker forked now may hang, or disturb others: %s", hazard)


def post_fork(worker: Any, blob: bytes) -> None:
    """In the new worker: decode the configuration that the master packed."""
    configuration = unpack(blob)
    worker.settings, worker.origins = configuration.settings, configuration.origins


def hazards(shared: Collection[int]) -> Iterator[str]:
    """What makes a fork of this process unsafe, each as a phrase. `shared` are sockets that may be open.

    A lock that another thread holds stays locked in the child for good, and two processes that use one connection
    take each other's bytes.
    """
    threads = len(list(_TASKS.iterdir()))  # those of libraries too, which Python does not know of
    if threads > 1:
        names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
        yield f"{threads} threads run ({', '.join(names) or 'all but one of a library'})"
    strange = open_sockets().difference(shared)
    if strange:
        yield f"sockets are open that workers should not share: descriptors {sorted(strange)}"


def open_sockets() -> set[int]:
    """The descriptors of all sockets of this process."""
    found = set()
    for path in _DESCRIPTORS.iterdir():
        with suppress(OSError):  # the descriptor that listed them is gone
            if str(path.readlink()).startswith("socket:"):
                found.add(int(path.name))
    return found
