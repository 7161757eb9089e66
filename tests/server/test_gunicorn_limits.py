"""Gunicorn's limits follow from ours, and pass after them."""

import pytest
from msgspec import structs

from proxy_pkg.config.load import load
from proxy_pkg.config.settings import Settings
from proxy_pkg.server.gunicorn_limits import bind_address, graceful_timeout_seconds, max_requests_jitter


@pytest.fixture
def settings() -> Settings:
    return load({}).settings


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1:8787"), ("::1", "[::1]:8787"), ("localhost", "localhost:8787")]
)
def test_the_address_is_spelled_as_gunicorn_reads_it(host: str, address: str, settings: Settings) -> None:
    assert bind_address(structs.replace(settings, host=host, port=8787)) == address


def test_the_master_waits_longer_than_a_worker_drains(settings: Settings) -> None:
    assert graceful_timeout_seconds(settings) > settings.drain_limit_seconds


def test_workers_are_not_replaced_all_at_once(settings: Settings) -> None:
    assert max_requests_jitter(settings) == 0
    assert 0 < max_requests_jitter(structs.replace(settings, max_requests=1000)) <= 500
