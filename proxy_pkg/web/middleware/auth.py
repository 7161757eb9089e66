"""The proxy's own tokens, asked of every caller where some are configured. Plain ASGI, HTTP and WebSocket alike.

The token travels in a header of its own and never goes upstream: `authorization` and `x-api-key` belong to the
client and its provider.
"""

import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from proxy_pkg.errors import RefusedError
from proxy_pkg.limits.callers import KEY_NAME
from proxy_pkg.relay.pump import Receive, Send

TOKEN_HEADER = b"x-headroom-token"
_AGENT_BYTES: Final = 64

Refuse = Callable[[dict[str, Any], Receive, Send, RefusedError], Awaitable[None]]
"""Answers a request or a handshake with an error."""

_HOW: Final = (
    (re.compile(rb"claude", re.IGNORECASE), 'ANTHROPIC_CUSTOM_HEADERS="x-headroom-token: TOKEN"'),
    (
        re.compile(rb"codex", re.IGNORECASE),
        'env_http_headers = { "x-headroom-token" = "HEADROOM_PROXY_TOKEN" } in its provider block of '
        "~/.codex/config.toml, and that variable",
    ),
    (re.compile(rb"gemini-?cli", re.IGNORECASE), 'GEMINI_CLI_CUSTOM_HEADERS="x-headroom-token: TOKEN"'),
    (
        re.compile(rb"google-genai|genai-js", re.IGNORECASE),
        'http_options={"headers": {"x-headroom-token": TOKEN}} (JavaScript: httpOptions.headers)',
    ),
    (
        re.compile(rb"openai|anthropic", re.IGNORECASE),
        'default_headers={"x-headroom-token": TOKEN} (JavaScript: defaultHeaders)',
    ),
)
"""The beginning of a user agent, and where that client has the header set."""

_OPEN_PATHS = frozenset(("/livez", "/readyz"))
"""What orchestrators and balancers ask, which have no token to send. Each answers with one word about this worker."""


class TokenAuth:
    """Passes requests with a right token on to `app` and the others to `refuse`.

    `tokens` has the name of each one, empty for a token without a name.
    """

    def __init__(self, app: Any, tokens: Mapping[str, str], refuse: Refuse) -> None:
        self._app = app
        self._refuse = refuse
        self._tokens = [(token.encode(), name) for token, name in tokens.items()]

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in _OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        name = self._name(scope)
        if name is None:
            # 403 and not 401: with that, Claude Code tries again for minutes and says nothing meanwhile.
            await self._refuse(scope, receive, send, RefusedError(_message(scope), "token_required", 403))
            return
        if name:
            scope[KEY_NAME] = name
        await self._app(scope, receive, send)

    def _name(self, scope: dict[str, Any]) -> str | None:
        """The name of the token that the caller has; None if it is none of ours."""
        given = [value for name, value in scope["headers"] if name == TOKEN_HEADER]
        if len(given) != 1:
            return None
        # All are compared, so that the time tells nothing of which one was nearly right.
        right = [name for token, name in self._tokens if hmac.compare_digest(given[0], token)]
        return right[0] if right else None


def _message(scope: dict[str, Any]) -> str:
    """What is missing, and where this client has it set."""
    names = [name for name, _ in scope["headers"]]
    agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
    how = next((words for form, words in _HOW if form.search(agent[:_AGENT_BYTES])), "")
    there = names.count(TOKEN_HEADER)
    seen = "the one that came is not right" if there == 1 else f"it came {there} times" if there else "none came"
    return (
        f"this proxy asks for its own token in the header x-headroom-token, and {seen}: set "
        f"{how or 'that header in your client'}. `proxyctl env` prints the lines; the token is HEADROOM_PROXY_TOKEN "
        "of the server, or one of its HEADROOM_PROXY_KEYS"
    )


def tokens_of(proxy_token: str, proxy_keys: str) -> dict[str, str]:
    """Every token of the settings, with its name."""
    tokens = {proxy_token: ""} if proxy_token else {}
    for part in filter(None, proxy_keys.split(",")):
        name, _, token = part.partition(":")
        tokens[token] = name
    return tokens
