"""Asks the server that runs here for its `/stats`, as any caller on this machine may. Standard library alone, so that
a command that asks starts quickly.
"""

import http.client
import socket
from typing import Any, Final

import msgspec

from proxy_pkg.config.settings import Settings

LIMIT_SECONDS: Final = 2.0
"""The server gives itself half of it."""
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (an address to ask, not to listen on)
_HEALTH_BYTES_MAX: Final = 65_536
_OK: Final = 200
_WITHOUT_TOKEN: Final = "token_required"  # noqa: S105 (an error code)


def stats_of(settings: Settings) -> tuple[dict[str, Any], str]:
    """What the server tells; and why it does not, empty if it does. Raises nothing."""
    host = _ANY.get(settings.host, settings.host)
    connection = http.client.HTTPConnection(host, settings.port, timeout=LIMIT_SECONDS)
    try:
        connection.request("GET", "/stats", headers=_headers(settings))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != _OK:
            asks_token = answer.getheader("x-headroom-error") == _WITHOUT_TOKEN
            hint = ": set HEADROOM_PROXY_TOKEN here as it is set there" if asks_token else ""
            return {}, f"it answers /stats with status {answer.status}{hint}"
        return msgspec.json.decode(body, type=dict[str, Any]), ""
    except (OSError, http.client.HTTPException, msgspec.MsgspecError, UnicodeError) as error:
        return {}, f"it does not answer /stats: {str(error) or type(error).__name__}"
    finally:
        connection.close()


def listens(settings: Settings) -> bool:
    """Whether anything takes connections where the server of these settings would."""
    try:
        with socket.create_connection((_ANY.get(settings.host, settings.host), settings.port), LIMIT_SECONDS):
            return True
    except (OSError, UnicodeError):
        return False


def is_ours(settings: Settings) -> bool:
    """Whether what listens there is a server of this kind, by what it says of itself to anybody."""
    host = _ANY.get(settings.host, settings.host)
    connection = http.client.HTTPConnection(host, settings.port, timeout=LIMIT_SECONDS)
    try:
        connection.request("GET", "/health", headers=_headers(settings))
        answer = connection.getresponse()
        if answer.getheader("x-headroom-error"):
            return True
        told = msgspec.json.decode(answer.read(_HEALTH_BYTES_MAX), type=dict[str, Any])
        return {"status", "version", "worker"} <= told.keys()
    except (OSError, http.client.HTTPException, msgspec.MsgspecError, UnicodeError):
        return False
    finally:
        connection.close()


def _headers(settings: Settings) -> dict[str, str]:
    """By an address, which the server takes for its own whatever names it knows; with a token where it wants one."""
    host = _ANY.get(settings.host, settings.host)
    headers = {"host": f"[{host}]:{settings.port}" if ":" in host else f"{host}:{settings.port}"}
    if token := settings.proxy_token or settings.proxy_keys.partition(",")[0].partition(":")[2]:
        headers["x-headroom-token"] = token
    return headers
