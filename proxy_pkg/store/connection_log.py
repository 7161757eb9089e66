"""What a worker's log says about the Redis that servers share: one line for each change, and what it means."""

import logging
from typing import Final, Literal

from proxy_pkg.store.contract import StoreError

State = Literal["new", "joined", "unreachable", "slow", "read_only", "full", "refused"]

_LASTING: Final[dict[str, State]] = {
    "ReadOnlyError": "read_only",
    "OutOfMemoryError": "full",
    "AuthenticationError": "refused",
    "AuthorizationError": "refused",
}
"""What holds for every call until an operator changes something there: by the client's name for it."""
_OWN: Final = (
    "limits and budgets hold for this server by itself, at its share of them, and decisions about texts are its own, "
    "until this is over"
)
_FAULTS: Final[dict[State, str]] = {
    "unreachable": "%s cannot be reached (%s): check that it runs, its address and the firewall",
    "slow": "%s answers too late (%s): raise HEADROOM_REDIS_TIMEOUT_MS, or bring it nearer",
    "read_only": "%s is read-only (%s): HEADROOM_REDIS_URL must name the primary, not a replica",
    "full": "%s is full (%s): give it more memory",
    "refused": "%s refuses us (%s): check the user and the password in HEADROOM_REDIS_URL, and what that user may do",
}

logger = logging.getLogger("proxy_pkg")


class ConnectionLog:
    """Whether the Redis at `place` is joined, as far as the log has said."""

    def __init__(self, place: str, timeout_ms: int) -> None:
        self._name = f"Redis at {place}" if place else "Redis"
        self._timeout_ms = timeout_ms
        self._state: State = "new"

    def is_lasting(self, error: StoreError) -> bool:
        """Whether every further call would fail the same way."""
        return type(error.__cause__).__name__ in _LASTING

    def failed(self, error: StoreError) -> None:
        """Nobody is let through to it now, because of this error."""
        state = _state(error)
        if state == self._state:
            return
        was_new, self._state = self._state == "new", state
        detail = f"no answer within {self._timeout_ms} ms" if state == "slow" else str(error.__cause__ or error)
        logger.warning(
            f"{_FAULTS[state]}; %s: %s", self._name, detail, "it is not joined yet" if was_new else "it is lost", _OWN
        )

    def succeeded(self) -> None:
        """It answered."""
        if self._state == "joined":
            return
        was_new, self._state = self._state == "new", "joined"
        if was_new:
            logger.info("%s is joined: limits, budgets and decisions are shared with its other servers", self._name)
        else:
            logger.warning(
                "%s is joined again: limits, budgets and decisions are shared with its other servers; what was spent "
                "meanwhile is paid in",
                self._name,
            )


def _state(error: StoreError) -> State:
    if (lasting := _LASTING.get(type(error.__cause__).__name__)) is not None:
        return lasting
    return {"timeout": "slow", "full": "full", "unreachable": "unreachable"}.get(error.reason, "refused")  # type: ignore[return-value]
