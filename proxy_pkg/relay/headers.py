"""Which headers go on: all of them, except those that belong to one connection and those that framing makes wrong.

Hop-by-hop headers are those of RFC 9110 section 7.6.1, and whatever a `connection` header names.
"""

from collections.abc import Collection, Iterable

from multidict import CIMultiDict

RawHeaders = Iterable[tuple[bytes, bytes]]

# RFC 9110 section 5.5: whoever receives one in a value puts a space in its place. The server sends none.
_CONTROLS = bytes([*range(9), *range(10, 32), 127])
_OTHERS = bytes(each for each in range(256) if each not in _CONTROLS)
_WITHOUT_CONTROLS = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))

BODILESS = frozenset((204, 304))
"""Statuses of answers that never have a body."""

_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
# The upstream request has its own host and framing, and the server has answered `expect` already. `http2-settings`
# belongs to an offer of h2c. Gateways that hand headers on as variables (CGI, WSGI) take an underscore for a dash.
_REQUEST_ONLY = frozenset(
    (
        b"host",
        b"content-length",
        b"expect",
        b"http2-settings",
        b"content_length",
        b"transfer_encoding",
        b"proxy_authorization",
        b"proxy_connection",
    )
)
# Fields that say what the content is, or who asks, are for the end of the way: whoever lists them in `connection` is in
# the wrong (RFC 9110 section 7.6.1), and without them the same bytes would mean something else.
_END_TO_END = frozenset(
    (
        b"anthropic-beta",
        b"anthropic-version",
        b"api-key",
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"x-api-key",
        b"x-goog-api-key",
    )
)
# Another server of this family upstream says these of the request that it got from this one. Clients read ours.
_SAID_ANEW = frozenset(
    (
        b"x-headroom-decision",
        b"x-headroom-request-id",
        b"x-headroom-tokens-after",
        b"x-headroom-tokens-before",
        b"x-headroom-tokens-saved",
        b"x-headroom-transforms",
    )
)
_NEVER_RETURNED = _HOP_BY_HOP | _SAID_ANEW
_NEVER_SENT = _HOP_BY_HOP | _REQUEST_ONLY
_FOR_THE_PROXY = b"x-headroom-"
"""What clients tell a proxy of this family (callers, sessions, addresses) is nothing for an upstream."""
_NOTHING: frozenset[bytes] = frozenset()


def request_headers(headers: RawHeaders, ours: Collection[bytes] = ()) -> CIMultiDict[str]:
    """The client's headers as the upstream gets them, in order. `ours` are names meant for this proxy alone.

    Names are lower case already, as the server gives them. Each character of a value stands for one byte.
    """
    headers = headers if isinstance(headers, list) else list(headers)
    named = named_by_connection(headers)
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in headers:
        if name not in _NEVER_SENT and name not in ours and name not in named and not name.startswith(_FOR_THE_PROXY):
            kept.add(name.decode("latin-1"), value.decode("latin-1"))
    return kept


def response_headers(headers: RawHeaders, status: int) -> list[tuple[bytes, bytes]]:
    """The upstream's headers as the client gets them, in order, names in lower case.

    `content-length` stays: the body is relayed as it comes, so the length still holds. It goes where a status has
    no body: there it may tell of the body that another answer would have, and the server would wait for that.
    """
    lowered = [(name.lower(), value) for name, value in headers]
    named = named_by_connection(lowered)
    kept = [pair for pair in lowered if pair[0] not in _NEVER_RETURNED and pair[0] not in named]
    if status in BODILESS:
        kept = [pair for pair in kept if pair[0] != b"content-length"]
    if b"".join([value for _, value in kept]).translate(None, _OTHERS):  # a quarter of what a search costs
        kept = [(name, value.translate(_WITHOUT_CONTROLS)) for name, value in kept]
    return kept


def named_by_connection(headers: RawHeaders) -> frozenset[bytes]:
    """The names that `connection` headers may take away, in lower case; empty where there is none, as mostly."""
    named = _NOTHING
    for name, value in headers:
        if name == b"connection":
            named |= {token.strip().lower() for token in value.split(b",")}
    return named - _END_TO_END if named else named
