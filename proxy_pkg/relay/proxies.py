"""Which upstreams are reached through a proxy, by the rules that most programs follow."""

import ipaddress
from collections.abc import Callable
from typing import Final

from yarl import URL

from proxy_pkg.errors import UpstreamConnectError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_KNOWN_MAX = 256
SOCKS_ADVICE: Final = (
    "SOCKS is not supported: set HTTPS_PROXY and HTTP_PROXY to an HTTP proxy, or put one before it (privoxy, for one, "
    "with `forward-socks5t / HOST:PORT .`), name the host in NO_PROXY, or go straight with "
    "HEADROOM_UPSTREAM_HTTPS_PROXY_URL= and HEADROOM_UPSTREAM_HTTP_PROXY_URL= (empty)"
)
"""What to do about a SOCKS proxy."""


class Proxies:
    """The proxies of one worker, each as scheme://[user:password@]host[:port], empty for none.

    `exceptions` is a list with commas: host names and domains (with all below them, with or without a dot before),
    addresses, each with `:port` if only that is meant, networks, and `*`. What is on this machine is always reached
    straight.
    """

    def __init__(self, https_url: str = "", http_url: str = "", exceptions: str = "") -> None:
        self._urls = {"https": URL(https_url), "http": URL(http_url)}
        self._any = bool(https_url or http_url)
        self._rules = [_rule(entry.strip().lower()) for entry in exceptions.split(",") if entry.strip()]
        self._known: dict[tuple[str, str, int | None], URL | None] = {}

    def proxy_for(self, url: URL) -> URL | None:
        """The proxy for an upstream's address, None to go straight. Raises UpstreamConnectError for one of SOCKS."""
        proxy = self.named_for(url)
        if proxy is not None and proxy.scheme.startswith("socks"):
            raise UpstreamConnectError(
                f"the upstream {url.host}:{url.port} was not asked: its proxy {proxy.host}:{proxy.port} speaks SOCKS. "
                f"{SOCKS_ADVICE}",
                "connect",
            )
        return proxy

    def needs_socks(self, url: URL) -> bool:
        """Whether an upstream can be reached through a SOCKS proxy only, and so not at all."""
        proxy = self.named_for(url)
        return proxy is not None and proxy.scheme.startswith("socks")

    def named_for(self, url: URL) -> URL | None:
        """The proxy that the settings name for an upstream's address, of whatever kind."""
        if not self._any:
            return None
        key = (url.scheme, url.raw_host or "", url.port)
        if key not in self._known:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[key] = self._chosen(*key)
        return self._known[key]

    def _chosen(self, scheme: str, host: str, port: int | None) -> URL | None:
        # A socket's handshake is asked for with ws and wss.
        proxy = self._urls["https" if scheme in ("https", "wss") else "http"]
        host = host.lower().rstrip(".")
        if not proxy.raw_host or _is_here(host) or any(fits(host, port) for fits in self._rules):
            return None
        return proxy


def _rule(entry: str) -> Callable[[str, int | None], bool]:
    if entry == "*":
        return lambda host, port: True
    if network := _network(entry):
        return lambda host, port: (address := _address(host)) is not None and address in network
    name, colon, number = entry.rpartition(":")
    wanted = int(number) if colon and number.isdecimal() else None
    name = (name if wanted is not None else entry).strip("[]").removeprefix("*").strip(".")
    return lambda host, port: (
        bool(name) and (host == name or host.endswith("." + name)) and (wanted is None or wanted == port)
    )


def _is_here(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or host.endswith(".localhost") or (address is not None and address.is_loopback)


def _address(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None
