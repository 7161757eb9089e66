"""One worker's Starlette app: what it serves, and what lives as long as its loop."""

import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from starlette.applications import Starlette

from proxy_pkg.config.origins import Origins, origins_section
from proxy_pkg.config.settings import Settings
from proxy_pkg.errors import RefusedError
from proxy_pkg.planning.offload import STUCK_MAX, Planner
from proxy_pkg.relay.pump import Receive, Send
from proxy_pkg.stats.counters import Counters
from proxy_pkg.stats.snapshot import Server
from proxy_pkg.telemetry.fleet_totals import Fleet
from proxy_pkg.telemetry.publishing import PERIOD_SECONDS, Publish, Publisher
from proxy_pkg.telemetry.stderr_handler import STANDARD_ERROR
from proxy_pkg.tokens.count import Encoder
from proxy_pkg.web.explaining import Explaining, explaining_route
from proxy_pkg.web.forward import Forward
from proxy_pkg.web.forward_socket import SocketForward
from proxy_pkg.web.middleware.access_log import AccessLog
from proxy_pkg.web.middleware.auth import TokenAuth, tokens_of
from proxy_pkg.web.operations import operations_routes
from proxy_pkg.web.services import Services, open_services, verdict_rules
from proxy_pkg.web.state import WorkerState

NO_ORIGINS = Origins()
_RETRY_AFTER_SECONDS = 1
_ENDED = "the proxy restarts, and this request was not complete within HEADROOM_DRAIN_LIMIT_SECONDS: send it again"


class ProxyApp(Starlette):
    """A Starlette app for the operations routes; everything else goes straight to the relay.

    Routing and the middleware around it would cost a relayed request a fifth of its time and do nothing for it.
    """

    def __init__(self, settings: Settings, counters: Counters, encoder: Encoder, origins: Origins) -> None:
        self._counters = counters
        self._condition = state = WorkerState(time.monotonic(), counters.slot)
        state.sections["configuration"] = partial(_configuration, settings, origins)
        self.explaining = Explaining(settings, verdict_rules(settings), encoder)
        routes = [*operations_routes(settings, counters, state), explaining_route(settings, self.explaining)]
        super().__init__(routes=routes, lifespan=partial(_lifespan, settings, counters, encoder, state))
        self.relay: Forward | None = None
        self.planner: Planner | None = None
        self.sockets: SocketForward | None = None
        self._own_paths = frozenset(route.path for route in routes)
        tokens = tokens_of(settings.proxy_token, settings.proxy_keys)
        self._door = TokenAuth(self._choose, tokens, self._refuse) if tokens else self._choose

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # A coroutine function, or servers that look for one take the app for one of ASGI 2.
        await self._door(scope, receive, send)

    def begin_drain(self) -> None:
        """This worker ends: from now on it is not ready, and says so to whoever asks."""
        self._condition.draining = True
        self._counters.drains()

    def abandon(self) -> None:
        """End what is still open, each request with an error in the form of its answer."""
        if self.relay is not None:
            self.relay.abandon(RefusedError(_ENDED, "shutting_down", 503, _RETRY_AFTER_SECONDS))

    @property
    def is_spent(self) -> bool:
        """Whether so many threads never came back that this process should be replaced."""
        return self.planner is not None and self.planner.stuck + self.explaining.stuck > STUCK_MAX

    async def _refuse(self, scope: dict[str, Any], receive: Receive, send: Send, error: RefusedError) -> None:
        door = self.sockets if scope["type"] == "websocket" else self.relay
        assert door is not None, "a request before the lifespan began"
        await door.refuse(scope, receive, send, error)

    def _choose(self, scope: dict[str, Any], receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        if scope["type"] == "http" and scope["path"] not in self._own_paths:
            assert self.relay is not None, "a request before the lifespan began"
            return self.relay(scope, receive, send)
        if scope["type"] == "websocket":
            assert self.sockets is not None, "a request before the lifespan began"
            return self.sockets(scope, receive, send)
        return super().__call__(scope, receive, send)


def build_app(settings: Settings, counters: Counters, encoder: Encoder, origins: Origins = NO_ORIGINS) -> ProxyApp:
    """The app. Its session and threads begin with the lifespan, inside the running loop, and end with it."""
    return ProxyApp(settings, counters, encoder, origins)


async def _configuration(settings: Settings, origins: Origins, _: Server) -> object:
    """What this server runs with, for `/stats`. All workers have it from the master, and say the same."""
    return origins_section(settings, origins)


@asynccontextmanager
async def _lifespan(
    settings: Settings, counters: Counters, encoder: Encoder, state: WorkerState, app: ProxyApp
) -> AsyncIterator[None]:
    STANDARD_ERROR.begin()
    access_log = AccessLog(settings.log_format, STANDARD_ERROR.write) if settings.access_log else None
    services = open_services(settings, counters, encoder, access_log)
    await services.begin()
    state.shared_publisher, state.prices = services.shared_publisher, services.prices.sources
    state.sections |= {"live": services.shared_publisher.live_section, "store": services.shared_publisher.store_section}
    if services.limits is not None:
        state.sections["limits"] = services.limits.section
    app.relay = Forward(services)
    app.planner = services.planner
    app.explaining.hold = services.admission.hold
    app.sockets = SocketForward(services)
    publisher = _publisher(settings, counters, services, state)
    state.warm = True
    try:
        yield
    finally:
        state.draining = True  # where another server than ours runs the app
        app.explaining.close()
        await publisher.close()
        await services.close()
        counters.close()
        await STANDARD_ERROR.end()


def _publisher(settings: Settings, counters: Counters, services: Services, state: WorkerState) -> Publisher:
    """Tells others what this server counts, as far as the settings name others."""
    publishers: list[Publish] = []
    if settings.redis_url:
        fleet = Fleet(services.store)
        state.sections["fleet"], state.fleet = fleet.section, fleet.figures
        publishers.append(fleet.publish)
    if services.tracing is not None:
        publishers.append(services.tracing.publish)
    return Publisher(counters, publishers, PERIOD_SECONDS)
