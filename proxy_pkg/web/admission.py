"""How much a worker takes on at once: requests in progress, and bytes of bodies held for them.

Idle connections count for nothing: only a request that is being served does.
"""

from proxy_pkg.errors import RefusedError

_RETRY_AFTER_SECONDS = 1
_CROWDED_PERCENT = 90


class Admission:
    """The counts of one worker."""

    def __init__(self, requests_max: int, body_bytes_max: int) -> None:
        self._requests_max = requests_max
        self._body_bytes_max = body_bytes_max
        self.requests = 0
        self.body_bytes = 0

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
            raise RefusedError(
                f"this worker serves {self._requests_max} requests already (HEADROOM_LIMIT_CONCURRENCY)",
                "overloaded",
                503,
                _RETRY_AFTER_SECONDS,
            )
        self.requests += 1

    def leave(self, held_bytes: int) -> None:
        """The request is over, and `held_bytes` of its body are free again."""
        self.requests -= 1
        self.body_bytes -= held_bytes

    def hold(self, part_bytes: int) -> None:
        """Keep so many bytes more of a body. Raises RefusedError (503) when all bodies together are too long."""
        if self.body_bytes + part_bytes > self._body_bytes_max:
            raise RefusedError(
                f"request bodies of {self._body_bytes_max} bytes are in progress (HEADROOM_BODY_BYTES_IN_FLIGHT_MAX)",
                "overloaded",
                503,
                _RETRY_AFTER_SECONDS,
            )
        self.body_bytes += part_bytes
