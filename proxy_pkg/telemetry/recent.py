"""The last requests of all workers: what happened to each, without bodies, paths, headers or callers.

A request leaves a reference here, and nothing more; twice in a second what has gathered goes to the store in one call.
What an answer cost is known a moment after its end, so a note waits for that a little.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from proxy_pkg.stats.record import UsageRecord
from proxy_pkg.store.contract import NOTE_BYTES_MAX, RING_NOTES_MAX, Store
from proxy_pkg.telemetry.outcome import Ended

GATHERED_MAX: Final = 64
"""A worker notes no more between two calls: the newest. That others are left out is counted, once for a call."""
HELD_SECONDS: Final = 1.0
_RING: Final = "recent"
_PROBLEM_CHARACTERS: Final = 240
"""Of what an upstream did: its place and its fault, and nothing of the request. A note has little room."""

_encode = msgspec.json.Encoder().encode


class Recent:
    """Gathers the requests of this worker. `lost` is told an operation and a reason where some are left out."""

    def __init__(
        self, store: Store, lost: Callable[[str, str], None], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._clock = clock
        self._lost = lost
        self._gathered: deque[Ended] = deque(maxlen=GATHERED_MAX)
        self._is_overfull = False

    def add(self, ended: Ended) -> None:
        """Note a finished request."""
        self._is_overfull = self._is_overfull or len(self._gathered) == GATHERED_MAX
        self._gathered.append(ended)

    async def publish(self, *, is_last: bool = False) -> None:
        """Bring what has gathered to the store; not yet what waits for its cost, unless nothing is to come any more."""
        if not self._gathered:
            return
        gathered, now_s = list(self._gathered), self._clock()
        held = () if is_last else [ended for ended in gathered if _is_held(ended, now_s)]
        self._gathered = deque(held, maxlen=GATHERED_MAX)
        if self._is_overfull:
            self._lost("recent", "queue_full")
            self._is_overfull = False
        notes = [_encoded(ended) for ended in gathered if all(ended is not each for each in held)]
        if notes:
            await self._store.append(_RING, [note for note in notes if len(note) <= NOTE_BYTES_MAX])

    async def newest(self, count: int = RING_NOTES_MAX) -> list[msgspec.Raw]:
        """The last requests of all workers, newest first, each a JSON object; at the front those that wait here."""
        held = [_encoded(ended) for ended in reversed(self._gathered)]
        return [msgspec.Raw(note) for note in (*held, *await self._store.recent(_RING, count))][:count]


def _encoded(ended: Ended) -> bytes:
    """The note; what happened goes before the sentence that says why."""
    note = _encode(_note(ended))
    return note if len(note) <= NOTE_BYTES_MAX else _encode(_note(ended) | {"problem": ""})


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
        "problem": ended.problem[:_PROBLEM_CHARACTERS] if record.outcome == "failed" else "",
        "answer_error": record.answer_error,
        "decision": record.decision,
        "reason": record.decision_reason,
        "tokens_before": record.tokens_before,
        "tokens_after": record.tokens_after,
        "request_bytes": record.request_bytes,
        "response_bytes": record.response_bytes,
        "usage": None if record.usage is None else _usage(record.usage),
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


def _is_held(ended: Ended, now_s: float) -> bool:
    return ended.record.awaits_usage and now_s - ended.unix_seconds < HELD_SECONDS


def _usage(usage: UsageRecord) -> dict[str, Any]:
    """What `/stats` sums up in "usage" and "money", of one answer; dollars only where the model has a price."""
    if usage.missing:
        return {"missing": usage.missing}
    request: dict[str, Any] = {
        "model": usage.model,
        "input": usage.input,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "output": usage.output,
    }
    if not usage.unpriced:
        request["cost_usd"] = usage.cost_microdollars / 1e6
        request["gross_saving_usd"] = usage.gross_microdollars / 1e6
        request["net_saving_usd"] = (usage.gain_microdollars - usage.loss_microdollars) / 1e6
    return request


def _ms(nanoseconds: int) -> float:
    return nanoseconds // 10_000 / 100
