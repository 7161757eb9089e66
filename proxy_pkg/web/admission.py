"""How much a worker takes on at once: requests in progress, and bytes of bodies held for them.

Idle connections count for nothing, and neither do requests that wait for their client: clients that send slowly, and
there may be many of them, would keep others out. What they have sent so far counts in bytes.

When the bytes are all taken, bodies that come slowly for what they hold give way, the worst first. So nobody keeps
others out who does not send all those bytes again within SECONDS_AT_PACE_MAX.
"""

import sys
import time
from collections.abc import Callable
from typing import Final

from proxy_pkg.errors import RefusedError
from proxy_pkg.web.body import BodyReader

_RETRY_AFTER_SECONDS = 1
_CROWDED_PERCENT = 90
SECONDS_AT_PACE_MAX: Final = 120.0
"""A body gives way, where room is wanting, if all that has come of it would have taken longer at its late pace. 20 MB
MB at 200 KB a second do not.
"""
_LOOK_SECONDS: Final = 0.1
"""How long nobody looks again for bodies that give way, after none was found."""


class Admission:
    """The counts of one worker."""

    def __init__(
        self,
        requests_max: int,
        body_bytes_max: int,
        uploads_max: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`uploads_max` are many bodies that stream through at once; 0 for never. `clock` is that of the loop."""
        self._clock = clock
        self._look_at = 0.0
        self.coming: set[BodyReader] = set()
        """Bodies of which a part is here and more is waited for."""
        self._uploads_max = uploads_max or sys.maxsize
        self.uploads = 0
        """Bodies that stream through and have not come to their end."""
        self._requests_max = requests_max
        self._body_bytes_max = body_bytes_max
        self.requests = 0
        self.awaited = 0
        """Requests that wait for a part of their body."""
        self.body_bytes = 0

    @property
    def has_many_uploads(self) -> bool:
        """Whether uploads hold so many connections to upstreams that no more should be had for a few bytes."""
        return self.uploads >= self._uploads_max

    @property
    def is_crowded(self) -> bool:
        """Whether nearly all is taken: what is optional gives way now, before a request is refused."""
        return (
            self.requests * 100 > self._requests_max * _CROWDED_PERCENT
            or self.body_bytes * 100 > self._body_bytes_max * _CROWDED_PERCENT
        )

    def enter(self) -> None:
        """Take on one request; `leave` gives it back. Raises RefusedError (503) when there are too many."""
        if self.requests >= self._requests_max:
            raise self._full()
        self.requests += 1

    def _full(self) -> RefusedError:
        return RefusedError(
            f"this worker serves {self._requests_max} requests already (HEADROOM_LIMIT_CONCURRENCY)",
            "overloaded",
            503,
            _RETRY_AFTER_SECONDS,
        )

    def await_client(self) -> None:
        """A request that has entered waits for its client, and others may have its room meanwhile."""
        self.requests -= 1
        self.awaited += 1

    def resume(self) -> None:
        """The client has sent what it was waited for. Call it whatever happened; `leave` still has to follow."""
        self.awaited -= 1
        self.requests += 1

    def ask_for_room(self) -> None:
        """Raises RefusedError (503) when there are too many requests, this one among them."""
        if self.requests > self._requests_max:
            raise self._full()

    def leave(self, held_bytes: int) -> None:
        """The request is over, and `held_bytes` of its body are free again."""
        self.requests -= 1
        self.body_bytes -= held_bytes

    def hold(self, part_bytes: int) -> None:
        """Keep so many bytes more of a body. Raises RefusedError (503) when all bodies together are too long."""
        if self.body_bytes + part_bytes > self._body_bytes_max and not self._make_room(part_bytes):
            raise RefusedError(
                f"request bodies of {self._body_bytes_max} bytes are in progress (HEADROOM_BODY_BYTES_IN_FLIGHT_MAX)",
                "overloaded",
                503,
                _RETRY_AFTER_SECONDS,
            )
        self.body_bytes += part_bytes

    def _make_room(self, part_bytes: int) -> bool:
        """Have slow bodies give way, the worst first; False if that is not enough."""
        now = self._clock()
        if now < self._look_at:
            return False
        paced = [(reader.seconds_at_pace(now), reader) for reader in self.coming]
        slow = sorted((pair for pair in paced if pair[0] > SECONDS_AT_PACE_MAX), key=lambda pair: -pair[0])
        for _, reader in slow:
            reader.give_way()
            if self.body_bytes + part_bytes <= self._body_bytes_max:
                return True
        self._look_at = now + _LOOK_SECONDS
        return False
