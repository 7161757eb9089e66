"""Errors of aiohttp become ours, at this one border, in sentences that name the upstream and what to do."""

import asyncio
import errno
import ssl
from typing import Final, Literal

import aiohttp
from msgspec import Struct
from yarl import URL

from proxy_pkg.errors import RelayError, UpstreamBrokenError, UpstreamConnectError, UpstreamTimeoutError
from proxy_pkg.relay.dns import LookupFailedError

FINAL_MIN, FINAL_MAX = 200, 599
"""What the status of an answer may be (RFC 9110 section 15); 1xx come before one, and 101 opens a WebSocket alone."""

_OFFERED: Final = "this server offers TLS 1.2 and TLS 1.3"
_CA: Final = "name a PEM file with its authority's certificate in HEADROOM_CA_BUNDLE"
_ANOTHER_VERSION: Final = (
    "{} takes no TLS version that this server offers (" + _OFFERED + "): bring its TLS up to date, or put a proxy "
    "with TLS 1.2 before it"
)
_NOT_TLS: Final = "{} does not speak TLS at this port: write http:// in its address, or another port"
_CLIENT_CERTIFICATE: Final = (
    "{} asks for a certificate of the client, and this server has none to show: put a proxy that has one before it"
)
_CUT: Final = (
    "{} ended the connection during the TLS handshake: check that it speaks TLS at this port, and in which versions ("
    + _OFFERED
    + ")"
)

# Words in OpenSSL's reason -> a sentence. The first one that fits counts.
_REASONS: Final = (
    (("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"), _NOT_TLS),
    (("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE"), _ANOTHER_VERSION),
    (("CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA"), _CLIENT_CERTIFICATE),
    (
        ("UNRECOGNIZED_NAME",),
        "{} does not know the host name that it was asked for: check the name in its address",
    ),
    (
        ("HANDSHAKE_FAILURE", "NO_SHARED_CIPHER", "INSUFFICIENT_SECURITY", "DH_KEY_TOO_SMALL", "LEGACY_RENEGOTIATION"),
        "{} and this server have no TLS cipher or version in common (" + _OFFERED + "): bring its TLS up to date",
    ),
    (("EOF",), _CUT),
)
_SELF_SIGNED: Final = frozenset((18, 19))
_UNKNOWN_ISSUER: Final = frozenset((2, 20, 21))
_CERTIFICATES: Final[dict[int, str]] = {
    9: "{} shows a certificate that is not valid yet: set the clock of this machine or of the upstream",
    10: "{} shows a certificate that has expired: it must be renewed there; or else set this machine's clock",
    62: "{} shows a certificate for another host name: check the name in its address",
    64: "{} shows a certificate for another address: use the host name in the certificate in place of the address",
}


