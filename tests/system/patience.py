"""Waiting for what another process will do: asked again and again, never longer than a limit."""

import time
from collections.abc import Callable
from typing import Any

from bench.processes import Server
from tests.fakes.client import ask

LIMIT_SECONDS = 15.0
POLL_SECONDS = 0.02


def eventually(true: Callable[[], object], limit_seconds: float = LIMIT_SECONDS) -> None:
    """Return as soon as `true()` holds; fail when the limit passes first."""
    end = time.monotonic() + limit_seconds
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(POLL_SECONDS)


def stats(server: Server) -> dict[str, Any]:
    answer = ask(server.port, "GET", "/stats")
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()
    return found


def quiet(server: Server) -> bool:
    return bool(stats(server)["requests"]["in_flight"] == 0)
