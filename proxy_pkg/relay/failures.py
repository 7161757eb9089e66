"""Errors of aiohttp become ours, at this one border."""

import asyncio

import aiohttp
from yarl import URL

from proxy_pkg.errors import RelayError, UpstreamBrokenError, UpstreamConnectError, UpstreamTimeoutError

FINAL_MIN, FINAL_MAX = 200, 599
"""What the status of an answer may be (RFC 9110 section 15); 1xx come before one, and 101 opens a WebSocket alone."""


def translated(error: Exception, phase: str, url: URL | None = None) -> RelayError:
    """The error of ours for one of FOREIGN_ERRORS. `phase` is where the exchange stands, `url` what was asked."""
    ours, sentence = next(row for foreign, row in _ERRORS.items() if isinstance(error, foreign))
    if ours is UpstreamConnectError or isinstance(error, aiohttp.ConnectionTimeoutError):
        phase = "connect"
    return ours(f"{sentence} ({type(error).__name__}){place_of(url)}", phase)


def place_of(url: URL | None) -> str:
    """Which upstream it is, for people: host and port, and nothing that could be a secret."""
    if url is None or not url.raw_host:
        return ""
    host = f"[{url.raw_host}]" if ":" in url.raw_host else url.raw_host
    return f", upstream {host}:{url.port}"


# The first row that fits counts, so the narrow ones come first.
_ERRORS: dict[type[Exception], tuple[type[RelayError], str]] = {
    aiohttp.ConnectionTimeoutError: (
        UpstreamTimeoutError,
        "the upstream did not accept a connection in time",
    ),
    aiohttp.ServerTimeoutError: (UpstreamTimeoutError, "the upstream sent nothing for too long"),
    asyncio.TimeoutError: (UpstreamTimeoutError, "the upstream took too long"),
    aiohttp.ClientConnectorDNSError: (UpstreamConnectError, "the upstream's host name has no address"),
    aiohttp.ClientConnectorCertificateError: (
        UpstreamConnectError,
        "the upstream's certificate is not trusted",
    ),
    aiohttp.ClientConnectorSSLError: (
        UpstreamConnectError,
        "no TLS connection to the upstream could be made",
    ),
    aiohttp.ClientProxyConnectionError: (UpstreamConnectError, "the proxy before the upstream cannot be reached"),
    aiohttp.ClientHttpProxyError: (UpstreamConnectError, "the proxy before the upstream refused to connect"),
    aiohttp.ClientConnectorError: (UpstreamConnectError, "the upstream refused the connection"),
    aiohttp.ServerDisconnectedError: (UpstreamBrokenError, "the upstream closed the connection"),
    aiohttp.ClientPayloadError: (UpstreamBrokenError, "the upstream's answer ended before it was complete"),
    aiohttp.ClientOSError: (UpstreamBrokenError, "the connection to the upstream broke"),
    aiohttp.ClientResponseError: (UpstreamBrokenError, "the upstream's answer is not HTTP"),
    aiohttp.ClientError: (UpstreamBrokenError, "the exchange with the upstream failed"),
    ConnectionError: (UpstreamBrokenError, "the connection to the upstream broke"),
}

FOREIGN_ERRORS = tuple(_ERRORS)
"""What the client library raises."""
