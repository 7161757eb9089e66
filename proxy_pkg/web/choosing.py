"""Where a request goes whose body names the model that chooses the upstream."""

from typing import Final

from proxy_pkg.errors import RefusedError
from proxy_pkg.protocols.table import Match
from proxy_pkg.web.compression import Decoding, Headers, decoded
from proxy_pkg.web.services import Services
from proxy_pkg.wire.encoding import EncodingError, LateCodingError

_RETRY_AFTER_SECONDS: Final = 1


async def origin_for_body(services: Services, matched: Match, headers: Headers, body: bytes, decoding: Decoding) -> str:
    """The address for the model that the body names. Without room or time to decode the body, the request is refused
    (RefusedError): sent elsewhere it would give this model's credentials away.
    """
    plain = body
    try:
        plain = await decoded(headers, body, decoding)
    except LateCodingError as error:
        message = f"{error}, and its model chooses the upstream: try again, or send it without a content-encoding"
        raise RefusedError(message, "overloaded", 503, _RETRY_AFTER_SECONDS) from error
    except EncodingError:
        pass  # nobody can read it: it goes where its path says
    try:
        return await services.places.origin_for_body(matched, plain, services.planner.elsewhere)
    finally:
        if plain is not body:
            decoding.hold(-len(plain))
