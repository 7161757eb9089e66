"""What OpenSSL's errors mean: what this server offered, what the other side wanted, what to set."""

import ssl
from typing import Final

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
