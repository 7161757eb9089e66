"""What single values cannot show: settings that contradict each other, and those that are legal but
surely unwanted.
"""

import ipaddress
from collections.abc import Callable, Collection
from typing import Final

from proxy_pkg.config.parsers import size_text
from proxy_pkg.config.settings import ROWS, Settings

TOKEN_CHARACTERS_MIN: Final = 16
WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 (recognised, not bound)
PORTS: Final = {"http": 80, "https": 443}
ROUTE_VERSIONS: Final = {
    "anthropic_target_api_url": ("/v1",),
    "openai_target_api_url": ("/v1",),
    "gemini_target_api_url": ("/v1beta", "/v1"),
    "vertex_target_api_url": ("/v1", "/v1beta1"),
    "bedrock_target_api_url": ("/model",),
    "chatgpt_target_api_url": ("/backend-api", "/backend-api/codex"),
    "code_assist_target_api_url": ("/v1internal",),
}
"""The first step of the paths that are relayed to a target: a target that ends in it would double it."""


def problems(settings: Settings, uncertain: Collection[str] = ()) -> list[str]:
    """Contradictions, one sentence each. Checks that read one of the `uncertain` settings are left out."""
    return _run(PROBLEMS, settings, uncertain)


def warnings(settings: Settings, uncertain: Collection[str] = ()) -> list[str]:
    """The same for what is legal but surely unwanted."""
    return _run(WARNINGS, settings, uncertain)


def loopback(host: str) -> bool:
    """Whether only this machine reaches a socket bound to `host`: 127/8 (also IPv4-mapped), ::1, localhost."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _local(host: str) -> bool:
    """Whether a connection to `host` stays on this machine; one to a wildcard address does."""
    return loopback(host) or host in WILDCARDS


def asks_for_token(settings: Settings) -> bool:
    """Whether callers have to show a token."""
    return bool(settings.proxy_token or settings.proxy_keys)


def open_bind(settings: Settings, host: str, place: str) -> str:
    """Why nothing may listen on `host`, which `place` names for people; empty if it may."""
    if loopback(host) or asks_for_token(settings) or settings.allow_unauthenticated_bind:
        return ""
    return (
        f"{place} can be reached from other machines, and nothing asks callers who they are: set "
        f"{_name('proxy_token')}, or {_name('allow_unauthenticated_bind')}=true if the network itself keeps strangers "
        "out, or listen on 127.0.0.1"
    )


def _open_bind(settings: Settings) -> str:
    return open_bind(settings, settings.host, f"{_name('host')} {settings.host}")


def _body_too_large_to_hold(settings: Settings) -> str:
    if settings.body_bytes_max <= settings.body_bytes_in_flight_max:
        return ""
    return (
        f"{_name('body_bytes_max')} {size_text(settings.body_bytes_max)} is above "
        f"{_name('body_bytes_in_flight_max')} {size_text(settings.body_bytes_in_flight_max)}, so the largest "
        "bodies could never be held: raise the latter or lower the former"
    )


def _target_is_this_proxy(settings: Settings) -> str:
    targets = {_name(name): getattr(settings, name) for name in ROUTE_VERSIONS}
    targets |= {f"{_name('upstreams')} {upstream.name}": upstream.url for upstream in settings.upstreams}
    for name, url in targets.items():
        if url and _is_ours(url, settings):
            return (
                f"{name} {url} is the address of this proxy, so that requests would go round in circles: name the "
                "API to relay to"
            )
    return ""


def _is_ours(url: str, settings: Settings) -> bool:
    scheme, _, rest = url.partition("://")
    host, port = _split_port(rest.partition("/")[0], PORTS[scheme])
    return port == settings.port and (host == settings.host.lower() or (_local(host) and _local(settings.host)))


def _keepalive_above_pool(settings: Settings) -> str:
    if settings.max_keepalive <= settings.max_connections:
        return ""
    return (
        f"{_name('max_keepalive')} {settings.max_keepalive} is above {_name('max_connections')} "
        f"{settings.max_connections}: no more than the latter can be idle"
    )


def _first_byte_after_total(settings: Settings) -> str:
    if not 0 < settings.total_timeout_seconds < settings.first_byte_timeout_seconds:
        return ""
    return (
        f"{_name('total_timeout_seconds')} {settings.total_timeout_seconds:g} ends every exchange before "
        f"{_name('first_byte_timeout_seconds')} {settings.first_byte_timeout_seconds:g} can pass"
    )


def _unauthenticated_bind(settings: Settings) -> str:
    if loopback(settings.host) or asks_for_token(settings) or not settings.allow_unauthenticated_bind:
        return ""
    reach = " and read its operations routes" if settings.operations_remote else ""
    return f"{_name('host')} {settings.host}: whoever can reach this address can use the proxy{reach}"


def _short_token(settings: Settings) -> str:
    if not 0 < len(settings.proxy_token) < TOKEN_CHARACTERS_MIN:
        return ""
    return f"{_name('proxy_token')} is shorter than {TOKEN_CHARACTERS_MIN} characters and can be guessed"


def _doubled_version(settings: Settings) -> str:
    found = []
    for name, versions in ROUTE_VERSIONS.items():
        url = getattr(settings, name)
        for version in versions:
            if url.endswith(version):
                found.append(
                    f"{_name(name)} {url}: requests carry {version} in their own path and would go to "
                    f"{url}{version}/…; write {url.removesuffix(version)}"
                )
    return "; ".join(found)


def _split_port(authority: str, default: int) -> tuple[str, int]:
    host, colon, port = authority.rpartition(":")
    if not colon or not port.isdecimal():
        host, port = authority, str(default)
    return host.strip("[]").lower(), int(port)


def _name(name: str) -> str:
    return ROWS[name].environment


def _run(checks: "dict[Check, tuple[str, ...]]", settings: Settings, uncertain: Collection[str]) -> list[str]:
    found = (check(settings) for check, reads in checks.items() if not set(reads) & set(uncertain))
    return [sentence for sentence in found if sentence]


Check = Callable[[Settings], str]
"""Returns one sentence, or nothing where all is well."""

PROBLEMS: Final[dict[Check, tuple[str, ...]]] = {
    _open_bind: ("host", "proxy_token", "proxy_keys", "allow_unauthenticated_bind"),
    _body_too_large_to_hold: ("body_bytes_max", "body_bytes_in_flight_max"),
    _target_is_this_proxy: ("host", "port", "upstreams", *ROUTE_VERSIONS),
}
"""Check -> the settings it reads."""

WARNINGS: Final[dict[Check, tuple[str, ...]]] = {
    _unauthenticated_bind: (
        "host",
        "proxy_token",
        "proxy_keys",
        "allow_unauthenticated_bind",
        "operations_remote",
    ),
    _short_token: ("proxy_token",),
    _keepalive_above_pool: ("max_connections", "max_keepalive"),
    _first_byte_after_total: ("first_byte_timeout_seconds", "total_timeout_seconds"),
    _doubled_version: tuple(ROUTE_VERSIONS),
}
