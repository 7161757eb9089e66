"""Routes about this server itself: is it alive, should it get requests, what has it done.

The health routes answer anyone and touch neither the counters nor an upstream. `/stats` and `/metrics`
answer callers on this machine, and others if `operations_remote` is set. Callers are told apart by the
address of the connection, never by a header, so behind a reverse proxy on the same machine everybody is
local: close these paths there.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from proxy_pkg import __version__
from proxy_pkg.stats.counters import Counters
from proxy_pkg.stats.reading import Reading, read_server
from proxy_pkg.stats.render import METRICS_CONTENT_TYPE, metrics_text
from proxy_pkg.stats.summary import stats_dict
from proxy_pkg.web.loopback import is_loopback_host
from proxy_pkg.web.state import WorkerState

Endpoint = Callable[[Request], Awaitable[Response]]
logger = logging.getLogger("proxy_pkg")

_FRESH = {"cache-control": "no-store"}


class OperationsSettings(Protocol):
    """The part of Settings that these routes read."""

    @property
    def operations_remote(self) -> bool:
        """Whether callers from other machines may see `/stats` and `/metrics`."""


class Operations:
    """The endpoints of one worker."""

    def __init__(self, counters: Counters, state: WorkerState) -> None:
        self._counters = counters
        self._state = state

    async def livez(self, _: Request) -> Response:
        """200 as long as the event loop turns."""
        return PlainTextResponse("ok", headers=_FRESH)

    async def readyz(self, _: Request) -> Response:
        """200 if this worker should be sent requests, else 503 with the reason: starting or draining."""
        hindrance = self._state.hindrance
        return PlainTextResponse(hindrance or "ok", 503 if hindrance else 200, headers=_FRESH)

    async def health(self, _: Request) -> Response:
        """Status, version, and which worker says so."""
        status = self._state.hindrance or "ok"
        return _json({"status": status, "version": __version__, "worker": self._worker()})

    async def stats(self, _: Request) -> Response:
        """The totals of all workers as JSON; only `answered_by` tells of this one."""
        return await self._answer(lambda reading: _json(self._stats(reading)))

    async def metrics(self, _: Request) -> Response:
        """The totals of all workers as Prometheus text."""
        return await self._answer(
            lambda reading: Response(metrics_text(reading), media_type=METRICS_CONTENT_TYPE, headers=_FRESH)
        )

    async def _answer(self, render: Callable[[Reading], Response]) -> Response:
        try:
            return await asyncio.to_thread(lambda: render(self._read()))
        except OSError as error:
            logger.error("the counters cannot be read: %s", error)
            return _json({"error": f"the counters cannot be read: {error.strerror or error}"}, 503)

    def _read(self) -> Reading:
        if self._counters.shared:
            return read_server(self._counters.state_dir)
        with self._counters.buffer as own:
            return read_server(self._counters.state_dir, own)

    def _stats(self, reading: Reading) -> dict[str, Any]:
        return stats_dict(reading, time.time_ns()) | {
            "answered_by": self._worker() | {"counts_shared": self._counters.shared}
        }

    def _worker(self) -> dict[str, Any]:
        return {"slot": self._state.slot, "pid": os.getpid(), "age_seconds": self._state.age_seconds}


def operations_routes(settings: OperationsSettings, counters: Counters, state: WorkerState) -> list[Route]:
    """The routes, for GET and HEAD. All other paths are somebody else's."""
    operations = Operations(counters, state)
    guarded = _open if settings.operations_remote else _local_only
    return [
        Route("/livez", operations.livez),
        Route("/readyz", operations.readyz),
        Route("/health", operations.health),
        Route("/stats", guarded(operations.stats)),
        Route("/metrics", guarded(operations.metrics)),
    ]


def _open(endpoint: Endpoint) -> Endpoint:
    return endpoint


def _local_only(endpoint: Endpoint) -> Endpoint:
    async def local_only(request: Request) -> Response:
        client = request.scope.get("client")
        if is_loopback_host(client[0] if client else None):
            return await endpoint(request)
        return _json(
            {
                "error": f"{request.url.path} answers callers on this machine alone; "
                "set HEADROOM_OPERATIONS_REMOTE=true to answer others"
            },
            403,
        )

    return local_only


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(content) + b"\n", status, _FRESH, "application/json")
