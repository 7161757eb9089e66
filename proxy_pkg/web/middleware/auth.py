"""The proxy's own token, asked of every caller where one is configured. Plain ASGI, HTTP and WebSocket alike.

The token travels in a header of its own and never goes upstream: `authorization` and `x-api-key` belong to the
client and its provider.
"""

import hmac
from typing import Any

from proxy_pkg.protocols import openai
from proxy_pkg.protocols.table import match
from proxy_pkg.relay.pump import Receive, Send
from proxy_pkg.web.failures import Failure, send_failure

TOKEN_HEADER = b"x-headroom-token"

_OPEN_PATHS = frozenset(("/livez",))


class TokenAuth:
    """Passes requests with the right token on to `app` and answers 401 to the others. An empty token asks for none."""

    def __init__(self, app: Any, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if not self._token or scope["type"] == "lifespan" or scope["path"] in _OPEN_PATHS or self._is_right(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "the proxy's token is missing or wrong"})
        else:
            found = match(scope["method"], scope["path"], (name for name, _ in scope["headers"]))
            shape = (found.protocol if found else openai.OTHER).api.errors
            await send_failure(send, shape, _REFUSED, "")

    def _is_right(self, scope: dict[str, Any]) -> bool:
        given = [value for name, value in scope["headers"] if name == TOKEN_HEADER]
        return len(given) == 1 and hmac.compare_digest(given[0], self._token)


_REFUSED = Failure(401, "token_required", "This proxy asks for its own token in the header x-headroom-token.")
