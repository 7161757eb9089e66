"""The upstream's bytes to the client, chunk by chunk as they come; and the client's leaving to the upstream."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Self

import aiohttp

from proxy_pkg.relay.upstream_errors import FOREIGN_ERRORS, place_of, translated

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


_WATCH_AFTER_SECONDS = 0.02
_CHUNKS_MAX = 512
"""Of the upstream that wait here. Each is an object of its own, however short: thousands take more than their bytes."""


async def pump(response: aiohttp.ClientResponse, send: Send, on_chunk: Callable[[bytes], None]) -> None:
    """Relay the body of `response`, all but the message that ends it, which is the caller's to send.

    Each chunk goes out as soon as it is here; waiting for a slow client stops the reading. Raises RelayError
    where the body ends early, and then nothing that would look like a proper end has been sent.
    """
    content = response.content
    content._high_water_chunks, content._low_water_chunks = _CHUNKS_MAX, _CHUNKS_MAX // 2
    while True:
        try:
            chunk = await content.readany()
        except FOREIGN_ERRORS as error:
            raise translated(error, "body", place_of(response.url)) from error
        if not chunk:
            return
        on_chunk(chunk)
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if content.at_eof():  # a read would find the same, for more
            return


class Departure:
    """Cancels the task that entered it when the client goes away.

    Used as `async with`: while the block runs, one task waits for the disconnect message. Start it only when
    the request's body has been read, since a receive channel has one reader.
    """

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop) -> None:
        self._receive = receive
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None
        self._owner: asyncio.Task[Any] | None = None
        self._over = False
        self.happened = False

    async def __aenter__(self) -> Self:
        self._owner = asyncio.current_task(self._loop)
        return self

    def start(self) -> None:
        """Begin to watch, in a moment: most answers of another kind than a model's are complete before that, and a
        task for each would be a tenth of their cost. A second call changes nothing.
        """
        if self._timer is None:
            self._timer = self._loop.call_later(_WATCH_AFTER_SECONDS, self._begin)

    def _begin(self) -> None:
        if not self._over:
            self._watch = self._loop.create_task(self._wait())

    def leave(self) -> None:
        """End the block as if the client had gone, for a reason of our own."""
        if not self._over and not self.happened and self._owner is not None:
            self.happened = True
            self._owner.cancel()

    def stop(self) -> None:
        """The exchange is over: what the client does now no longer matters.

        The watching task is not cancelled, which would cost as much as it did so far: the end of the answer or of
        the connection ends its wait.
        """
        self._over = True
        if self._timer is not None:
            self._timer.cancel()

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.leave()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        self.stop()
        if isinstance(error, asyncio.CancelledError) and self.happened and self._owner is not None:
            # Our own cancellation ends here; one that came from outside as well goes on.
            return self._owner.uncancel() == 0
        return False
