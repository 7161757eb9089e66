"""Upstreams behind a proxy or with a private authority's certificate, by the variables that people have set."""

import base64
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from bench.processes import Server
from tests.fakes.client import ask
from tests.fakes.tunnel import Proxy, private_ca, proxying, tls_before
from tests.fakes.upstream import Upstream
from tests.fakes.websocket import Sockets, echo
from tests.system.conftest import Start, starting
from tests.system.patience import eventually

BODY = b'{"model": "m", "messages": []}'
HOST = "api.internal.test"


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A private authority, and a certificate of the upstream."""
    return private_ca(tmp_path_factory.mktemp("ca"), HOST)


@pytest.fixture(scope="module")
def secure_port(upstream_of_module: Upstream, papers: tuple[Path, Path]) -> Iterator[int]:
    """Where the upstream speaks TLS."""
    with tls_before(upstream_of_module.port, papers[1]) as port:
        yield port


@pytest.fixture(scope="module")
def proxy(upstream_of_module: Upstream, secure_port: int) -> Iterator[Proxy]:
    with proxying({f"{HOST}:443": secure_port, HOST: upstream_of_module.port}) as running:
        yield running


@pytest.fixture(scope="module")
def behind(
    upstream_of_module: Upstream, papers: tuple[Path, Path], proxy: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server whose Anthropic upstream has https and whose OpenAI upstream has http, both behind the proxy."""
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("behind")) as start:
        yield start(
            HEADROOM_WORKERS="1",
            HEADROOM_CONNECT_TIMEOUT_SECONDS="0.4",
            ANTHROPIC_TARGET_API_URL=f"https://{HOST}",
            OPENAI_TARGET_API_URL=f"http://{HOST}",
            HTTPS_PROXY=f"http://user:p%40ss@127.0.0.1:{proxy.port}",
            http_proxy=f"127.0.0.1:{proxy.port}",
            NO_PROXY="elsewhere.test",
            SSL_CERT_FILE=str(papers[0]),
        )


def test_https_goes_through_a_tunnel_that_the_proxy_cannot_look_into(
    behind: Server, proxy: Proxy, upstream: Upstream
) -> None:
    proxy.heads.clear()
    for _ in range(3):
        answer = ask(behind.port, "POST", "/v1/messages?beta=true", ((b"x-api-key", b"canary"),), BODY)
        assert answer.status == 200, answer.body
    got = upstream.requests[-1]
    assert (got.target, got.body, got.header("host")) == ("/v1/messages?beta=true", BODY, HOST)
    assert "proxy" not in got.head.decode().lower()
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT {HOST}:443 HTTP/1.1\r\n"), "one tunnel, used again"
    assert f"proxy-authorization: Basic {base64.b64encode(b'user:p@ss').decode()}\r\n" in head.replace(
        "Proxy-A", "proxy-a"
    )
    assert "canary" not in head


async def test_a_socket_goes_through_the_tunnel_too(
    upstream: Upstream, proxy: Proxy, papers: tuple[Path, Path], secure_port: int, server: Start
) -> None:
    proxy.heads.clear()
    place = server(
        HEADROOM_WORKERS="1",
        OPENAI_TARGET_API_URL=f"https://{HOST}",
        HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}",
        SSL_CERT_FILE=str(papers[0]),
    )
    Sockets(upstream, echo)
    async with connect(f"ws://127.0.0.1:{place.port}/v1/responses", proxy=None) as client:
        await client.send("hello")
        assert await client.recv() == "hello"
    assert proxy.heads[0].startswith(f"CONNECT {HOST}:443 ")


def test_http_is_handed_to_the_proxy(behind: Server, proxy: Proxy, upstream: Upstream) -> None:
    proxy.heads.clear()
    assert ask(behind.port, "POST", "/v1/chat/completions", (), BODY).status == 200
    assert proxy.heads[0].startswith(f"POST http://{HOST}/v1/chat/completions HTTP/1.1\r\n")
    assert upstream.requests[-1].body == BODY


