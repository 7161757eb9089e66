"""The request function of WebSockets: one socket from its handshake to its end, counted, logged and given back."""

import logging
from typing import Any

from proxy_pkg.errors import ClientGoneError, RefusedError, RelayError
from proxy_pkg.protocols.table import nowhere
from proxy_pkg.relay.pump import Receive, Send
from proxy_pkg.web.services import Services
from proxy_pkg.web.websocket import UNREAD, SocketExchange

logger = logging.getLogger("proxy_pkg")


class SocketForward:
    """The ASGI endpoint of every WebSocket."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await self._serve(scope, receive, send, None)

    async def refuse(self, scope: dict[str, Any], receive: Receive, send: Send, error: RefusedError) -> None:
        """Refuse the handshake with `error` in the shape of the API that was called, counted and logged."""
        await self._serve(scope, receive, send, error)

    async def _serve(self, scope: dict[str, Any], receive: Receive, send: Send, refusal: RefusedError | None) -> None:
        # A handshake is a GET, but the frames that follow are what a POST to the same path has in its body.
        matched = self._services.places.match(scope, "POST")
        exchange = SocketExchange(self._services, matched or nowhere(scope["headers"]), scope, receive, send)
        admission, counters = self._services.admission, self._services.counters
        counters.began()
        live = self._services.shared_publisher.live
        live.enter(exchange)
        try:
            if refusal is not None:
                raise refusal
            matched = self._services.places.check(matched, scope)
            admission.enter()
            watch_unread = scope.get("extensions", {}).get(UNREAD, _nobody)
            try:
                watch_unread(exchange.hold_unread, self._services.coder)
                await exchange.enter()
                await exchange.run()
            finally:
                watch_unread(None)
                admission.leave(exchange.held_bytes)
        except ClientGoneError:
            exchange.record.outcome = "client_gone"
        except (RefusedError, RelayError) as error:
            await exchange.fail(error)
        except Exception as error:  # a fault of ours still ends the socket properly
            logger.exception("request %s failed", exchange.id)
            await exchange.fail(RefusedError(f"the proxy failed: {type(error).__name__}", "internal_error", 500))
        finally:
            live.leave(exchange)
            exchange.finish(0)
            exchange.leave()
            counters.ended()


def _nobody(*_: object) -> None:
    """Where the server is not ours, messages count when they are whole."""
