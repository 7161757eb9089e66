"""What the workers tell each other about requests, kept up to date by one task in each worker."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from proxy_pkg.limits.callers import Callers
from proxy_pkg.stats.catalogue import METRICS
from proxy_pkg.stats.snapshot import Server
from proxy_pkg.store.contract import Scope
from proxy_pkg.store.fallback import Fallback
from proxy_pkg.telemetry.live import LIVE_MS, Live
from proxy_pkg.telemetry.recent import Recent

PUBLISH_SECONDS: Final = 0.5
_AGREE_TURNS: Final = 120


class SharedPublisher:
    """The task publishes what is open and what has ended, and tells `held` whom this worker shares limits with."""

    def __init__(
        self, store: Fallback, callers: Callers, lost: Callable[[str, str], None], held: Callable[[Scope], None]
    ) -> None:
        self._store = store
        self._callers = callers
        self._held = held
        self.live = Live(store, callers)
        self.recent = Recent(store, lost)
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Agree with the other workers on how callers are named, and start the task."""
        await self._callers.agree(self._store)
        self._held(self._store.scope)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """End the task, with a last word about what has ended. The store stays open."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.recent.publish(is_last=True)

    async def live_section(self, server: Server) -> dict[str, Any]:
        """What is open: how much on this machine, and the newest of it on any worker, this one's as of now."""
        await self.live.publish()
        count = sum(worker.in_flight for worker in server.now.workers)
        return {"count": count, "newest": await self.live.newest(), "newest_open_ms_min": LIVE_MS}

    async def shown_recent(self) -> list[Any]:
        """The last requests of all workers, this one's as of now."""
        await self.recent.publish()
        return await self.recent.newest()

    async def store_section(self, server: Server) -> dict[str, Any]:
        """How many workers share their limits with whom, and what the store did not do."""
        scopes = Counter(worker.scope for worker in server.now.workers)
        lost: dict[str, dict[str, int]] = {}
        for (operation, reason), cells in server.now.of(METRICS["proxy_store_losses_total"]).items():
            lost.setdefault(operation, {})[reason] = cells[0]
        return {"workers_by_scope": dict(scopes), "lost": lost}

    async def _run(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(PUBLISH_SECONDS)
            await self.live.publish()
            await self.recent.publish()
            self._held(self._store.scope)
            turn += 1
            is_due = self._store.reached and not self._callers.have_agreed
            if is_due or turn % _AGREE_TURNS == 0:
                await self._callers.agree(self._store)