def test_this_machine_is_reached_without_the_proxy(behind: Server, proxy: Proxy, upstream: Upstream) -> None:
    proxy.heads.clear()
    assert ask(behind.port, "GET", "/v1beta/models").status == 200
    assert upstream.requests
    assert not proxy.heads


@pytest.mark.parametrize(
    ("status", "error"), [(403, "upstream_failed"), (407, "upstream_failed"), (0, "upstream_timeout")]
)
def test_a_proxy_that_does_not_connect_is_an_error_of_ours(
    status: int, error: str, server: Start, upstream: Upstream
) -> None:
    with proxying({}) as refusing:
        refusing.status = status
        place = server(
            HEADROOM_WORKERS="1",
            HEADROOM_CONNECT_TIMEOUT_SECONDS="0.2",
            ANTHROPIC_TARGET_API_URL=f"https://{HOST}",
            HTTPS_PROXY=f"http://127.0.0.1:{refusing.port}",
        )
        answer = ask(place.port, "POST", "/v1/messages", (), BODY)
        assert (answer.status // 100, answer.header("x-headroom-error")) == (5, error)
        assert len(refusing.heads) == 1
    assert not upstream.requests


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HEADROOM_CA_BUNDLE"])
def test_a_private_authority_is_trusted_where_the_settings_name_it(
    variable: str, papers: tuple[Path, Path], secure_port: int, server: Start, upstream: Upstream
) -> None:
    target = f"https://127.0.0.1:{secure_port}"
    place = server(HEADROOM_WORKERS="1", ANTHROPIC_TARGET_API_URL=target, **{variable: str(papers[0])})
    assert ask(place.port, "POST", "/v1/messages", (), BODY).status == 200
    assert upstream.requests[-1].body == BODY


def test_a_certificate_that_nobody_vouches_for_is_refused_and_nothing_is_sent(
    secure_port: int, server: Start, upstream: Upstream
) -> None:
    place = server(HEADROOM_WORKERS="1", ANTHROPIC_TARGET_API_URL=f"https://127.0.0.1:{secure_port}")
    answer = ask(place.port, "POST", "/v1/messages", (), BODY)
    assert answer.status == 502
    assert b"certificate" in answer.body
    assert not upstream.requests


def test_a_bundle_that_is_lost_stops_no_server_that_runs(
    papers: tuple[Path, Path], server: Start, upstream: Upstream, tmp_path: Path
) -> None:
    """At the start it is a problem; later a worker that begins goes on without it, and says so."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(papers[0].read_bytes())
    place = server(HEADROOM_WORKERS="1", HEADROOM_CA_BUNDLE=str(bundle))
    bundle.unlink()
    (worker,) = place.worker_pids
    os.kill(worker, signal.SIGTERM)
    eventually(lambda: place.worker_pids not in ([], [worker]) and str(bundle) in place.log.read_text())
    assert ask(place.port, "POST", "/v1/messages", (), BODY).status == 200


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_socks_proxy_stops_only_what_needs_it_and_says_what_to_do(
    variable: str, server: Start, upstream: Upstream
) -> None:
    place = server(
        HEADROOM_WORKERS="1",
        OPENAI_TARGET_API_URL="https://api.test",
        **{variable: "socks5h://user:secret@127.0.0.1:1080"},
    )
    assert ask(place.port, "POST", "/v1/messages", (), BODY).status == 200
    answer = ask(place.port, "GET", "/v1/models/x")
    assert (answer.status, answer.header("x-headroom-error")) == (502, "upstream_failed")
    text = answer.body.decode()
    assert "the upstream api.test:443 was not asked: its proxy 127.0.0.1:1080 speaks SOCKS" in text
    assert "NO_PROXY" in text
    log = place.log.read_text()
    (warned,) = [line for line in log.splitlines() if "warning" in line and "SOCKS" in line]
    assert "OPENAI_TARGET_API_URL (api.test)" in warned
    assert "ANTHROPIC_TARGET_API_URL" not in warned
    assert "secret" not in log + text
