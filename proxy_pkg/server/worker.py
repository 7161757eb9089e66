"""The worker class: uvicorn inside gunicorn, fed from Settings alone."""

import gc
import os
from typing import Any

from uvicorn.config import Config
from uvicorn_worker import UvicornWorker

from proxy_pkg.config.settings import Settings
from proxy_pkg.relay.websocket import MESSAGE_BYTES_MAX
from proxy_pkg.server.asgi import worker_app
from proxy_pkg.server.connection import Connection
from proxy_pkg.server.websocket import SocketConnection

# A request makes some hundred objects that die by themselves; looking for cycles every 700 costs more than it frees.
_YOUNG_OBJECTS = 20_000


class ProxyWorker(UvicornWorker):  # type: ignore[misc]  # the base class ships no types
    """Runs the app that its Settings describe. `settings` is set by the post_fork hook."""

    settings: Settings

    def init_process(self) -> None:
        self.config = Config(**uvicorn_options(self.settings, self))
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        gc.set_threshold(_YOUNG_OBJECTS)

    def load_wsgi(self) -> None:
        self.wsgi = worker_app(self.settings)

    async def callback_notify(self) -> None:
        # A worker whose master was killed has nobody left to replace or stop it: it must not hold the port.
        if os.getppid() != self.ppid:
            self.log.error("the master is gone, worker %s ends", self.pid)
            os.kill(os.getpid(), 15)
        self.notify()


def uvicorn_options(settings: Settings, worker: Any) -> dict[str, Any]:
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
        "limit_max_requests": worker.max_requests,
        "backlog": settings.backlog,
        "timeout_keep_alive": settings.keepalive_seconds,
        "timeout_graceful_shutdown": settings.drain_limit_seconds,
        "timeout_notify": 1,
        "callback_notify": worker.callback_notify,
    }
