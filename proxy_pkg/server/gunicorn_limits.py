"""Gunicorn's own limits, derived from Settings so that our limits always pass first."""

import os

from proxy_pkg.config.settings import Settings

_AFTER_DRAIN_SECONDS = 10
_JITTER_SHARE = 10
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 (gunicorn makes its files there safely, and they have no names)


def bind_address(settings: Settings) -> str:
    """host:port as gunicorn reads it, an IPv6 address in brackets."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.port}"


def graceful_timeout_seconds(settings: Settings) -> int:
    """When the master stops waiting for a worker: after the worker's own drain limit, with time to close down."""
    return settings.drain_limit_seconds + _AFTER_DRAIN_SECONDS


def heartbeat_dir() -> str | None:
    """Where workers show that they live: in memory, so that no slow or full disk makes them look dead.

    None, which is the system's own choice, where there is no such place.
    """
    return _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK | os.X_OK) else None


def max_requests_jitter(settings: Settings) -> int:
    """How many requests more a worker may serve, by chance, so that workers are not replaced all at once."""
    return settings.max_requests // _JITTER_SHARE
