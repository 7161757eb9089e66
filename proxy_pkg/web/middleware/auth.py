"""The proxy's own token, asked of every caller where one is configured. Plain ASGI, HTTP and WebSocket alike.

The token travels in a header of its own and never goes upstream: `authorization` and `x-api-key` belong to the
client and its provider.
"""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from proxy_pkg.errors import RefusedError
from proxy_pkg.relay.pump import Receive, Send

TOKEN_HEADER = b"x-headroom-token"

Refuse = Callable[[dict[str, Any], Receive, Send, RefusedError], Awaitable[None]]
"""Answers an HTTP request with an error."""

_OPEN_PATHS = frozenset(("/livez",))


class TokenAuth:
    """Passes requests with the right token on to `app` and the others to `refuse`. An empty token asks for none."""

    def __init__(self, app: Any, token: str, refuse: Refuse) -> None:
        self._app = app
        self._refuse = refuse
        self._token = token.encode()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if not self._token or scope["type"] == "lifespan" or scope["path"] in _OPEN_PATHS or self._is_right(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "the proxy's token is missing or wrong"})
        else:
            error = RefusedError(
                "this proxy asks for its own token in the header x-headroom-token", "token_required", 401
            )
            await self._refuse(scope, receive, send, error)

    def _is_right(self, scope: dict[str, Any]) -> bool:
        given = [value for name, value in scope["headers"] if name == TOKEN_HEADER]
        return len(given) == 1 and hmac.compare_digest(given[0], self._token)
