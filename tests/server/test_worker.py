"""Uvicorn gets what Settings say, and nothing that would add to an answer or trust a header."""

from typing import Any

from msgspec import structs
from uvicorn.config import Config

from proxy_pkg.config.load import load
from proxy_pkg.server.connection import Connection
from proxy_pkg.server.worker import uvicorn_options


def test_uvicorn_is_fed_from_settings() -> None:
    settings = structs.replace(load({}).settings, keepalive_seconds=76, drain_limit_seconds=33, backlog=99)
    options: dict[str, Any] = uvicorn_options(settings)
    config = Config(**options)
    assert (config.timeout_keep_alive, config.timeout_graceful_shutdown, config.backlog) == (76, 33, 99)
    assert (config.server_header, config.date_header, config.proxy_headers) == (False, False, False)
    assert config.limit_concurrency is None, "admission counts requests, uvicorn would count connections"
    assert config.http is Connection
