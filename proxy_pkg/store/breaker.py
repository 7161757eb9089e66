"""A circuit breaker: after some failures in a row no call waits for what is down, until a probe finds it back."""

from collections.abc import Callable
from typing import Final

FAILURES_MAX: Final = 3
WINDOW_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 0.5
PAUSE_SECONDS_MAX: Final = 5.0


class Breaker:
    """Closed, it lets calls through. `FAILURES_MAX` failures in a row, the first of them at most `WINDOW_SECONDS` ago,
    open it; then `allows` is False until a probe succeeds. Each pause before a probe is twice as long as the last one,
    also where it was closed in between for less than `WINDOW_SECONDS`: what is down every other moment is left in
    peace for longer. `clock` gives seconds and never goes back.
    """

    def __init__(self, clock: Callable[[], float], failures_max: int = FAILURES_MAX) -> None:
        self._clock = clock
        self._failures_max = failures_max
        self._failures = 0
        self._first_failure_at = 0.0
        self._pause_seconds = PAUSE_SECONDS
        self._probe_at = 0.0
        self._closed_at = 0.0
        self.allows = True

    def succeeded(self) -> None:
        """A call, or the probe, came back: close, and forget the failures."""
        self._failures = 0
        if not self.allows:
            self._closed_at = self._clock()
            self.allows = True

    def failed(self, *, at_once: bool = False) -> None:
        """A call, or the probe, did not. A late failure of a call from before the opening changes nothing.

        `at_once` opens it: what failed will fail for everybody.
        """
        now = self._clock()
        if not self.allows:
            return
        if self._failures == 0 or now - self._first_failure_at > WINDOW_SECONDS:
            self._failures, self._first_failure_at = 0, now
        self._failures += 1
        if at_once or self._failures >= self._failures_max:
            self.allows = False
            if now - self._closed_at > WINDOW_SECONDS:
                self._pause_seconds = PAUSE_SECONDS
            self._probe_at = now + self._pause_seconds

    def probe_due(self) -> bool:
        """True, once in a while, if it is open and a probe is due; the next pause is twice as long."""
        if self.allows or self._clock() < self._probe_at:
            return False
        self._pause_seconds = min(2 * self._pause_seconds, PAUSE_SECONDS_MAX)
        self._probe_at = self._clock() + self._pause_seconds
        return True
