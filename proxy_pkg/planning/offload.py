"""Planning as the server does it: small work at once, large work on a thread, all of it under a deadline."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic_ns
from typing import TypeVar

from proxy_pkg.planning.draft import NO_CALLS, Calls, Draft, Memos, draw, remember
from proxy_pkg.planning.find import is_worth_reading
from proxy_pkg.planning.plan import Plan, Ways, compose, settle
from proxy_pkg.planning.policy import Rules, Tokens
from proxy_pkg.protocols.grammar import Conversation

Result = TypeVar("Result")

# Work below these bounds takes the loop for a few milliseconds at most, about what handing it over would cost
# others anyway, since threads of one interpreter take turns.
_INLINE_BODY_BYTES = 1 << 20
_INLINE_PENDING_CHARS = 24 << 10
_INLINE_INDEX_CHARS = 128 << 10

_EMPTY = Plan()


class Planner:
    """Makes plans for one worker. Holds its memo and one thread; close it when the worker ends."""

    def __init__(
        self, rules: Rules, tokens: Tokens, memo_bytes_max: int, deadline_ms: int, ways: Ways | None = None
    ) -> None:
        self._ways = ways
        self._rules = rules
        self._tokens = tokens
        self._memos = Memos(memo_bytes_max)
        self._deadline_ns = deadline_ms * 1_000_000
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="planning")

    async def plan(self, body: bytes, conversation: Conversation, known: Calls = NO_CALLS) -> Plan:
        """The plan for `body`. Raises ScanError where it cannot be cut.

        `known` are tool calls, by id, that were made before the body's own first item.
        What is not decided when the deadline passes is left alone, and stays so on later turns.
        """
        if not is_worth_reading(body, conversation):
            return _EMPTY
        deadline_ns = monotonic_ns() + self._deadline_ns
        if len(body) <= _INLINE_BODY_BYTES:
            draft = draw(body, conversation, self._memos, known)
        else:
            draft = await self.elsewhere(lambda: draw(body, conversation, self._memos, known))
        await self._settle(draft, deadline_ns)
        remember(draft, self._memos)
        return compose(draft)

    async def _settle(self, draft: Draft, deadline_ns: int) -> None:
        if draft.pending_chars <= _INLINE_PENDING_CHARS and draft.unindexed_chars <= _INLINE_INDEX_CHARS:
            self._decide(draft, deadline_ns)
            return
        try:
            await self.elsewhere(lambda: self._decide(draft, deadline_ns))
        except asyncio.CancelledError:
            draft.abandoned = True
            raise

    def _decide(self, draft: Draft, deadline_ns: int) -> None:
        settle(draft, self._rules, self._tokens, self._memos, deadline_ns, self._ways)

    async def elsewhere(self, work: Callable[[], Result]) -> Result:
        """Do `work` on the planner's thread, in turn with its other work."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Let the thread end after what it is doing; nothing waits for it."""
        self._thread.shutdown(wait=False, cancel_futures=True)
