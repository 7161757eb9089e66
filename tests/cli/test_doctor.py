"""What the doctor finds out beyond this machine: Redis, upstreams, the collector."""

import socket
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import msgspec
import pytest
from msgspec import structs
from typer.testing import Result

from proxy_pkg.cli.checkups import shared_redis
from proxy_pkg.cli.checkups.finding import Finding
from proxy_pkg.cli.checkups.shared_redis import RedisFacts
from proxy_pkg.cli.checkups.upstreams import skew_seconds
from proxy_pkg.config.load import load
from proxy_pkg.store.address import parse

Run = Callable[..., Result]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("facts", "wrong"),
    [
        (RedisFacts("7.4", "", 0.4, 0.0), ""),
        (RedisFacts("7.4", "", 80.0, 0.0), "HEADROOM_REDIS_TIMEOUT_MS"),
        (RedisFacts("7.4", "volatile-lru", 0.4, 0.0), "noeviction"),
        (RedisFacts("7.4", "", 0.4, -90.0), "set both clocks"),
    ],
)
def test_what_redis_tells_is_judged(facts: RedisFacts, wrong: str) -> None:
    found = list(shared_redis.judged(facts, 100))
    assert [each.advice for each in found if each.state != "ok" and wrong in each.advice] == [
        each.advice for each in found if each.state != "ok"
    ]
    assert any(each.state != "ok" for each in found) == bool(wrong)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("redis://127.0.0.1", False),
        ("unix:///run/redis.sock", False),
        ("rediss://cache.test", False),
        ("redis://cache.test", True),
        ("redis+sentinel://127.0.0.1,10.1.1.1/main", True),
    ],
)
def test_a_redis_elsewhere_without_tls_is_told(url: str, warned: bool) -> None:
    found = list(shared_redis.exposure(parse(url)))
    assert bool(found) == warned
    assert all(each.state == "warning" and each.advice for each in found)


def test_a_clock_is_read_from_headers() -> None:
    assert skew_seconds({"date": formatdate(1_800_000_000, usegmt=True)}, 1_800_000_090) == -90
    assert skew_seconds({}, 5) == skew_seconds({"date": "yesterday"}, 5) == 0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a real Redis and gives its URL."""
    pytest.importorskip("redis", reason="the redis extra is not installed")
    from tests.store.servers import RedisServer

    servers = []

    def start(*options: str) -> str:
        servers.append(RedisServer(tmp_path, *options))
        return servers[-1].url

    yield start
    for server in servers:
        server.stop()


async def examined(url: str, **changed: object) -> list[Finding]:
    return await shared_redis.examined(structs.replace(load({}).settings, redis_url=url, **changed))


async def test_a_good_redis_is_told_with_version_and_latency(redis: Callable[..., str]) -> None:
    found = await examined(redis(), redis_timeout_ms=5000)
    assert {each.state for each in found} == {"ok"}
    assert "version" in found[0].text
    assert await examined("") == []


async def test_a_redis_that_evicts_is_told(redis: Callable[..., str]) -> None:
    found = await examined(redis("--maxmemory", "32mb", "--maxmemory-policy", "allkeys-lru"), redis_timeout_ms=5000)
    assert [each.state for each in found if "allkeys-lru" in each.text] == ["warning"]


async def test_a_redis_that_wants_a_password_is_told(redis: Callable[..., str]) -> None:
    url = redis("--requirepass", "right")
    for given in (url, url.replace("//", "//:wrong@")):
        (found,) = await examined(given)
        assert (found.state, "user and password" in found.advice) == ("problem", True)
        assert "wrong" not in found.text.lower().replace("wrongpass", "")
    assert {each.state for each in await examined(url.replace("//", "//:right@"), redis_timeout_ms=5000)} == {"ok"}


async def test_a_redis_that_takes_no_writes_is_told(redis: Callable[..., str]) -> None:
    found = await examined(redis("--replicaof", "127.0.0.1", str(free_port())), redis_timeout_ms=5000)
    assert [each.state for each in found][-1] == "problem"
    assert "replica" in found[-1].advice


async def test_a_redis_that_is_not_there_is_told() -> None:
    pytest.importorskip("redis", reason="the redis extra is not installed")
    (found,) = await examined(f"redis://:secret@127.0.0.1:{free_port()}")
    assert (found.state, "HEADROOM_REDIS_URL" in found.advice) == ("problem", True)
    assert "secret" not in found.text


def test_a_collector_is_tried_with_what_it_would_get() -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the otel extra is not installed")
    from proxy_pkg.telemetry.otel_probe import refusal_of
    from tests.fakes.collector import collecting

    with collecting() as collector:
        assert refusal_of(collector.url) == ""
        assert collector.raw == [b""], "not a single metric"
    assert refusal_of(f"http://127.0.0.1:{free_port()}")


def found_by(result: Result) -> dict[str, Finding]:
    return {each.subject: each for each in msgspec.json.decode(result.stdout, type=list[Finding])}


def test_every_part_is_told_offline(proxyctl: Run) -> None:
    result = proxyctl("doctor", "--offline", "--json")
    found = found_by(result)
    assert result.exit_code == 0
    parts = [
        "configuration",
        "server",
        "memory",
        "backlog",
        "clock",
        "state",
        "restarts",
        "vocabulary",
        "prices",
        "self-test",
    ]
    assert set(parts) | {"open files"} <= set(found)
    assert all(each.advice for each in found.values() if each.state != "ok")


def test_nobody_else_hears_of_the_self_test(proxyctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("redis", reason="the redis extra is not installed")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the otel extra is not installed")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        monkeypatch.setenv("HEADROOM_REDIS_URL", f"redis://127.0.0.1:{port}")
        monkeypatch.setenv("HEADROOM_OTEL", "true")
        monkeypatch.setenv("HEADROOM_OTEL_ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("HEADROOM_PROXY_KEYS", "team:0123456789abcdef0123456789abcdef")
        monkeypatch.setenv("HEADROOM_HOLDOUT", "1")
        found = found_by(proxyctl("doctor", "--offline", "--json", "--rpm", "1"))
        assert found["self-test"].state == "ok", found["self-test"].text
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_configuration_with_a_fault_is_told_first(proxyctl: Run, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("as_of = ")
    result = proxyctl("doctor", "--offline", "--json", "--prices", str(prices))
    assert result.exit_code == 1
    assert "HEADROOM_PRICES" in found_by(result)["configuration"].text
    assert found_by(proxyctl("doctor", "--json", "--workers", "many"))["configuration"].state == "problem"
