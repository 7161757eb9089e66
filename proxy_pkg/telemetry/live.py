"""Requests and WebSockets that have been open for a while, shown to every worker through the store.

Most requests are over before anybody could look at them. What is open longer than a moment becomes a lease in the
store, which ends with the request, or by itself with the worker.
"""

import time
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final, Protocol

import msgspec

from proxy_pkg.limits.callers import Callers
from proxy_pkg.protocols.table import Match
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.store.contract import CLAIMS_MAX, NOTE_BYTES_MAX, Lease, Store

LIVE_MS: Final = 500
"""What is over sooner is never shown."""
SHOWN_PER_WORKER: Final = 50
SHOWN: Final = 50
_KEY: Final = "live"

_encode = msgspec.json.Encoder().encode


class Open(Protocol):
    """What is told of one that is open."""

    id: str
    matched: Match
    record: RequestRecord
    scope: dict[str, Any]
    began_ns: int

    @property
    def phase(self) -> str:
        """What it waits for."""


class Live:
    """What is open in this worker. `enter` and `release` cost next to nothing; `publish` tells the others."""

    def __init__(self, store: Store, callers: Callers) -> None:
        self._store = store
        self._callers = callers
        self._open: dict[str, Open] = {}
        self._shown: dict[str, tuple[str, float]] = {}
        """The phase that was published, and the start in Unix time, by id."""

    def enter(self, opened: Open) -> None:
        self._open[opened.id] = opened

    def leave(self, opened: Open) -> None:
        self._open.pop(opened.id, None)

    async def publish(self) -> None:
        """Bring the store up to date. Call it every half second or so."""
        gone = [Lease(_KEY, name) for name in self._shown if name not in self._open]
        for lease in gone:
            del self._shown[lease.name]
        if gone:
            await self._store.release(gone)
        changed = self._changed()
        for start in range(0, len(changed), CLAIMS_MAX):
            await self._store.acquire(changed[start : start + CLAIMS_MAX], force=True)

    async def newest(self) -> list[dict[str, Any]]:
        """Those that are open on any worker, newest first, at most SHOWN."""
        found = []
        for here in await self._store.leases(_KEY):
            try:
                found.append(msgspec.json.decode(here.note, type=dict[str, Any]))
            except msgspec.MsgspecError:
                continue  # being written
        return sorted(found, key=lambda note: str(note.get("started")), reverse=True)[:SHOWN]

    def _changed(self) -> Sequence[Lease]:
        now_ns = time.monotonic_ns()
        new = (
            opened
            for opened in self._open.values()
            if opened.id not in self._shown and now_ns - opened.began_ns >= LIVE_MS * 1_000_000
        )
        leases = []
        for opened in list(islice(new, SHOWN_PER_WORKER - len(self._shown))):
            started = time.time() - (now_ns - opened.began_ns) / 1e9
            leases.append(self._lease(opened, started))
        for name, (phase, started) in list(self._shown.items()):
            known = self._open.get(name)
            if known is not None and known.phase != phase:
                leases.append(self._lease(known, started))
        return [lease for lease in leases if len(lease.note) <= NOTE_BYTES_MAX]

    def _lease(self, opened: Open, started: float) -> Lease:
        phase, record, matched = opened.phase, opened.record, opened.matched
        self._shown[opened.id] = (phase, started)
        note = {
            "id": opened.id,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "protocol": record.protocol,
            "route": record.route,
            "model": record.model,
            "client": record.client,
            "caller": self._callers.label(opened.scope, matched.protocol.api),
            "phase": phase,
        }
        return Lease(_KEY, opened.id, 0, _encode(note))
