"""Gunicorn's own limits, derived from Settings so that our limits always pass first."""

from proxy_pkg.config.settings import Settings

_AFTER_DRAIN_SECONDS = 10
_JITTER_SHARE = 10


def bind_address(settings: Settings) -> str:
    """host:port as gunicorn reads it, an IPv6 address in brackets."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.port}"


def graceful_timeout_seconds(settings: Settings) -> int:
    """When the master stops waiting for a worker: after the worker's own drain limit, with time to close down."""
    return settings.drain_limit_seconds + _AFTER_DRAIN_SECONDS


def max_requests_jitter(settings: Settings) -> int:
    """How many requests more a worker may serve, by chance, so that workers are not replaced all at once."""
    return settings.max_requests // _JITTER_SHARE
