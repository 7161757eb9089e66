"""Whatever keeps a connection from being made is said in words: which upstream, which proxy, what to do."""

import contextlib
import errno
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
from msgspec import structs
from multidict import CIMultiDict
from yarl import URL

from proxy_pkg.errors import RelayError, UpstreamBrokenError, UpstreamConnectError, UpstreamTimeoutError
from proxy_pkg.relay.client import PoolLimits, open_session
from proxy_pkg.relay.dns import LookupFailedError
from proxy_pkg.relay.names import open_names
from proxy_pkg.relay.proxies import Proxies
from proxy_pkg.relay.send import send
from proxy_pkg.relay.trust import trusting
from proxy_pkg.relay.upstream_errors import TooLateError, Way, connect_failure, translated
from proxy_pkg.relay.websocket import connect, open_socket_session
from tests.fakes.nameserver import name_server
from tests.fakes.tunnel import Proxy, handshakes, private_ca, proxying, tls_before
from tests.fakes.upstream import Upstream

LIMITS = PoolLimits(
    connections_max=10,
    idle_max=10,
    idle_seconds=15,
    dns_cache_seconds=600,
    connect_timeout_seconds=1,
    first_byte_timeout_seconds=2,
    gap_timeout_seconds=2,
    total_timeout_seconds=0,
)
DIRECT = Way("api.test", 443, None, True, 5)
PROXIED = Way("api.test", 443, URL("http://user:canary@proxy.test:3128"), True, 5)
HOST = "secure.test"


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return private_ca(tmp_path_factory.mktemp("ca"), HOST)


@pytest.fixture
async def servers() -> AsyncIterator[list[str]]:
    with name_server({HOST: ["127.0.0.1"], "other.test": ["127.0.0.1"], "proxy.test": ["127.0.0.1"]}) as running:
        running.silent.add("dead.test")
        yield [running.place]


async def failing(url: str, servers: list[str], proxies: Proxies | None = None, ca: Path | None = None) -> RelayError:
    """The error of a request, which a WebSocket meets in the same words."""
    trust = trusting(str(ca)) if ca else None
    session, connector = open_session(LIMITS, proxies or Proxies(), trust, open_names(servers, 60))
    async with session, open_socket_session(connector, proxies or Proxies(), 1, 2) as sockets:
        with pytest.raises(RelayError) as failed:
            await send(session, "POST", url, CIMultiDict(), b"{}", 5)
        with pytest.raises(RelayError) as refused:
            await connect(sockets, url.replace("http", "ws", 1), CIMultiDict(), deflate=False)
    assert (type(refused.value), str(refused.value)) == (type(failed.value), str(failed.value))
    assert failed.value.phase == refused.value.phase == "connect"
    return failed.value


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def test_nobody_listens(servers: list[str]) -> None:
    port = closed_port()
    error = await failing(f"http://127.0.0.1:{port}", servers)
    assert isinstance(error, UpstreamConnectError)
    assert str(error) == f"the upstream 127.0.0.1:{port} refused the connection: nothing listens there"


async def test_a_name_server_is_silent(servers: list[str]) -> None:
    error = await failing("https://a.dead.test", servers)
    assert isinstance(error, UpstreamTimeoutError)
    assert "name server did not answer when asked for the address of the upstream a.dead.test:443" in str(error)


async def test_a_name_does_not_exist(servers: list[str]) -> None:
    error = await failing("https://gone.test", servers)
    assert isinstance(error, UpstreamConnectError)
    assert "the host name of the upstream gone.test:443 has no address" in str(error)


async def test_an_upstream_that_speaks_no_tls(servers: list[str], upstream: Upstream) -> None:
    with handshakes(None, b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        error = await failing(f"https://{HOST}:{port}", servers)
    assert f"the upstream {HOST}:{port} does not speak TLS at this port" in str(error)
    error = await failing(f"https://{HOST}:{upstream.port}", servers)  # which waits for a whole request
    assert f"the upstream {HOST}:{upstream.port} took a connection, but no TLS within 1 seconds" in str(error)


@pytest.mark.parametrize(
    ("host", "trusts", "words"),
    [
        (HOST, False, "shows a certificate of an authority that is not known here"),
        ("other.test", True, "shows a certificate for another host name: check the name in its address"),
    ],
)
async def test_a_certificate_that_is_not_trusted(
    host: str, trusts: bool, words: str, servers: list[str], papers: tuple[Path, Path], upstream: Upstream
) -> None:
    with tls_before(upstream.port, papers[1]) as port:
        error = await failing(f"https://{host}:{port}", servers, ca=papers[0] if trusts else None)
    assert f"the upstream {host}:{port} {words}" in str(error)
    assert trusts or "HEADROOM_CA_BUNDLE" in str(error)


async def test_an_upstream_with_old_tls(servers: list[str], papers: tuple[Path, Path]) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(papers[1])
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with handshakes(old) as port:
        error = await failing(f"https://{HOST}:{port}", servers, ca=papers[0])
    assert f"the upstream {HOST}:{port} takes no TLS version that this server offers" in str(error)
    assert "TLS 1.2 and TLS 1.3" in str(error)


async def test_an_upstream_that_asks_for_a_certificate_of_ours(servers: list[str], papers: tuple[Path, Path]) -> None:
    strict = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    strict.load_cert_chain(papers[1])
    strict.load_verify_locations(papers[0])
    strict.verify_mode = ssl.CERT_REQUIRED
    strict.maximum_version = ssl.TLSVersion.TLSv1_2  # 1.3 says it after the handshake
    with handshakes(strict) as port:
        error = await failing(f"https://{HOST}:{port}", servers, ca=papers[0])
    assert f"the upstream {HOST}:{port} " in str(error)
    assert "asks for a certificate of the client" in str(error) or "no TLS cipher or version in common" in str(error)


@contextlib.contextmanager
def refusing(status: int) -> Iterator[Proxy]:
    with proxying({}) as proxy:
        proxy.status = status
        yield proxy


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (407, UpstreamConnectError, "with status 407; put its user and password into HTTPS_PROXY"),
        (403, UpstreamConnectError, "with status 403; see HTTPS_PROXY"),
        (0, UpstreamTimeoutError, "did not answer when asked to connect to api.test:443; see HTTPS_PROXY"),
    ],
)
async def test_a_proxy_that_does_not_connect_is_named_without_its_password(
    status: int, kind: type[RelayError], words: str, servers: list[str]
) -> None:
    with refusing(status) as proxy:
        proxies = Proxies(f"http://user:canary@127.0.0.1:{proxy.port}")
        error = await failing("https://api.test", servers, proxies)
    assert type(error) is kind
    assert f"the proxy 127.0.0.1:{proxy.port}" in str(error) and words in str(error) and "api.test:443" in str(error)
    assert "canary" not in str(error)


