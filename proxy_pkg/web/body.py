"""Read a request's body: bounded in bytes, in the time between two parts, and in how slowly it may come."""

import asyncio
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from math import inf
from typing import Any, Final

from proxy_pkg.errors import ClientGoneError, RefusedError
from proxy_pkg.relay.pump import Receive

PACE_SECONDS: Final = 10.0
"""Over how long a time the pace of a body is told. Until then a body counts as fast."""
_PACE_BYTES_MIN: Final = 1024
"""A slower pace is told as this one: of silent bodies the largest gives way, a small one never."""


class BodyReader:
    """Reads one body, whole or in parts. `bytes_read` tells how much has come so far.

    A body that comes slower than `rate_bytes_min` a second falls behind; one that is `gap_seconds` behind is refused.
    A silence falls behind in the same way, so a client cannot reset the limit with a byte now and then. Only the time
    in which the client is waited for counts: an upstream that reads slowly makes no body late.
    """

    def __init__(
        self,
        receive: Receive,
        bytes_max: int | None,
        gap_seconds: float,
        loop: asyncio.AbstractEventLoop,
        rate_bytes_min: int = 0,
    ) -> None:
        self._receive = receive
        self._loop = loop
        self._ended_by: RefusedError | None = None
        self._waits: asyncio.Task[Any] | None = None
        self._hold: Callable[[int], None] | None = None
        self._pace = inf
        self._span_began = self._came_at = 0.0
        self._span_bytes = 0
        self._bytes_max = bytes_max
        self._gap_seconds = gap_seconds
        self._rate_bytes_min = rate_bytes_min
        self._behind_seconds = 0.0
        self.bytes_read = 0

    async def whole(self, hold: Callable[[int], None], coming: "set[BodyReader] | None" = None) -> bytes:
        """The complete body. `hold` is told of each part's bytes before they are kept, and may refuse. As long as parts
        are waited for, this reader is among those that are `coming`.

        Raises RefusedError (413 too long, 408 too slow, or what `hold` raises) and ClientGoneError.
        """
        first, more = await self._next()
        hold(len(first))
        if not more:
            return first
        # Grows as parts come: to join them at the end would keep the loop for a millisecond a megabyte.
        body = BytesIO()
        body.write(first)
        coming, self._hold = set() if coming is None else coming, hold
        coming.add(self)
        try:
            while more:
                part, more = await self._next()
                hold(len(part))
                body.write(part)
        finally:
            coming.discard(self)
        return body.getvalue()

    def seconds_at_pace(self, now: float) -> float:
        """How long all that has come would have taken at the pace of late; 0 for one that waits for nothing."""
        if self._waits is None or not self._span_began:
            return 0.0
        span_seconds = now - self._span_began
        pace = self._span_bytes / span_seconds if span_seconds >= PACE_SECONDS else self._pace
        if now - self._came_at >= PACE_SECONDS:
            pace = 0.0  # silent since
        return self.bytes_read / max(pace, _PACE_BYTES_MIN)

    def give_way(self) -> None:
        """Refuse the body that is waited for, and let go of what was held of it, for the sake of others."""
        assert self._waits is not None, "only what waits gives way"
        assert self._hold is not None, "only what is held gives way"
        self._ended_by = RefusedError(
            "the request body came so slowly that it gave way to others (HEADROOM_BODY_BYTES_IN_FLIGHT_MAX)",
            "body_timeout",
            408,
        )
        self._hold(-self.bytes_read)
        self._waits.cancel()
        self._waits = None

    async def parts(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises as `whole` does."""
        more = True
        while more:
            part, more = await self._next()
            if part:
                yield part

    async def _next(self) -> tuple[bytes, bool]:
        """The next part, and whether more will come."""
        task = asyncio.current_task()
        assert task is not None
        # The first part is nearly always the whole body, and it is here already: it needs no clock.
        began = self._loop.time() if self.bytes_read else 0.0
        if not self._span_began:
            self._span_began = self._came_at = began
        # What asyncio.timeout does, at a fifth of its price.
        timer = self._loop.call_later(self._gap_seconds - self._behind_seconds, self._give_up, task)
        self._waits = task
        try:
            message = await self._receive()
        except asyncio.CancelledError as error:
            if self._ended_by is None or task.uncancel():
                raise
            raise self._ended_by from error
        finally:
            self._waits = None
            timer.cancel()
        if message["type"] == "http.disconnect":
            raise ClientGoneError("the client left while its body was read")
        part = message.get("body", b"")
        if began:
            self._came(began, len(part))
        self.bytes_read += len(part)
        self.expect(self.bytes_read)
        return part, message.get("more_body", False)

    def _came(self, began: float, part_bytes: int) -> None:
        now = self._came_at = self._loop.time()
        self._span_bytes += part_bytes
        if now - self._span_began >= PACE_SECONDS:
            self._pace = self._span_bytes / (now - self._span_began)
            self._span_began, self._span_bytes = now, 0
        if self._rate_bytes_min:
            self._fall_behind(now - began, part_bytes)

    def _fall_behind(self, waited_seconds: float, part_bytes: int) -> None:
        behind = self._behind_seconds + waited_seconds - part_bytes / self._rate_bytes_min
        self._behind_seconds = max(0.0, behind)
        if behind >= self._gap_seconds:
            raise self._too_slow()

    def _too_slow(self) -> RefusedError:
        limit = f"no part of the request body came for {self._gap_seconds:g} seconds (HEADROOM_BODY_TIMEOUT_SECONDS)"
        if self._behind_seconds:
            limit = (
                f"the request body came slower than {self._rate_bytes_min} bytes a second for {self._gap_seconds:g} "
                "seconds (HEADROOM_BODY_RATE_BYTES_MIN, HEADROOM_BODY_TIMEOUT_SECONDS)"
            )
        return RefusedError(limit, "body_timeout", 408)

    def _give_up(self, task: asyncio.Task[Any]) -> None:
        if self._ended_by is None:
            self._ended_by = self._too_slow()
            task.cancel()

    def expect(self, total_bytes: int) -> None:
        """Raise RefusedError (413) if a body of so many bytes is too long."""
        if self._bytes_max is not None and total_bytes > self._bytes_max:
            raise RefusedError(
                f"the request body is longer than {self._bytes_max} bytes (HEADROOM_BODY_BYTES_MAX)",
                "body_too_large",
                413,
            )


def announced_bytes(headers: list[tuple[bytes, bytes]]) -> int | None:
    """What content-length says; None where there is none that can be read."""
    for name, value in headers:
        if name == b"content-length":
            try:
                return int(value)
            except ValueError:
                continue
    return None


def announces_body(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a body comes: one of some length, or in chunks."""
    return bool(announced_bytes(headers)) or any(name == b"transfer-encoding" for name, _ in headers)
