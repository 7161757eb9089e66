"""One worker's Starlette app: what it serves, and what lives as long as its loop."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from starlette.applications import Starlette

from proxy_pkg.config.settings import Settings
from proxy_pkg.errors import RefusedError
from proxy_pkg.relay.pump import Receive, Send
from proxy_pkg.stats.counters import Counters
from proxy_pkg.tokens.count import Encoder
from proxy_pkg.web.forward import Forward
from proxy_pkg.web.middleware.access_log import AccessLog
from proxy_pkg.web.middleware.auth import TokenAuth
from proxy_pkg.web.operations import operations_routes
from proxy_pkg.web.services import open_services
from proxy_pkg.web.state import WorkerState
from proxy_pkg.web.websocket import SocketForward

_STANDARD_ERROR = 2
_RETRY_AFTER_SECONDS = 1
_ENDED = "the proxy restarts, and this request was not complete within HEADROOM_DRAIN_LIMIT_SECONDS: send it again"


class ProxyApp(Starlette):
    """A Starlette app for the operations routes; everything else goes straight to the relay.

    Routing and the middleware around it would cost a relayed request a fifth of its time and do nothing for it.
    """

    def __init__(self, settings: Settings, counters: Counters, encoder: Encoder) -> None:
        self._counters = counters
        self._condition = state = WorkerState(time.monotonic(), counters.slot)
        routes = operations_routes(settings, counters, state)
        super().__init__(routes=routes, lifespan=partial(_lifespan, settings, counters, encoder, state))
        self.relay: Forward | None = None
        self.sockets: SocketForward | None = None
        self._own_paths = frozenset(route.path for route in routes)
        token = settings.proxy_token
        self._door = TokenAuth(self._choose, token, self._refuse) if token else self._choose

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._door(scope, receive, send)

    def begin_drain(self) -> None:
        """This worker ends: from now on it is not ready, and says so to whoever asks."""
        self._condition.draining = True
        self._counters.drains()

    def abandon(self) -> None:
        """End what is still open, each request with an error in the form of its answer."""
        if self.relay is not None:
            self.relay.abandon(RefusedError(_ENDED, "shutting_down", 503, _RETRY_AFTER_SECONDS))

    async def _refuse(self, scope: dict[str, Any], receive: Receive, send: Send, error: RefusedError) -> None:
        assert self.relay is not None, "a request before the lifespan began"
        await self.relay.refuse(scope, receive, send, error)

    async def _choose(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self._own_paths:
            assert self.relay is not None, "a request before the lifespan began"
            await self.relay(scope, receive, send)
        elif scope["type"] == "websocket":
            assert self.sockets is not None, "a request before the lifespan began"
            await self.sockets(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def build_app(settings: Settings, counters: Counters, encoder: Encoder) -> ProxyApp:
    """The app. Its session and threads begin with the lifespan, inside the running loop, and end with it."""
    return ProxyApp(settings, counters, encoder)


@asynccontextmanager
async def _lifespan(
    settings: Settings, counters: Counters, encoder: Encoder, state: WorkerState, app: ProxyApp
) -> AsyncIterator[None]:
    access_log = AccessLog(settings.log_format, partial(os.write, _STANDARD_ERROR)) if settings.access_log else None
    services = open_services(settings, counters, encoder, access_log)
    app.relay = Forward(services)
    app.sockets = SocketForward(services)
    state.warm = True
    try:
        yield
    finally:
        state.draining = True  # where another server than ours runs the app
        await services.close()
        counters.close()
