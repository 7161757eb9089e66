"""Who counts as a caller on this machine."""

import pytest

from proxy_pkg.web.loopback import host_names, is_loopback_host, names_this_machine


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.2",
        "127.255.255.254",
        "::1",
        "0:0:0:0:0:0:0:1",
        "::1%lo",
        "::ffff:127.0.0.1",
        "::FFFF:127.0.0.1",
        "::ffff:7f00:1",
        "::FFFF:7F00:0001",
        "::ffff:127.8.9.10%1",
        "localhost",
        "LOCALHOST",
    ],
)
def test_addresses_of_this_machine(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        " ",
        "0.0.0.0",
        "::",
        "::ffff:0.0.0.0",
        "128.0.0.1",
        "126.255.255.255",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "::2",
        "fe80::1",
        "fe80::1%lo",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "127.evil.com",
        "127.0.0.1.evil.com",
        "1270.0.0.1",
        "127.1",
        "127.0.0.1:80",
        "0177.0.0.1",
        "2130706433",
        "0x7f000001",
        "127.0.0.1 ",
        "localhost.evil.com",
        "evil.localhost",
        "unix:",
        "/run/proxy.sock",
    ],
)
def test_everything_else(host: str | None) -> None:
    assert not is_loopback_host(host)


@pytest.mark.parametrize(
    "host",
    ["", "127.0.0.1:8787", "10.1.2.3", "[::1]:8787", "[::1]", "localhost", "LOCALHOST.:80", "me.localhost", "a.lan:1"],
)
def test_a_host_that_is_an_address_or_a_known_name_means_this_machine(host: str) -> None:
    assert names_this_machine(host, host_names("b.lan, A.lan"))


@pytest.mark.parametrize(
    "host", ["evil.test", "evil.test:8787", "localhost.evil.test", "127.0.0.1.evil.test", "a.lan.x"]
)
def test_any_other_name_may_be_a_web_pages(host: str) -> None:
    assert not names_this_machine(host, host_names("a.lan"))
