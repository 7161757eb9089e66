"""The last requests of all workers: what happened to each, without bodies, paths, headers or callers.

A request leaves a reference here, and nothing more; twice in a second what has gathered goes to the store in one call.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from proxy_pkg.store.contract import NOTE_BYTES_MAX, RING_NOTES_MAX, Store
from proxy_pkg.web.ended import Ended

GATHERED_MAX: Final = 64
"""A worker notes no more between two calls: the newest. That others are left out is counted, once for a call."""
_RING: Final = "recent"

_encode = msgspec.json.Encoder().encode


class Recent:
    """Gathers the requests of this worker. `lost` is told an operation and a reason where some are left out."""

    def __init__(self, store: Store, lost: Callable[[str, str], None]) -> None:
        self._store = store
        self._lost = lost
        self._gathered: deque[Ended] = deque(maxlen=GATHERED_MAX)
        self._is_overfull = False

    def add(self, ended: Ended) -> None:
        """Note a finished request."""
        self._is_overfull = self._is_overfull or len(self._gathered) == GATHERED_MAX
        self._gathered.append(ended)

    async def publish(self) -> None:
        """Bring what has gathered to the store."""
        if not self._gathered:
            return
        gathered, self._gathered = self._gathered, deque(maxlen=GATHERED_MAX)
        if self._is_overfull:
            self._lost("recent", "queue_full")
            self._is_overfull = False
        notes = [_encode(_note(ended)) for ended in gathered]
        await self._store.append(_RING, [note for note in notes if len(note) <= NOTE_BYTES_MAX])

    async def newest(self, count: int = RING_NOTES_MAX) -> list[msgspec.Raw]:
        """The last requests of all workers, newest first, each a JSON object."""
        return [msgspec.Raw(note) for note in await self._store.recent(_RING, count)]


def _note(ended: Ended) -> dict[str, Any]:
    record = ended.record
    return {
        "id": ended.id,
        "time": ended.time,
        "protocol": record.protocol,
        "route": record.route,
        "model": record.model,
        "client": record.client,
        "status": ended.status,
        "outcome": record.outcome,
        "refusal": record.refusal,
        "failure_phase": record.failure_phase,
        "decision": record.decision,
        "reason": record.decision_reason,
        "tokens_before": record.tokens_before,
        "tokens_after": record.tokens_after,
        "request_bytes": record.request_bytes,
        "response_bytes": record.response_bytes,
        "ms": {
            "total": _ms(ended.duration_ns),
            "limits": _ms(record.limits_ns),
            "read": _ms(record.read_ns),
            "plan": _ms(record.plan_ns),
            "send": _ms(record.send_ns),
            "pool": _ms(record.pool_ns),
            "connect": _ms(record.connect_ns),
            "first_byte": _ms(record.first_byte_ns),
            "upstream": _ms(record.upstream_ns),
        },
    }


def _ms(nanoseconds: int) -> float:
    return nanoseconds // 10_000 / 100
