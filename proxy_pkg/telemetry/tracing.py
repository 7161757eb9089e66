"""Traces and metrics for OpenTelemetry, where the settings ask for them and the `otel` extra is installed.

Nothing of OpenTelemetry is imported here: `otel.py`, which needs the extra, is loaded by name when tracing is on.
"""

import importlib
import logging
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct
from multidict import CIMultiDict

from proxy_pkg.billing.usage import Usage
from proxy_pkg.config.extras import how
from proxy_pkg.config.settings import Settings
from proxy_pkg.protocols.table import Match
from proxy_pkg.stats.lifetime import DamagedError, read_lifetime
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.stats.snapshot import Server

_ENGINE: Final = "proxy_pkg.telemetry.otel"

logger = logging.getLogger("proxy_pkg")


class Outcome(Struct):
    """What a request came to, as far as its span tells: no query, no header, no body, no error text of others."""

    id: str
    method: str
    path: str
    matched: Match
    origin: str
    model: str
    status: int
    record: RequestRecord
    usage: Usage | None = None
    is_stream: bool = False
    """Whether the answer is a stream of events."""
    ended_ns: int = 0
    """When its last byte was sent, on the monotonic clock; 0 if that was just now."""


class Trace(Protocol):
    """The span of one request."""

    def pass_on(self, headers: "CIMultiDict[str]") -> None:
        """Name this span as the parent in the headers that go upstream, if there is one: not where the client's own
        trace is not kept, whose headers go on as they came.
        """
        ...

    def end(self, outcome: Outcome) -> None:
        """End it. Later calls do nothing."""
        ...


class Tracing(Protocol):
    """The tools of one worker. Its methods return at once; what they hand over waits in a bounded queue."""

    def begin(self, headers: list[tuple[bytes, bytes]]) -> Trace:
        """A span, whose parent is the one that the client's headers name."""
        ...

    async def publish(self, server: Server) -> None:
        """Send what the server has counted. Called in one worker alone, every few seconds."""
        ...

    async def close(self) -> None:
        """Send what waits, for at most `otel.CLOSE_SECONDS_MAX`."""
        ...


def open_tracing(settings: Settings, slot: int = -1) -> Tracing | None:
    """The tracing of the worker in a slot, inside its loop. None where the settings do not ask for it, or the extra is
    missing, which check-config tells before a start.
    """
    if not settings.otel:
        return None
    try:
        engine = importlib.import_module(_ENGINE)
    except ImportError as error:
        logger.error("no traces are made: %s; %s", error, how("otel"))
        return None
    tracing: Tracing = engine.OpenTelemetry(
        settings.otel_endpoint, settings.otel_sample_share, instance_of(settings.state_dir, slot)
    )
    return tracing


def instance_of(state_dir: str, slot: int) -> str:
    """The name of a worker among all others everywhere. One that takes a dead one's slot goes on under its name, so
    that there are no more names than slots, whoever dies.
    """
    with suppress(DamagedError, OSError):
        identity = read_lifetime(Path(state_dir)).identity if slot >= 0 else 0
        if identity:
            return f"{identity:016x}-{slot}"
    return secrets.token_hex(8)
