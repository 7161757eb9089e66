"""One request over one connection: what aiohttp's session does for a request, without what a relay never wants.

Redirects, cookies, a second try, defaults for headers: `ClientSession.request` asks about each of them with every
request, which costs a tenth of relaying one. The steps here are its own; the tests of this room fail first when a
release of aiohttp changes them.
"""

from typing import Any

import aiohttp
from aiohttp.client_exceptions import ConnectionTimeoutError
from aiohttp.helpers import TimeoutHandle
from multidict import CIMultiDict
from yarl import URL

_BODILESS = frozenset(("HEAD",))


async def exchange(
    session: aiohttp.ClientSession, method: str, url: URL, headers: CIMultiDict[str], body: Any
) -> aiohttp.ClientResponse:
    """The answer as soon as its head is there; the caller closes or releases it. Raises what aiohttp raises."""
    connector, timeout, loop = session.connector, session.timeout, session._loop
    if connector is None:
        raise aiohttp.ClientConnectionError("the session is closed")
    total = TimeoutHandle(loop, timeout.total, ceil_threshold=timeout.ceil_threshold)
    ends = total.start()
    timer = total.timer()
    try:
        with timer:
            make: Any = session._request_class
            request = make(
                method,
                url,
                headers=headers,
                data=body,
                loop=loop,
                response_class=session._response_class,
                timer=timer,
                session=session,
                is_whole=body is None or isinstance(body, bytes),
            )
            answer = await _sent(session, connector, request, timer)
    except BaseException as error:
        total.close()
        if ends is not None:
            ends.cancel()
        if isinstance(error, OSError) and not isinstance(error, (aiohttp.ClientError, TimeoutError)):
            raise aiohttp.ClientOSError(*error.args) from error
        raise
    if ends is not None:
        if answer.connection is not None:
            answer.connection.add_callback(ends.cancel)
        else:
            ends.cancel()
    return answer


async def _sent(session: aiohttp.ClientSession, connector: Any, request: Any, timer: Any) -> aiohttp.ClientResponse:
    timeout = session.timeout
    try:
        connection = await connector.connect(request, traces=[], timeout=timeout)
    except TimeoutError as error:
        raise ConnectionTimeoutError(f"Connection timeout to host {request.url}") from error
    try:
        connection.protocol.set_response_params(
            timer=timer,
            skip_payload=request.method in _BODILESS,
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=timeout.sock_read,
            read_bufsize=session._read_bufsize,
            timeout_ceil_threshold=connector._timeout_ceil_threshold,
            max_line_size=session._max_line_size,
            max_field_size=session._max_field_size,
            max_headers=session._max_headers,
        )
        answer: aiohttp.ClientResponse = await request.send(connection)
        try:
            await answer.start(connection)
        except BaseException:
            answer.close()
            raise
    except BaseException:
        connection.close()
        raise
    return answer
