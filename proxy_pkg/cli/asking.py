"""Asks the server that runs here for its `/stats`, as any caller on this machine may. Standard library alone, so that
a command that asks starts quickly.
"""

import http.client
import socket
from typing import Any, Final

import msgspec

from proxy_pkg.config.settings import Settings
from proxy_pkg.server import port_owner
from proxy_pkg.server.port_owner import LIMIT_SECONDS, asked_at, headers_for

_OK: Final = 200
_WITHOUT_TOKEN: Final = "token_required"  # noqa: S105 (an error code)


def stats_of(settings: Settings) -> tuple[dict[str, Any], str]:
    """What the server tells; and why it does not, empty if it does. Raises nothing."""
    connection = http.client.HTTPConnection(asked_at(settings.host), settings.port, timeout=LIMIT_SECONDS)
    try:
        connection.request("GET", "/stats", headers=headers_for(settings, settings.host, settings.port))
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
        with socket.create_connection((asked_at(settings.host), settings.port), LIMIT_SECONDS):
            return True
    except (OSError, UnicodeError):
        return False


def is_ours(settings: Settings) -> bool:
    """Whether what listens there is a server of this kind, by what it says of itself to anybody."""
    return port_owner.is_ours(settings, settings.host, settings.port)