@pytest.mark.parametrize(
    ("proxy", "kind", "words"),
    [
        ("gone.test:3128", UpstreamConnectError, "the host name of the proxy gone.test:3128"),
        ("x.dead.test:3128", UpstreamTimeoutError, "asked for the address of the proxy x.dead.test:3128"),
        ("127.0.0.1:{closed}", UpstreamConnectError, "the proxy 127.0.0.1:{closed} refused the connection"),
    ],
)
async def test_a_proxy_that_cannot_be_reached_is_named(
    proxy: str, kind: type[RelayError], words: str, servers: list[str]
) -> None:
    closed = closed_port()
    proxies = Proxies(f"http://user:canary@{proxy.format(closed=closed)}")
    error = await failing("https://api.test", servers, proxies)
    assert type(error) is kind
    assert words.format(closed=closed) in str(error) and "api.test:443" in str(error) and "HTTPS_PROXY" in str(error)
    assert "canary" not in str(error)


async def test_a_certificate_behind_a_proxy_is_the_upstreams(
    servers: list[str], papers: tuple[Path, Path], upstream: Upstream
) -> None:
    with tls_before(upstream.port, papers[1]) as port, proxying({f"{HOST}:443": port}) as proxy:
        error = await failing(f"https://{HOST}", servers, Proxies(f"http://127.0.0.1:{proxy.port}"))
    assert f"the upstream {HOST}:443 shows a certificate of an authority" in str(error)
    assert f"reached through the proxy 127.0.0.1:{proxy.port}" in str(error)


CASES: list[tuple[Callable[[], Exception], Way, str]] = [
    (lambda: TooLateError("connection"), DIRECT, "the upstream api.test:443 did not accept a connection within 5 sec"),
    (lambda: TooLateError("connection"), PROXIED, "the proxy proxy.test:3128 before the upstream api.test:443 did not"),
    (
        lambda: TooLateError("TLS"),
        PROXIED,
        "the upstream api.test:443 did not answer through the proxy proxy.test:3128",
    ),
    (lambda: TimeoutError(), PROXIED, "the proxy proxy.test:3128 did not answer when asked to connect to api.test:443"),
    (lambda: LookupFailedError("api.test", "busy", "256 other"), DIRECT, "api.test:443 was not looked up: 256 other"),
    (lambda: LookupFailedError("api.test", "refused", "SERVFAIL"), DIRECT, "name server refused to give the address"),
    (lambda: OSError(errno.EMFILE, "x"), DIRECT, "no descriptor left for a connection to the upstream api.test:443"),
    (lambda: OSError(errno.ENETUNREACH, "x"), DIRECT, "the upstream api.test:443 cannot be reached from this machine"),
    (lambda: OSError(errno.ETIMEDOUT, "x"), DIRECT, "the upstream api.test:443 did not answer: a firewall may drop"),
    (
        lambda: OSError(errno.EADDRNOTAVAIL, "x"),
        DIRECT,
        "no address or no port left to reach the upstream api.test:443",
    ),
    (lambda: OSError(9999, "odd"), DIRECT, "the upstream api.test:443 ended the connection while it was being made"),
    (lambda: aiohttp.ServerDisconnectedError(), PROXIED, "the proxy proxy.test:3128 ended the connection while it was"),
]


@pytest.mark.parametrize(("error", "way", "words"), CASES)
def test_each_fault_of_connecting_has_its_words(error: Callable[[], Exception], way: Way, words: str) -> None:
    failure = connect_failure(error(), way)
    assert words in str(failure) and "canary" not in str(failure)
    assert failure.phase == "connect"


def test_faults_after_connecting_name_the_upstream() -> None:
    failure = translated(aiohttp.ServerDisconnectedError(), "head", "api.test:443")
    assert isinstance(failure, UpstreamBrokenError)
    assert str(failure) == "the upstream api.test:443 closed the connection (ServerDisconnectedError)"


async def test_one_of_several_addresses_will_do(servers: list[str], upstream: Upstream) -> None:
    with name_server({"two.test": ["127.0.0.8", "127.0.0.1"]}) as running:
        limits = structs.replace(LIMITS, connect_timeout_seconds=5.0)
        session, _ = open_session(limits, names=open_names([running.place], 60))
        async with session:
            for _ in range(3):
                answer = await send(session, "GET", f"http://two.test:{upstream.port}/", CIMultiDict(), None, 5)
                answer.close()
    assert len(upstream.requests) == 3
