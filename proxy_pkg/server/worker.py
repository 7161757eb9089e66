"""The worker class: uvicorn inside gunicorn, fed from Settings alone."""

import asyncio
import faulthandler
import gc
import os
import signal
import sys
import threading
from typing import Any, Final

from gunicorn.arbiter import Arbiter
from uvicorn.config import Config
from uvicorn_worker import UvicornWorker

from proxy_pkg.config.descriptors import descriptor_shares
from proxy_pkg.config.origins import Origins
from proxy_pkg.config.settings import Settings
from proxy_pkg.errors import ProxyError
from proxy_pkg.relay.websocket import MESSAGE_BYTES_MAX
from proxy_pkg.server.asgi import worker_app
from proxy_pkg.server.client_timeouts import ClientLimits
from proxy_pkg.server.connection import Connection
from proxy_pkg.server.handover import Handover
from proxy_pkg.server.load_table import LoadTable
from proxy_pkg.server.serving import ServingLoop
from proxy_pkg.server.websocket import SocketConnection
from proxy_pkg.server.worker_status import ENDINGS, READY, RETIRING, report

# A request makes some hundred objects that die by themselves; looking for cycles every 700 costs more than it frees.
YOUNG_OBJECTS = 20_000
_TURN_SECONDS: Final = 0.001
"""How soon a thread that works gives way to the loop; five times that, the default, adds up over a request."""

EXIT_LIMIT_SECONDS: Final = 5
"""Time from the last answer to the end of the process. A thread that never returns would make Python wait for it."""

ORPHAN_GRACE_SECONDS: Final = 3
"""How much later than the master would, a blocked worker ends by itself."""

_MASTER_ONLY = (signal.SIGHUP, signal.SIGUSR2, signal.SIGWINCH)

THREADS_NEEDED: Final = 12
"""Tried at the start, not at the first request: a process below its limit for threads would serve until it first needs
one, and libuv, which looks names up on threads of its own, aborts the process where it gets none.

Four of libuv's, those for planning, accounts, explanations, log lines, the watchdog and statistics, and some to spare.
"""


class ThreadsShortError(ProxyError):
    """The system lets this process start too few threads."""


async def prepare_threads() -> None:
    """Raises ThreadsShortError. Afterwards the loop has the threads that it looks names up on."""
    enough, threads = threading.Event(), []
    try:
        for _ in range(THREADS_NEEDED):
            thread = threading.Thread(target=enough.wait, name="probe", daemon=True)
            thread.start()
            threads.append(thread)
    except RuntimeError as error:
        raise ThreadsShortError(
            f"a worker needs {THREADS_NEEDED} threads besides its own and gets {len(threads)} ({error}): raise the "
            "limit for processes, which counts threads: TasksMax= of a unit, --pids-limit of a container, or ulimit -u"
        ) from error
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 0)


class ProxyWorker(UvicornWorker):  # type: ignore[misc]  # the base class ships no types
    """Runs the app that its Settings describe. The post_fork hook sets `settings` and `origins`, pre_fork the rest."""

    settings: Settings
    origins: Origins = Origins()
    load_table: LoadTable | None = None
    slot: int = -1
    handover: Handover | None = None
    _lacks_watchdog = False

    def init_process(self) -> None:
        self.config = Config(**uvicorn_options(self.settings))
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        # A terminal sends these to all its processes, and they would end a worker that has streams open.
        for number in _MASTER_ONLY:
            signal.signal(number, signal.SIG_IGN)
        # The master aborts a worker whose loop is stuck: where it is stuck then stands in the log.
        faulthandler.enable(sys.stderr, all_threads=True)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
        gc.set_threshold(YOUNG_OBJECTS)
        sys.setswitchinterval(_TURN_SECONDS)

    def load_wsgi(self) -> None:
        self.wsgi = worker_app(self.settings, self.origins)

    @property
    def client_limits(self) -> ClientLimits:
        settings = self.settings
        return ClientLimits(
            head_seconds=settings.head_timeout_seconds,
            body_seconds=settings.body_timeout_seconds,
            read_seconds=settings.gap_timeout_seconds,
            body_rate_bytes_min=settings.body_rate_bytes_min,
            buffer_bytes=settings.client_buffer_bytes,
        )

    @property
    def connections_max(self) -> int:
        return descriptor_shares(self.settings.max_connections)[0]

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        try:
            await prepare_threads()
        except ThreadsShortError as error:
            self.log.error("cannot start: %s", error)
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
        serving = ServingLoop(self.config, self)
        await serving.serve(sockets=self.sockets)
        self._end_later(EXIT_LIMIT_SECONDS)
        if not serving.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    def begin_drain(self) -> None:
        self.wsgi.begin_drain()

    def abandon(self) -> None:
        self.wsgi.abandon()

    def beat(self) -> None:
        """Besides the master, a thread that needs nothing of Python: it ends a blocked worker whose master is gone."""
        self.notify()
        self._end_later(int(self.settings.worker_timeout_seconds) + ORPHAN_GRACE_SECONDS)

    def _end_later(self, seconds: int) -> None:
        """Have a thread end this process unless it is cancelled by then. Without a thread, serving continues."""
        try:
            faulthandler.dump_traceback_later(seconds, exit=True)
        except RuntimeError as error:
            if not self._lacks_watchdog:
                self.log.warning("no thread watches over this worker: %s", error)
            self._lacks_watchdog = True
        else:
            self._lacks_watchdog = False

    def on_ready(self) -> None:
        report(self, READY)

    def on_retiring(self) -> None:
        self.log.info("this worker has served its time and goes when a successor serves")
        report(self, RETIRING)

    def is_spent(self) -> bool:
        return bool(self.wsgi.is_spent)

    def is_orphan(self) -> bool:
        return os.getppid() != int(self.ppid)


def uvicorn_options(settings: Settings) -> dict[str, Any]:
    """What uvicorn gets. Gunicorn's file reaches uvicorn only through here, so what is not named keeps its default."""
    return {
        "app": None,
        "loop": "uvloop",
        "http": Connection,
        "ws": SocketConnection,
        "ws_max_size": MESSAGE_BYTES_MAX,
        "ws_ping_interval": None,  # pings are the peers' own affair
        "lifespan": "on",
        "interface": "asgi3",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,
        "limit_concurrency": None,
        "h11_max_incomplete_event_size": settings.header_bytes_max,
        "backlog": settings.backlog,
        "timeout_keep_alive": settings.keepalive_seconds,
        "timeout_graceful_shutdown": settings.drain_limit_seconds,
    }
