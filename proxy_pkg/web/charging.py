"""What limits are told of a request, over HTTP or on a socket: what it needs before it is sent, what it took after."""

from contextlib import suppress
from time import monotonic_ns
from typing import Final

from proxy_pkg.billing.models import asked_in
from proxy_pkg.billing.usage import Usage
from proxy_pkg.errors import RefusedError
from proxy_pkg.limits.limiter import Granted
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.web.compression import Decoding, Headers, decoded
from proxy_pkg.web.services import Services
from proxy_pkg.wire.encoding import EncodingError

_INLINE_BYTES: Final = 2 << 20  # a longer body is looked through for ten milliseconds and more
_NOT_ANSWERED: Final = frozenset(("3xx", "4xx", "5xx"))


async def occupy(services: Services, granted: Granted | None, record: RequestRecord) -> None:
    """Take the places of a request whose body has come. Raises LimitedError."""
    if services.limits is None or granted is None:
        return
    began_ns = monotonic_ns()
    try:
        await services.limits.occupy(granted)
    finally:
        record.limits_ns += monotonic_ns() - began_ns


async def charge(services: Services, granted: Granted, model: str, body: bytes, body_bytes: int = 0) -> None:
    """Charge what a request with this body needs, or with one of so many bytes that cannot be read. Raises
    RefusedError.
    """
    limits = services.limits
    if limits is None or not limits.has_needs:
        return
    if len(body) > _INLINE_BYTES:
        need = await services.planner.elsewhere(lambda: services.needs.of(model, body, body_bytes))
    else:
        need = services.needs.of(model, body, body_bytes)
    if not need.is_priced and services.settings.unknown_price == "closed":
        limits.check_price(granted, model)
    await limits.charge(granted, need)


def settle(
    services: Services, granted: Granted | None, model: str, usage: Usage | None, microdollars: int, unread: int | None
) -> None:
    """Charge what an answer cost in truth; one without usage by its input, and by `unread` tokens of output, None if
    nobody knows how many.
    """
    if services.limits is None or granted is None:
        return
    if usage is None:
        services.limits.unreported(granted, unread)
    else:
        services.needs.learn(model, granted.need, usage, microdollars)
        services.limits.settled(granted, usage.input_total + usage.output, microdollars)


def leave(
    services: Services, granted: Granted | None, status_class: str, unread: int | None, *, is_billed: bool
) -> None:
    """Give back what was granted. What no upstream answered took no tokens, and no money; what `is_billed` is settled
    in a moment.
    """
    limits = services.limits
    if limits is None or granted is None:
        return
    if status_class in _NOT_ANSWERED:
        limits.settled(granted, 0)
    elif not is_billed:
        limits.unreported(granted, unread)
    limits.ended(granted)


async def charge_body(
    services: Services,
    granted: Granted,
    record: RequestRecord,
    headers: Headers,
    body: bytes,
    decoding: Decoding,
    model: str,
) -> str:
    """`charge` for a body as it will be sent, perhaps with a coding; returns the model that it names if `model` is
    empty. Raises RefusedError.
    """
    began_ns = monotonic_ns()
    try:
        plain = body
        if any(name == b"content-encoding" for name, _ in headers):
            plain = await _plain(services, headers, body, decoding)
            model = model or asked_in(plain)
        plain_bytes = record.bytes_after if record.decision == "rewritten" else record.bytes_before
        await charge(services, granted, model, plain, plain_bytes or len(body))
        return model
    finally:
        record.limits_ns += monotonic_ns() - began_ns


async def _plain(services: Services, headers: Headers, body: bytes, decoding: Decoding) -> bytes:
    """A body without its coding; empty where that cannot be had."""
    plain = b""
    with suppress(EncodingError, RefusedError):
        plain = await decoded(headers, body, decoding)
    if plain is not body:
        decoding.hold(-len(plain))
    return plain
