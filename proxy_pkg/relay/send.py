"""Send one request upstream and hand back its answer as soon as the head is there."""

from collections.abc import AsyncIterator

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from proxy_pkg.relay.client import Connecting, connecting
from proxy_pkg.relay.failures import FOREIGN_ERRORS, translated

Body = bytes | AsyncIterator[bytes] | None

_PART_BYTES = 256 << 10


async def send(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    headers: CIMultiDict[str],
    body: Body,
    gap_timeout_seconds: float,
) -> tuple[aiohttp.ClientResponse, Connecting]:
    """The upstream's answer, its body not yet read, and how its connection was had. The caller closes the answer.

    `url` is sent as it is spelled. A body given as bytes is framed by its length, one given in parts by the
    content-length in `headers`, or else in chunks. Redirects are not followed.
    Raises RelayError.
    """
    if isinstance(body, bytes):
        headers["Content-Length"] = str(len(body))
        if len(body) > _PART_BYTES:
            body = _parts(body)
    made = Connecting()
    connecting.set(made)
    try:
        response = await session.request(
            method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False
        )
    except FOREIGN_ERRORS as error:
        raise translated(error, "head") from error
    # The wait for the first byte is over; from here on the gap between two reads counts.
    if response.connection is not None and response.connection.protocol is not None:
        response.connection.protocol.read_timeout = gap_timeout_seconds or None
    return response, made


async def _parts(body: bytes) -> AsyncIterator[bytes]:
    """A large body piece by piece, so that one write never copies all of it."""
    view = memoryview(body)
    for start in range(0, len(body), _PART_BYTES):
        yield view[start : start + _PART_BYTES]  # type: ignore[misc]  # the writer takes any buffer
