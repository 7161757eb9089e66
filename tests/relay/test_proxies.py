"""Which upstreams are reached through a proxy."""

import pytest
from yarl import URL

from proxy_pkg.config.load import load
from proxy_pkg.errors import UpstreamConnectError
from proxy_pkg.relay.proxies import Proxies
from proxy_pkg.relay.upstream_errors import place_of, translated
from proxy_pkg.server.preflight import Findings, proxies_usable

HTTPS, HTTP = "http://secure.proxy:3128", "http://user:p%40ss@plain.proxy:8080"


def through(exceptions: str, url: str) -> bool:
    return Proxies(HTTPS, HTTP, exceptions).proxy_for(URL(url)) is not None


def test_the_scheme_of_the_upstream_chooses_the_proxy() -> None:
    proxies = Proxies(HTTPS, HTTP)
    for scheme, proxy in (("https", HTTPS), ("wss", HTTPS), ("http", HTTP), ("ws", HTTP)):
        assert str(proxies.proxy_for(URL(f"{scheme}://api.test/v1"))) == proxy
    assert Proxies(HTTPS).proxy_for(URL("http://api.test")) is None
    assert Proxies().proxy_for(URL("https://api.test")) is None


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_this_machine_is_reached_straight(host: str) -> None:
    assert not through("", f"https://{host}:8443/x")


EXCEPTIONS = [
    ("*", "https://api.test", False),
    ("api.test", "https://api.test", False),
    ("api.test", "https://API.TEST.", False),
    ("api.test", "https://eu.api.test", False),
    (".api.test", "https://eu.api.test", False),
    ("*.api.test", "https://eu.api.test", False),
    ("API.test , other", "https://api.test", False),
    ("api.test:443", "https://api.test", False),
    ("api.test:8443", "https://api.test", True),
    ("api.test:8443", "https://api.test:8443", False),
    ("api.test", "https://notapi.test", True),
    ("api.test", "https://api.test.evil", True),
    ("test", "https://api.test", False),
    ("10.0.0.0/8", "http://10.200.1.1", False),
    ("10.0.0.0/8", "http://11.0.0.1", True),
    ("10.0.0.0/8", "http://10.api.test", True),
    ("10.1.2.3", "http://10.1.2.3:99", False),
    ("fd00::/8", "http://[fd12::1]", False),
    ("[fd12::1]", "http://[fd12::1]", False),
    ("10.0.0.0/8", "http://[::ffff:10.1.1.1]", False),
    (",, ,.", "https://api.test", True),
    ("", "https://api.test", True),
]


@pytest.mark.parametrize(("exceptions", "url", "proxied"), EXCEPTIONS)
def test_an_exception_is_reached_straight(exceptions: str, url: str, proxied: bool) -> None:
    assert through(exceptions, url) is proxied


def test_what_was_decided_is_kept_within_bounds() -> None:
    proxies = Proxies(HTTPS)
    for number in range(1000):
        assert proxies.proxy_for(URL(f"https://h{number}.test"))
    assert len(proxies._known) <= 256


def test_a_failure_names_the_upstream_and_no_secret() -> None:
    url = URL("https://user:canary@api.test/v1/messages?key=canary")
    told = str(translated(ConnectionResetError(), "head", place_of(url)))
    assert told.startswith("the upstream api.test:443:")
    assert "canary" not in told


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4a", "SOCKS"])
def test_a_socks_proxy_is_refused_to_what_needs_it_alone(scheme: str) -> None:
    settings = load({"HTTPS_PROXY": f"{scheme}://me:secret@10.0.0.1:1080", "NO_PROXY": "near.test"}).settings
    proxies = Proxies(settings.upstream_https_proxy_url, "", settings.upstream_proxy_exceptions)
    for url in ("http://far.test", "https://near.test", "https://127.0.0.1", "https://[::1]"):
        assert proxies.proxy_for(URL(url)) is None
    with pytest.raises(UpstreamConnectError, match="SOCKS") as raised:
        proxies.proxy_for(URL("https://far.test"))
    assert "secret" not in str(raised.value)


def test_a_socks_proxy_is_a_problem_only_where_nothing_can_be_reached() -> None:
    names = {"HTTPS_PROXY": "socks5://10.0.0.1:1080"}
    (problem,) = proxies_usable(load(names).settings).problems
    assert "api.anthropic.com" in problem
    assert "HEADROOM_UPSTREAM_HTTPS_PROXY_URL=" in problem
    some = proxies_usable(load(names | {"NO_PROXY": "anthropic.com"}).settings)
    assert not some.problems
    assert "api.anthropic.com" not in some.warnings[0]
    assert proxies_usable(load(names | {"NO_PROXY": "*"}).settings) == Findings()
