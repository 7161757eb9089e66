"""Planning as the server does it: small work at once, large work on a thread, all of it under a deadline."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic_ns
from typing import TypeVar

from proxy_pkg.planning.find import is_worth_reading
from proxy_pkg.planning.plan import Draft, Memos, Plan, compose, draw, settle
from proxy_pkg.planning.policy import Count, Rules
from proxy_pkg.protocols.grammar import Conversation

Result = TypeVar("Result")

# Work below these bounds takes the loop for a few milliseconds at most, about what handing it over would cost
# others anyway, since threads of one interpreter take turns.
_INLINE_BODY_BYTES = 1 << 20
_INLINE_PENDING_CHARS = 24 << 10

_EMPTY = Plan()


class Planner:
    """Makes plans for one worker. Holds its memo and one thread; close it when the worker ends."""

    def __init__(self, rules: Rules, count: Count, memo_bytes_max: int, deadline_ms: int) -> None:
        self._rules = rules
        self._count = count
        self._memos = Memos(memo_bytes_max)
        self._deadline_ns = deadline_ms * 1_000_000
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="planning")

    async def plan(self, body: bytes, conversation: Conversation) -> Plan:
        """The plan for `body`. Raises ScanError where it cannot be cut.

        What is not decided when the deadline passes is left alone, and stays so on later turns.
        """
        if not is_worth_reading(body, conversation):
            return _EMPTY
        deadline_ns = monotonic_ns() + self._deadline_ns
        if len(body) <= _INLINE_BODY_BYTES:
            draft = draw(body, conversation, self._memos)
        else:
            draft = await self._elsewhere(lambda: draw(body, conversation, self._memos))
        if draft.pending:
            await self._settle(draft, deadline_ns)
        return compose(draft)

    async def _settle(self, draft: Draft, deadline_ns: int) -> None:
        if draft.pending_chars <= _INLINE_PENDING_CHARS:
            settle(draft, self._rules, self._count, self._memos, deadline_ns)
            return
        try:
            await self._elsewhere(lambda: settle(draft, self._rules, self._count, self._memos, deadline_ns))
        except asyncio.CancelledError:
            draft.abandoned = True
            raise

    async def _elsewhere(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Let the thread end after what it is doing; nothing waits for it."""
        self._thread.shutdown(wait=False, cancel_futures=True)
