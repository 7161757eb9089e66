"""Gunicorn's configuration: `gunicorn -c gunicorn_conf.py` serves what the HEADROOM_* environment describes.

Settings are loaded once, here, and travel to every worker as one blob; a HUP runs this file again.
"""

from typing import Any

from proxy_pkg.config.blob import pack
from proxy_pkg.server import boot, gunicorn_limits, hooks, listening
from proxy_pkg.server.arbiter import adopt
from proxy_pkg.server.log_formats import LOGGERS

settings = boot.load_settings()
blob = pack(settings, boot.origins_in_force())

wsgi_app = "proxy_pkg.server.asgi:create_app_from_env"
worker_class = "proxy_pkg.server.worker.ProxyWorker"
proc_name = "proxy_pkg"

bind = gunicorn_limits.bind_address(settings)
backlog = settings.backlog
workers = settings.workers
max_requests = settings.max_requests
max_requests_jitter = gunicorn_limits.max_requests_jitter(settings)

timeout = settings.worker_timeout_seconds
graceful_timeout = gunicorn_limits.graceful_timeout_seconds(settings)
keepalive = settings.keepalive_seconds
worker_tmp_dir = gunicorn_limits.heartbeat_dir()

loglevel = settings.log_level
logger_class = LOGGERS[settings.log_format]

# Its thread in the master would be running while workers are forked, and a worker could start with a held lock.
control_socket_disable = True


def on_starting(server: Any) -> None:
    adopt(server)
    listening.make_sure(server, settings)
    hooks.on_starting(server, settings)


def when_ready(server: Any) -> None:
    hooks.when_ready(server, settings)


def pre_fork(server: Any, worker: Any) -> None:
    hooks.pre_fork(server, worker)


def post_fork(server: Any, worker: Any) -> None:
    hooks.post_fork(worker, blob)
