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
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from proxy_pkg import __version__
from proxy_pkg.stats.counters import Counters
from proxy_pkg.stats.render import METRICS_CONTENT_TYPE, metrics_text
from proxy_pkg.stats.snapshot import Server, read_lifetimes
from proxy_pkg.stats.summary import lifetime_dict, stats_dict
from proxy_pkg.telemetry.run_in_thread import run_in_thread
from proxy_pkg.web.loopback import host_names, is_loopback_host, names_this_machine
from proxy_pkg.web.state import Section, WorkerState

Endpoint = Callable[[Request], Awaitable[Response]]
logger = logging.getLogger("proxy_pkg")

_FRESH = {"cache-control": "no-store"}
_SECTION_SECONDS_MAX = 1.0


class OperationsSettings(Protocol):
    """The part of Settings that these routes read."""

    @property
    def allowed_hosts(self) -> str:
        """Names by which callers on this machine may call it, beside `localhost`, separated by commas."""

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
        return answer_json({"status": status, "version": __version__, "worker": self._worker()})

    async def stats(self, _: Request) -> Response:
        """The totals of all workers as JSON; only `answered_by` tells of this one."""
        return await self._answer(self._stats)

    async def metrics(self, _: Request) -> Response:
        """The totals of all workers as Prometheus text."""
        return await self._answer(self._metrics)

    async def _answer(self, render: Callable[[Server], Awaitable[Response]]) -> Response:
        try:
            return await render(await run_in_thread(self._read))
        except OSError as error:
            logger.error("the counters cannot be read: %s", error)
            return answer_json({"error": f"the counters cannot be read: {error.strerror or error}"}, 503)

    def _read(self) -> Server:
        if self._counters.shared:
            return read_lifetimes(self._counters.state_dir)
        with self._counters.buffer as own:
            return read_lifetimes(self._counters.state_dir, own)

    async def _stats(self, server: Server) -> Response:
        sections = self._state.sections
        told = await asyncio.gather(*(_bounded(section, server) for section in sections.values()))
        content = await run_in_thread(self._totals, server) | dict(zip(sections, told, strict=True))
        return answer_json(content)

    async def _metrics(self, server: Server) -> Response:
        fleet = await self._state.fleet(server) if self._state.fleet is not None else None
        text = await run_in_thread(metrics_text, server.now, server.lifetime, fleet)
        return Response(text, media_type=METRICS_CONTENT_TYPE, headers=_FRESH)

    def _totals(self, server: Server) -> dict[str, Any]:
        now_ns = time.time_ns()
        answered_by = self._worker() | {"counts_shared": self._counters.shared}
        return stats_dict(server.now, now_ns, self._state.prices) | {
            "version": __version__,
            "lifetime": lifetime_dict(server, now_ns),
            "answered_by": answered_by,
        }

    def _worker(self) -> dict[str, Any]:
        return {"slot": self._state.slot, "pid": os.getpid(), "age_seconds": self._state.age_seconds}


async def _bounded(section: Section, server: Server) -> object:
    """What a section tells, or that it did not in time: no store may hold up the counts."""
    try:
        return await asyncio.wait_for(section(server), _SECTION_SECONDS_MAX)
    except TimeoutError:
        return {"problem": f"no answer within {_SECTION_SECONDS_MAX} s"}


def recent_endpoint(state: WorkerState) -> Endpoint:
    """The last requests of all workers, newest first. Without bodies, paths and callers."""

    async def recent(_: Request) -> Response:
        if state.shared_publisher is None:
            return answer_json({"error": "this worker is starting"}, 503)
        return answer_json({"recent": await state.shared_publisher.shown_recent()})

    return recent


def operations_routes(settings: OperationsSettings, counters: Counters, state: WorkerState) -> list[Route]:
    """The routes, for GET and HEAD. All other paths are somebody else's."""
    operations, names = Operations(counters, state), host_names(settings.allowed_hosts)
    return [
        Route("/livez", operations.livez),
        Route("/readyz", operations.readyz),
        Route("/health", operations.health),
        Route("/stats", guarded(operations.stats, is_open=settings.operations_remote, names=names)),
        Route("/stats/recent", guarded(recent_endpoint(state), is_open=settings.operations_remote, names=names)),
        Route("/metrics", guarded(operations.metrics, is_open=settings.operations_remote, names=names)),
    ]


def guarded(endpoint: Endpoint, *, is_open: bool, names: frozenset[str] = frozenset()) -> Endpoint:
    """The endpoint, for callers on this machine alone unless it is open to others.

    A web page in a browser on this machine is no such caller, although its name may lead here: requests have to name
    this server by an address, as `localhost`, or by one of `names`.
    """
    if is_open:
        return endpoint

    async def local_only(request: Request) -> Response:
        client = request.scope.get("client")
        if is_loopback_host(client[0] if client else None):
            if names_this_machine(request.headers.get("host", ""), names):
                return await endpoint(request)
            message = "the Host is not known here; HEADROOM_ALLOWED_HOSTS lists names"
            return _refused(request, "unknown_host", 421, message)
        message = (
            f"{request.url.path} answers callers on this machine alone; "
            "set HEADROOM_OPERATIONS_REMOTE=true to answer others"
        )
        return _refused(request, "not_local", 403, message)

    return local_only


def _refused(request: Request, code: str, status: int, message: str) -> Response:
    """Refuse a caller, counted and logged: it may be a page that should not be here."""
    headers = {"x-headroom-error": code}
    relay = getattr(request.app, "relay", None)  # there is one while the loop runs
    if relay is not None:
        headers["x-headroom-request-id"] = relay.refused_unread(code, status, message, request.scope)
    return answer_json({"error": message}, status, headers)


def answer_json(content: dict[str, Any], status: int = 200, headers: Mapping[str, str] = _FRESH) -> Response:
    """An answer that nobody keeps."""
    return Response(msgspec.json.encode(content) + b"\n", status, {**_FRESH, **headers}, "application/json")
