"""From Settings to the app: for a gunicorn worker, and for a bare ASGI server."""

import logging

from starlette.applications import Starlette

from proxy_pkg.config.load import load_for_asgi
from proxy_pkg.config.origins import Origins, at_start
from proxy_pkg.config.settings import Settings
from proxy_pkg.errors import SettingsError
from proxy_pkg.server.preflight import what_is_named
from proxy_pkg.stats.counters import Counters, open_counters, private_counters
from proxy_pkg.stats.directory import prepare
from proxy_pkg.stats.slots import SlotError
from proxy_pkg.store import embedded
from proxy_pkg.tokens.count import load
from proxy_pkg.web.app import ProxyApp, build_app

logger = logging.getLogger("proxy_pkg")


def worker_app(settings: Settings, origins: Origins) -> ProxyApp:
    """The app of one worker; the state directory is prepared and the vocabulary loaded."""
    return build_app(settings, open_or_private(settings), load(), origins)


def create_app_from_env() -> Starlette:
    """The app for a bare ASGI server, such as `uvicorn --factory proxy_pkg.server.asgi:create_app_from_env`.

    The whole configuration comes as JSON in HEADROOM_PROXY_CONFIG_JSON, or else from the same variables as
    everywhere. Raises SettingsError with every problem.
    """
    loaded = load_for_asgi()
    settings = loaded.settings
    if problems := what_is_named(settings).problems:
        raise SettingsError(problems)
    prepare(settings.state_dir)
    if warning := embedded.prepare(settings.state_dir, settings.store_bytes_max):
        logger.warning("%s", warning)
    return worker_app(settings, at_start(loaded.sources))


def open_or_private(settings: Settings) -> Counters:
    """Shared counters; this worker's own, with a warning, where the shared ones cannot be had."""
    try:
        return open_counters(settings.state_dir, settings.workers)
    except SlotError as error:
        logger.warning("this worker counts for itself alone: %s", error)
        return private_counters(settings.state_dir)