def tls_sentence(error: ssl.SSLError, whose: str) -> str:
    """What went wrong with TLS. `whose` is the other side, as in "the upstream example.org:443"."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{_certificate(error).format(whose)} (OpenSSL: {error.verify_message})"
    reason = (error.reason or "").upper() or type(error).__name__.upper()
    for words, sentence in _REASONS:
        if any(word in reason for word in words):
            return f"{sentence.format(whose)} (OpenSSL: {reason})"
    return f"no TLS connection with {whose} could be made; {_OFFERED} (OpenSSL: {reason})"


def cut_sentence(whose: str) -> str:
    """What it means that the other side left during the handshake."""
    return _CUT.format(whose)


def _certificate(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _SELF_SIGNED:
        return "{} shows a certificate that no authority known here has signed: " + _CA
    if error.verify_code in _UNKNOWN_ISSUER:
        return "{} shows a certificate of an authority that is not known here: " + _CA
    return _CERTIFICATES.get(error.verify_code, "{} shows a certificate that is not trusted: " + _CA)


class Way(Struct, frozen=True):
    """How an upstream is reached. `proxy` is the URL of the proxy on the way, None for none."""

    host: str
    port: int
    proxy: URL | None
    is_secure: bool
    limit_seconds: float

    @property
    def upstream(self) -> str:
        return _place(self.host, self.port)

    @property
    def by(self) -> str:
        """The proxy, without its user and password."""
        return "" if self.proxy is None else _place(self.proxy.host or "", self.proxy.port or 0)

    @property
    def setting(self) -> str:
        """Where the proxy is set."""
        return "HTTPS_PROXY" if self.is_secure else "HTTP_PROXY"


class EndlessHeadError(aiohttp.ClientError):
    """So much came before the head of an answer was whole that it may never be."""


class TooLateError(TimeoutError):
    """A step of connecting took longer than its limit."""

    def __init__(self, step: Literal["connection", "direct TLS", "TLS"]) -> None:
        super().__init__(step)
        self.step = step


def connect_failure(error: BaseException, way: Way) -> RelayError:
    """The error of ours for what kept a connection from being made; no byte of the request was sent."""
    if isinstance(error, TimeoutError) and error.errno is None:  # the kernel's own has a number
        return UpstreamTimeoutError(_late(error, way), "connect")
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, LookupFailedError):
        kind = UpstreamTimeoutError if cause.fault == "unanswered" else UpstreamConnectError
        return kind(_unresolved(cause, way), "connect")
    return UpstreamConnectError(_refused(error, cause, way), "connect")


def translated(error: Exception, phase: str, upstream: str = "") -> RelayError:
    """The error of ours for one of FOREIGN_ERRORS. `phase` is where the exchange stands, `upstream` whose it is."""
    whose = f"the upstream {upstream}".strip()
    if isinstance(error.__cause__, ssl.SSLError):  # TLS 1.3 refuses a client after the handshake
        return UpstreamBrokenError(tls_sentence(error.__cause__, whose), phase)
    ours, sentence = next(row for foreign, row in _ERRORS.items() if isinstance(error, foreign))
    if isinstance(error, aiohttp.ConnectionTimeoutError | aiohttp.ClientConnectorError):
        phase = "connect"
    return ours(f"{sentence.format(whose)} ({type(error).__name__})", phase)


def place_of(url: URL) -> str:
    """The host and port of an upstream, for people."""
    return _place(url.host or "", url.port or 0)


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _late(error: TimeoutError, way: Way) -> str:
    seconds = f"{way.limit_seconds:g} seconds"
    step = error.step if isinstance(error, TooLateError) else ""
    if step == "direct TLS":
        whose = f"the upstream {way.upstream}" if way.proxy is None else f"the proxy {way.by} (see {way.setting})"
        return f"{whose} took a connection, but no TLS within {seconds}: check that it speaks TLS at this port"
    if way.proxy is None:
        return f"the upstream {way.upstream} did not accept a connection within {seconds}"
    if not step:
        return f"the proxy {way.by} did not answer when asked to connect to {way.upstream}; see {way.setting}"
    if step == "TLS":
        return f"the upstream {way.upstream} did not answer through the proxy {way.by} within {seconds}"
    return (
        f"the proxy {way.by} before the upstream {way.upstream} did not accept a connection within {seconds}; "
        f"see {way.setting}"
    )


def _unresolved(error: LookupFailedError, way: Way) -> str:
    if way.proxy is None:
        whose = f"the upstream {way.upstream}"
    else:
        whose = f"the proxy {way.by} (see {way.setting}) before the upstream {way.upstream}"
    if error.fault == "unanswered":
        return f"the name server did not answer when asked for the address of {whose} ({error.detail})"
    if error.fault == "busy":
        return f"the address of {whose} was not looked up: {error.detail}"
    if error.fault == "unknown":
        return f"the host name of {whose} has no address ({error.detail}): check its spelling"
    return f"the name server refused to give the address of {whose} ({error.detail})"


def _refused(error: BaseException, cause: BaseException, way: Way) -> str:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        advice = "put its user and password into" if error.status == 407 else "see"
        return (
            f"the proxy {way.by} refused to connect to the upstream {way.upstream} with status {error.status}; "
            f"{advice} {way.setting}"
        )
    is_of_proxy = way.proxy is not None and (
        not isinstance(error, aiohttp.ClientConnectorError) or (error.host, error.port) != (way.host, way.port)
    )
    whose = f"the upstream {way.upstream}"
    after = ""
    if way.proxy is not None:
        after = f", reached through the proxy {way.by}"
    if is_of_proxy:
        whose, after = f"the proxy {way.by}", f"; it stands before the upstream {way.upstream}: see {way.setting}"
    if isinstance(cause, ssl.SSLError):
        return tls_sentence(cause, whose) + after
    if isinstance(cause, ConnectionError) and cause.errno is None and way.is_secure:
        return cut_sentence(whose) + after
    if isinstance(cause, OSError) and cause.errno in _REFUSALS:
        return _REFUSALS[cause.errno].format(whose) + after
    return f"{whose} ended the connection while it was being made ({type(cause).__name__}: {_words(cause)}){after}"


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    if isinstance(error, aiohttp.ClientResponseError):
        return error.message  # its text has the address of the proxy, with the password
    return "closed" if isinstance(error, aiohttp.ServerDisconnectedError) else str(error)


_UNREACHABLE: Final = "{} cannot be reached from this machine: there is no route to it, or a firewall refuses"
_OURS: Final = "this server has no descriptor left for a connection to {}: raise its limit (LimitNOFILE, ulimit -n)"
_REFUSALS: Final[dict[int, str]] = {
    errno.ECONNREFUSED: "{} refused the connection: nothing listens there",
    errno.ECONNRESET: "{} reset the connection while it was being made",
    errno.EPIPE: "{} ended the connection while it was being made",
    errno.ENETUNREACH: _UNREACHABLE,
    errno.EHOSTUNREACH: _UNREACHABLE,
    errno.ENETDOWN: _UNREACHABLE,
    errno.EHOSTDOWN: _UNREACHABLE,
    errno.EACCES: _UNREACHABLE,
    errno.EPERM: _UNREACHABLE,
    errno.EADDRNOTAVAIL: "this machine has no address or no port left to reach {} from",
    errno.ETIMEDOUT: "{} did not answer: a firewall may drop what is sent to it",
    errno.EMFILE: _OURS,
    errno.ENFILE: _OURS,
}

# The first row that fits counts, so the narrow ones come first. {} stands for the upstream.
_ERRORS: dict[type[Exception], tuple[type[RelayError], str]] = {
    aiohttp.ConnectionTimeoutError: (UpstreamTimeoutError, "{} did not accept a connection in time"),
    aiohttp.ServerTimeoutError: (UpstreamTimeoutError, "{} sent nothing for too long"),
    asyncio.TimeoutError: (UpstreamTimeoutError, "{} took too long"),
    aiohttp.ClientConnectorError: (UpstreamConnectError, "{} refused the connection"),
    aiohttp.ServerDisconnectedError: (UpstreamBrokenError, "{} closed the connection"),
    aiohttp.ClientPayloadError: (UpstreamBrokenError, "{}: its answer ended before it was complete"),
    aiohttp.ClientOSError: (UpstreamBrokenError, "{}: the connection broke"),
    aiohttp.ClientResponseError: (UpstreamBrokenError, "{}: its answer is not HTTP"),
    EndlessHeadError: (
        UpstreamBrokenError,
        "{} answered with headers of more than 1 MiB, or more than 100 interim answers (1xx): check what stands there",
    ),
    aiohttp.ClientError: (UpstreamBrokenError, "{}: the exchange failed"),
    ConnectionError: (UpstreamBrokenError, "{}: the connection broke"),
}

FOREIGN_ERRORS = tuple(_ERRORS)
"""What the client library raises."""
