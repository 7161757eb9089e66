"""The request function: one request in, its answer out, and whatever happens counted, logged and given back."""

import logging
from collections.abc import Coroutine, Mapping
from time import monotonic_ns
from typing import Any

from proxy_pkg.errors import ClientGoneError, RefusedError, RelayError, UpstreamTimeoutError
from proxy_pkg.protocols.table import nowhere
from proxy_pkg.relay.pump import Receive, Send
from proxy_pkg.stats.record import RequestRecord, status_class
from proxy_pkg.web.exchange import Exchange
from proxy_pkg.web.failures import failure_of, send_failure, stream_event
from proxy_pkg.web.services import Services

REFUSED = "proxy_pkg.refused"
"""The key of a scope at which our server leaves what it has answered already: a code, a status and a sentence."""

_UNREAD = {"method": "-", "path": "-"}

logger = logging.getLogger("proxy_pkg")


class Forward:
    """The ASGI endpoint of everything that is relayed."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._open: set[Exchange] = set()

    def abandon(self, error: RefusedError) -> None:
        """End every open exchange with `error`, in the form of its answer."""
        for exchange in self._open:
            exchange.abandon(error)

    def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        return self._serve(scope, receive, send, None)

    async def refuse(self, scope: dict[str, Any], receive: Receive, send: Send, error: RefusedError) -> None:
        """Answer with `error` in the shape of the API that was called, counted and logged as every request is."""
        await self._serve(scope, receive, send, error)

    def refused_unread(self, code: str, status: int, problem: str, scope: Mapping[str, Any] = _UNREAD) -> str:
        """Count and log what was refused before it got here, perhaps unread as a request. Gives it an id."""
        services, request_id, now_ns = self._services, self._services.next_request_id(), monotonic_ns()
        record = RequestRecord(route="unknown", outcome="refused", refusal=code, status_class=status_class(status))
        services.ended(request_id, scope, status, record, problem, now_ns)
        return request_id

    async def _serve(self, scope: dict[str, Any], receive: Receive, send: Send, refusal: RefusedError | None) -> None:
        matched = self._services.places.match(scope)
        exchange = Exchange(self._services, matched or nowhere(scope["headers"]), scope, receive, send)
        admission, counters = self._services.admission, self._services.counters
        counters.began()
        self._open.add(exchange)
        live = self._services.shared_publisher.live
        live.enter(exchange)
        try:
            if refusal is not None:
                raise refusal
            matched = self._services.places.check(matched, scope)
            exchange.origin = self._services.places.origin(matched)
            admission.enter()
            try:
                await exchange.enter()
                await exchange.run()
            finally:
                admission.leave(exchange.held_bytes)
        except ClientGoneError:
            _leave(exchange)
        except (RefusedError, RelayError) as error:
            await _fail(exchange, error)
        except Exception as error:  # a fault of ours still answers in the API's shape
            logger.exception("request %s failed", exchange.id)
            await _fail(exchange, RefusedError(f"the proxy failed: {type(error).__name__}", "internal_error", 500))
        finally:
            self._open.discard(exchange)
            live.leave(exchange)
            exchange.finish(0)
            exchange.leave()
            counters.ended()
            exchange.account()


def _leave(exchange: Exchange) -> None:
    """Nobody is left to answer; where our server was the one that ended the connection, it says why."""
    if exchange.record.counted or exchange.finish_if_ended():
        return
    if REFUSED not in exchange.scope:
        exchange.record.outcome = "client_gone"
        return
    code, status, exchange.problem = exchange.scope[REFUSED]
    exchange.record.outcome, exchange.record.refusal = "refused", code
    exchange.finish(status)


async def _fail(exchange: Exchange, error: RefusedError | RelayError) -> None:
    """Answer with the error, or if an answer has begun, end it so that nobody takes it for complete."""
    record = exchange.record
    if isinstance(error, RelayError):
        error = exchange.services.places.named(error, exchange.origin, exchange.matched)
    exchange.problem = str(error)
    if isinstance(error, RelayError):
        record.outcome, record.failure_phase = "failed", error.phase
    else:
        record.outcome, record.refusal = "refused", error.code
    failure = failure_of(error)
    errors = exchange.matched.protocol.api.errors
    if not exchange.started:
        exchange.finish(failure.status)
        await send_failure(exchange.send, errors, failure, exchange.id)
    elif isinstance(error, (UpstreamTimeoutError, RefusedError)) and exchange.between_events:
        # We gave up on a stream that is still open: say so in it. A stream that broke says it itself.
        event = stream_event(errors, failure, exchange.id)
        await exchange.send({"type": "http.response.body", "body": event, "more_body": True})
