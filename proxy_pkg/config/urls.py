"""Addresses as settings hold them. Each function returns the value in its plain form, or raises ValueError with the
reason, in words that never repeat the value, because it may hold a password.
"""

import ipaddress
import re
from typing import Final

HOST_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?", re.IGNORECASE)
NUMERIC_HOST: Final = re.compile(r"[0-9.]+|0x[0-9a-f]+", re.IGNORECASE)
SOCKS: Final = re.compile(r"socks[45]?[ah]?", re.IGNORECASE)
PORT_MAX: Final = 65535
URL: Final = re.compile(r"(https?)://([^/?#]*)([^?#]*)(.*)", re.IGNORECASE)
REDIS_URL: Final = re.compile(r"(?:redis|valkey)s?(?:\+sentinel|\+cluster)?://([^/?#]+)(?:[/?][^#]*)?", re.IGNORECASE)
AUTHORITY: Final = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
URL_PATH: Final = re.compile(r"(?:[A-Za-z0-9/._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*")
USER_INFO: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*")


def host(text: str) -> str:
    """An IP address or a host name, without port or brackets."""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    if ":" in text:
        return _ip_address(text, "not an IPv6 address; a port is a setting of its own")
    if NUMERIC_HOST.fullmatch(text):
        return _ip_address(text, "not an IPv4 address of four numbers")
    if not HOST_NAME.fullmatch(text):
        raise ValueError("not a host name")
    return text


def name_server(text: str) -> str:
    """An IP address, or one with a port: 192.0.2.1, 192.0.2.1:5353, 2001:db8::1 or [2001:db8::1]:5353."""
    if text.count(":") > 1 and not text.startswith("["):
        return _ip_address(text, "not an IPv6 address; with a port it needs brackets")
    matched = AUTHORITY.fullmatch(text)
    if matched is None or (matched[2] and not 0 < int(matched[2]) <= PORT_MAX):
        raise ValueError("not an IP address with or without a port")
    address = _ip_address(matched[1].strip("[]"), "not an IP address, and a name server cannot be a name")
    if not matched[2]:
        return address
    return f"[{address}]:{matched[2]}" if ":" in address else f"{address}:{matched[2]}"


def origin(text: str) -> str:
    """scheme://host[:port][/path] without a slash at its end, the scheme in small letters."""
    scheme, authority, path, rest = _parts(text)
    if "@" in authority:
        raise ValueError("carries a user name or password, and an origin has none")
    if rest:
        raise ValueError("carries a query or a fragment, and an origin has none")
    _authority(authority)
    if not URL_PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError("its path holds characters or steps that a URL path cannot have")
    return f"{scheme}://{authority}{path}".rstrip("/")


def proxy(text: str) -> str:
    """scheme://[user[:password]@]host[:port]. Without a scheme it is http, as most programs have it.

    That of a SOCKS proxy is taken, since desktops set it for all programs: nothing goes through it, and who needs it is
    told (`relay/proxies.py`).
    """
    socks, colon, place = text.partition("://")
    if is_socks := bool(colon and SOCKS.fullmatch(socks)):
        text = f"http://{place}"  # which has the same parts
    scheme, authority, path, rest = _parts(text if "://" in text else f"http://{text}")
    if rest or path.strip("/"):
        raise ValueError("carries a path, and the address of a proxy has none")
    user, at, place = authority.rpartition("@")
    if not USER_INFO.fullmatch(user):
        raise ValueError("has a character in its user name or password that must be written as %XX")
    _authority(place)
    return f"{socks.lower() if is_socks else scheme}://{user}{at}{place}"


def redis(text: str) -> str:
    """The URL of a Redis, of Sentinels, of a Cluster or of a socket. What stands behind the hosts is the store's."""
    if text.lower().startswith("unix:///"):
        return text
    match = REDIS_URL.fullmatch(text)
    if match is None:
        raise ValueError("does not start with redis://, rediss://, redis+sentinel://, redis+cluster:// or unix://")
    user, _, places = match[1].rpartition("@")
    if not USER_INFO.fullmatch(user):
        raise ValueError("has a character in its user name or password that must be written as %XX")
    for place in places.split(","):
        _authority(place)
    return text


def _parts(text: str) -> tuple[str, str, str, str]:
    match = URL.fullmatch(text)
    if match is None:
        raise ValueError("does not start with http:// or https://")
    scheme, authority, path, rest = match.groups()
    return scheme.lower(), authority, path, rest


def _authority(text: str) -> None:
    match = AUTHORITY.fullmatch(text)
    if match is None or not 0 < int(match[2] or 80) <= PORT_MAX:
        raise ValueError("not a URL: its host or port is malformed")
    name = match[1]
    if name.startswith("["):
        _ip_address(name[1:-1], "not a URL: the address in brackets is not IPv6")
    elif NUMERIC_HOST.fullmatch(name):
        _ip_address(name, "not a URL: its host is not an IPv4 address of four numbers")
    elif not HOST_NAME.fullmatch(name):
        raise ValueError("not a URL: its host is missing or malformed")


def _ip_address(text: str, reason: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(reason) from None
