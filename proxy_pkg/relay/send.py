"""Send one request upstream and hand back its answer as soon as the head is there."""

import asyncio
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from proxy_pkg.errors import UpstreamBrokenError, UpstreamTimeoutError
from proxy_pkg.relay.client import Connecting, connecting
from proxy_pkg.relay.round_trip import exchange
from proxy_pkg.relay.upstream_errors import FINAL_MAX, FINAL_MIN, FOREIGN_ERRORS, place_of, translated

Body = bytes | AsyncIterator[bytes] | None

_PART_BYTES = 256 << 10
_WRITTEN_AT_ONCE_BYTES = 64 << 10  # what aiohttp hands to the socket without waiting for the upstream to read

_KNOWN_URL_CHARS = 512


@lru_cache(maxsize=256)  # most requests of a worker have one of few; a URL remembers what was worked out from it
def _known_url(url: str) -> URL:
    return URL(url, encoded=True)


async def send(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    headers: CIMultiDict[str],
    body: Body,
    gap_timeout_seconds: float,
    made: Connecting | None = None,
) -> aiohttp.ClientResponse:
    """The upstream's answer, its body not yet read. The caller closes it. `made` learns how its connection was had.

    `url` is sent as it is spelled. A body given as bytes is framed by its length, one given in parts by the
    content-length in `headers`, or else in chunks. Redirects are not followed. An upstream that takes no part of
    the body for `gap_timeout_seconds` is given up. Raises RelayError.
    """
    if isinstance(body, bytes):
        headers["Content-Length"] = str(len(body))
        if len(body) > _WRITTEN_AT_ONCE_BYTES:
            body = _parts(body)
    patience = None
    if isinstance(body, AsyncIterator):
        patience = _Patience(gap_timeout_seconds)
        body = patience.watched(body)
    connecting.set(made)
    target = _known_url(url) if len(url) <= _KNOWN_URL_CHARS else URL(url, encoded=True)
    try:
        response = await exchange(session, method, target, headers, body)
    except FOREIGN_ERRORS as error:
        raise translated(error, "head", place_of(target)) from error
    except asyncio.CancelledError as error:
        if patience is None or not patience.ended_it():
            raise
        raise UpstreamTimeoutError(f"the upstream {place_of(target)} stopped reading the request", "send") from error
    finally:
        if patience is not None:
            patience.over()
    if not FINAL_MIN <= response.status <= FINAL_MAX:
        response.close()
        raise UpstreamBrokenError(
            f"the upstream {place_of(target)} answered with status {response.status:03}, which means nothing", "head"
        )
    # The wait for the first byte is over; from here on the gap between two reads counts.
    if response.connection is not None and response.connection.protocol is not None:
        response.connection.protocol.read_timeout = gap_timeout_seconds or None
    return response


class _Patience:
    """Ends the task that made it when an upstream takes no part of a body for too long: aiohttp waits for ever."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._loop = asyncio.get_running_loop()
        self._owner: asyncio.Task[Any] | None = asyncio.current_task()
        self._lost = False

    async def watched(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The parts, each with a time limit for its way to the upstream; waiting for a part itself has none here."""
        async for part in parts:
            timer = self._loop.call_later(self._limit_seconds, self._give_up)
            try:
                yield part
            finally:
                timer.cancel()

    def over(self) -> None:
        """An answer has begun or the request has failed: from here on others watch."""
        self._owner = None

    def ended_it(self) -> bool:
        """Whether the cancellation that the task meets is this one's alone. It ends here then."""
        return self._lost and self._owner is not None and self._owner.uncancel() == 0

    def _give_up(self) -> None:
        if self._owner is not None:
            self._lost = True
            self._owner.cancel()


async def _parts(body: bytes) -> AsyncIterator[bytes]:
    """A large body piece by piece, so that one write never copies all of it, with a turn for others in between:
    where the upstream takes all at once, writing never waits.
    """
    view = memoryview(body)
    for start in range(0, len(body), _PART_BYTES):
        await asyncio.sleep(0)
        yield view[start : start + _PART_BYTES]  # type: ignore[misc]  # the writer takes any buffer
