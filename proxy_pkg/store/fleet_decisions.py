"""Decisions that all servers with one Redis share, so that a conversation may go to any of them with each turn.

A decision waits for nothing: the decisions of this machine are looked at and made as ever, and new ones are told to the
store by a task of its own, as fast as the store takes them. Only texts that another server may have sent (they stand
before a conversation's newest message, and nothing on this machine knows them) are asked for, all in one call. That
is enough, since a client sends its next turn when it has the answer to the last one, and each conversation has marks of
its own. What could not be told or asked is counted as a loss of the operation `ways`, and the request goes on.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from proxy_pkg.store.contract import MANY_MAX
from proxy_pkg.store.decision_table import DecisionTable, Key, bare, group_of
from proxy_pkg.store.fallback import Fallback, Lost

KEPT_SECONDS: Final = 2 * 86_400
"""How long the store keeps a decision that no server meets any more."""
QUEUE_MAX: Final = 16_384
"""Decisions of this worker that wait to be published; further ones are lost to other servers."""
RENEWALS_MAX: Final = QUEUE_MAX // 2
BATCH_MAX: Final = 256
ASKED_MAX: Final = 4 * MANY_MAX
"""Texts of one request that are asked for; what is beyond is decided as if it were new."""
RETRY_SECONDS: Final = 1.0
FORGET_SECONDS: Final = 60.0
"""A worker forgets what it remembers at most so often."""
ASKED_FILE: Final = "asked-2"


class FleetDecisions:
    """The decisions of this machine for one worker, and its part in publishing and learning them.

    `asked` has an entry for each text whose way the fleet was asked for, or that was sent from here first. Open it in
    the running loop; close it before the store. `key`, `get`, `first` and `knows` may be called on any thread.
    """

    def __init__(
        self,
        decisions: DecisionTable,
        asked: DecisionTable,
        store: Fallback,
        lost: Lost,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._decisions = decisions
        self._asked = asked
        self._store = store
        self._lost = lost
        self._clock = clock
        self._queue: deque[tuple[Key, int]] = deque()
        self._loop = asyncio.get_running_loop()
        self._called = False
        self._wake = asyncio.Event()
        self._overruled = False
        self._forgot_at = clock() - FORGET_SECONDS
        self._task = self._loop.create_task(self._run())

    def key(self, group: bytes, *parts: bytes, caller: int = 0) -> Key:
        return self._decisions.key(group, *parts, caller=caller)

    def get(self, key: Key) -> int | None:
        return self._decisions.get(key)

    def first(self, key: Key, decision: int) -> int:
        """As Marks has it; a new decision is published to the others."""
        is_new = self._decisions.get(key) is None
        held = self._decisions.first(key, decision)
        if is_new:
            self._publish(key, held, QUEUE_MAX)
        return held

    def knows(self, key: Key) -> bool:
        """Whether the decision about `key` need not be asked for. A decision that is seen again is kept for longer."""
        decision = self._decisions.get(key)
        if decision is not None:
            self._publish(key, decision, RENEWALS_MAX)
            return True
        return self._asked.get(key) is not None

    @property
    def waiting(self) -> int:
        """Decisions that are still to be published."""
        return len(self._queue)

    def own(self, keys: Sequence[Key]) -> None:
        """These texts are sent from here first."""
        for key in keys:
            self._asked.first(key, 0)

    async def learn(self, keys: Sequence[Key]) -> None:
        """Learn what other servers decided about `keys`, within the time limit of the store. Never raises."""
        names = {name_of(key): key for key in keys[:ASKED_MAX]}
        wanted = list(names)
        for start in range(0, len(wanted), MANY_MAX):
            some = wanted[start : start + MANY_MAX]
            for name, value in (await self._store.get_many(some, KEPT_SECONDS)).items():
                self._decisions.first(names[name], _way(value))
            if not self._store.reached:
                return
            self.own([names[name] for name in some])

    def was_overruled(self) -> bool:
        """True, now and then, if another server decided first, and this worker may remember otherwise."""
        if not self._overruled or self._clock() - self._forgot_at < FORGET_SECONDS:
            return False
        self._overruled, self._forgot_at = False, self._clock()
        return True

    async def close(self) -> None:
        """Publish what is still to be published, if the store takes it at once."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        if self._store.reached:
            await self._found()

    def _publish(self, key: Key, decision: int, waiting_max: int) -> None:
        if len(self._queue) >= waiting_max:
            if waiting_max == QUEUE_MAX:
                self._lost("decisions", "full")
            return
        self._queue.append((key, decision))
        if not self._called:
            self._called = True
            with suppress(RuntimeError):  # the loop is closed: nothing is published any more
                self._loop.call_soon_threadsafe(self._wake.set)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._called = False
            while not await self._found():
                await asyncio.sleep(RETRY_SECONDS)
                # A probe that writes nothing here.
                while self._queue and not self._store.reached:
                    await self._store.get_many([name_of(self._queue[0][0])])
                    await asyncio.sleep(0 if self._store.reached else RETRY_SECONDS)

    async def _found(self) -> bool:
        """Tell all that waits. False if the store did not take it; then it waits on."""
        while self._queue:
            batch = dict(self._queue.popleft() for _ in range(min(len(self._queue), BATCH_MAX)))
            items = {name_of(key): b"%d" % decision for key, decision in batch.items()}
            held = await self._store.put_many(items, KEPT_SECONDS, keep=True)
            if not self._store.reached:
                self._queue.extendleft(reversed(batch.items()))
                return False
            self._heed({key: _way(held[name_of(key)]) for key in batch}, batch)
        return True

    def _heed(self, held: dict[Key, int], found: dict[Key, int]) -> None:
        """Where another server was first, its decision holds here too from now on."""
        for key, decision in held.items():
            if decision != found[key]:
                self._decisions.overrule(key, decision)
                self._overruled = True


def name_of(key: Key) -> str:
    """What the store calls the decision about `key`."""
    # In a Cluster, what is in braces says the slot: a conversation is asked for in one step.
    return f"ways/{{{group_of(key):05x}}}/{bare(key):016x}"


def _way(value: bytes) -> int:
    return int(value == b"1")
