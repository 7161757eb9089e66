"""Planning as the server does it: small work at once, large work on threads, all of it under a deadline.

Reading bodies is bounded by their length, while a compressor may be slow or never come back, so each has threads of its
own. Both are done a slice at a time, so that requests take turns. A text that does not come back is given up and
left alone from then on, and so is what is new when the deadline passes before its turn comes, or while more work waits
than the deadline has room for. Texts that were sent shorter before are made so again on threads that do nothing else,
however late it is: sending them whole would change what was sent. They took no longer than the deadline then, each.
"""

import asyncio
from collections.abc import Callable
from time import monotonic_ns
from typing import Any, Final, TypeVar

from proxy_pkg.planning.callers import NO_CALLS, Calls
from proxy_pkg.planning.desk import Desks, Job
from proxy_pkg.planning.draft import Draft, Memos, note, remember
from proxy_pkg.planning.envelopes import opened
from proxy_pkg.planning.find import is_worth_reading
from proxy_pkg.planning.hearing import Fleet, unheard
from proxy_pkg.planning.plan import Plan, compose, leave_alone, left_alone, settle
from proxy_pkg.planning.policy import Rules, Tokens
from proxy_pkg.planning.reading import Reading, draw
from proxy_pkg.planning.recall import OtherCalls, assign, missing, to_keep
from proxy_pkg.planning.terms import LEFT_ALONE, SHORTENED, CallersWays, Ways, conversation_key, is_left_alone
from proxy_pkg.planning.watch import ALARM, NO_JOURNAL, NS, BrokenOff, Journal, OverdueError, ThreadWatch
from proxy_pkg.protocols.grammar import Conversation

Result = TypeVar("Result")

# Work below these bounds takes the loop for a few milliseconds at most, about what handing it over would cost
# others anyway, since threads of one interpreter take turns.
_INLINE_BODY_BYTES = 1 << 20
_INLINE_READ_BYTES = 256 << 10
_INLINE_PENDING_CHARS = 24 << 10
_INLINE_INDEX_CHARS = 128 << 10
_INLINE_INDEX_LINES = 4000
_INLINE_OBJECTS = 800
_INLINE_TEXTS = 1000
_INLINE_SLICE_NS = 8_000_000
_SLICE_NS = 25_000_000
_THREADS, _FORMING_THREADS = 3, 2

CHARS_PER_MS: Final = 3000
"""What a thread decides in a millisecond, at least on usual texts."""
STUCK_MAX: Final = 3
"""Threads that never came back; with more of them a worker should be replaced."""

_EMPTY = Plan()


class Planner:
    """Makes plans for one worker. Holds its memo and two threads; close it when the worker ends."""

    def __init__(
        self,
        rules: Rules,
        tokens: Tokens,
        memo_bytes_max: int,
        deadline_ms: int,
        ways: Ways | None = None,
        journal: Journal = NO_JOURNAL,
        is_crowded: Callable[[], bool] = lambda: False,
        fleet: Fleet | None = None,
    ) -> None:
        """`fleet` must know at once what `ways` are told."""
        self._ways = ways
        self._fleet = fleet
        self._journal = journal
        self._is_crowded = is_crowded
        self._rules = rules
        self._tokens = tokens
        self._memo_bytes_max = memo_bytes_max
        self._memos = Memos(memo_bytes_max)
        self._deadline_ns = deadline_ms * 1_000_000
        self._backlog_chars_max = deadline_ms * CHARS_PER_MS
        self._reading = Desks("reading", _THREADS)
        self._deciding = Desks("deciding", _THREADS)
        self._forming = Desks("forming", _FORMING_THREADS)
        ALARM.attach(journal)

    async def plan(
        self,
        body: bytes,
        conversation: Conversation,
        known: Calls = NO_CALLS,
        caller: int = 0,
        others: OtherCalls | None = None,
    ) -> Plan:
        """The plan for `body`. Raises ScanError where it cannot be cut, OverdueError where it takes for ever.

        `known` are tool calls, by id, that were made before the body's own first item. `caller` is a small number that
        says whose the marks are. `others` are asked for calls that are in neither.
        What is not decided when the deadline passes is left alone, and stays so on later turns; so is what is new
        when there is work enough already, or the worker is crowded.
        """
        if conversation.envelopes:
            return await self._plan_inside(body, conversation, known, caller)
        deadline_ns = monotonic_ns() + self._deadline_ns
        if len(body) > _INLINE_BODY_BYTES:
            is_worth = await self.elsewhere(lambda: is_worth_reading(body, conversation))
        else:
            is_worth = is_worth_reading(body, conversation)
        if not is_worth:
            return _EMPTY
        if self._fleet is not None and self._fleet.was_overruled():
            self._memos = Memos(self._memo_bytes_max)
        ways = CallersWays(self._ways, caller) if caller and self._ways is not None else self._ways
        try:
            return await self._plan(body, conversation, known, deadline_ns, ways, others)
        except OverdueError:
            # Once more: the text is marked by now, and what was sent shorter on earlier turns has to be so again.
            return await self._plan(body, conversation, known, deadline_ns, ways, others)

    async def _plan_inside(self, body: bytes, conversation: Conversation, known: Calls, caller: int) -> Plan:
        """The plan for a body that may hold a request of another call."""
        if len(body) <= _INLINE_READ_BYTES:
            held = opened(body, conversation)
            return held.closed(await self.plan(held.body, held.conversation, known, caller))
        held = await self.elsewhere(lambda: opened(body, conversation))
        plan = await self.plan(held.body, held.conversation, known, caller)
        return await self.elsewhere(lambda: held.closed(plan))

    async def _plan(
        self,
        body: bytes,
        conversation: Conversation,
        known: Calls,
        deadline_ns: int,
        ways: Ways | None,
        others: OtherCalls | None,
    ) -> Plan:
        memos = self._memos
        draft = await self._read(body, conversation, known, memos, deadline_ns, ways)
        if is_left_alone(draft.opening, ways):
            return _late(draft)
        if others is not None and conversation.answer is not None:
            began = monotonic_ns()
            await self._recall(draft, conversation, others, ways)
            deadline_ns += monotonic_ns() - began
        own: list[int] = []
        if self._fleet is not None and draft.pending:
            began = monotonic_ns()
            own = await self._hear(draft, self._fleet, ways)
            deadline_ns += monotonic_ns() - began
            if is_left_alone(draft.opening, ways):
                return _late(draft)
        if self._is_crowded() or self._deciding.chars > self._backlog_chars_max:
            deadline_ns = 0  # nothing new is begun
        await self._settle(draft, memos, deadline_ns, ways)
        if self._fleet is not None:
            self._fleet.own(own)
        if len(body) <= _INLINE_BODY_BYTES and len(draft.places) <= _INLINE_TEXTS:
            return _finished(draft, memos, ways)
        return await self.elsewhere(lambda: _finished(draft, memos, ways))

    async def _read(
        self,
        body: bytes,
        conversation: Conversation,
        known: Calls,
        memos: Memos,
        deadline_ns: int,
        ways: Ways | None,
    ) -> Draft:
        """Read the body, a slice at a time. Once it is late, reading ends unless some of the conversation was sent
        shorter before: then it has to be so again. Before it is known which conversation it is, reading goes on; what
        can be read at all is bounded.
        """
        asking = self._rules.reduces
        if _is_read_here(body, conversation, memos, known):
            return draw(body, conversation, memos, known, asking=asking)
        reading = await self.elsewhere(lambda: Reading(body, conversation, memos, known, asking=asking))
        may_be_late = ways is None
        while not await self.elsewhere(lambda: reading.go_on(monotonic_ns() + _SLICE_NS)):
            opening = reading.draft.opening
            if is_left_alone(opening, ways):
                break
            if opening and not may_be_late and monotonic_ns() > deadline_ns:
                may_be_late = await self._was_shortened(opening, ways)
                if not may_be_late:
                    break
        return reading.draft

    async def _was_shortened(self, opening: bytes, ways: Ways | None) -> bool:
        """Whether a conversation was sent shorter before. If not, it is left alone from now on."""
        assert ways is not None, "late without ways"
        key = conversation_key(opening, ways)
        if self._fleet is not None and not self._fleet.knows(key):
            await self._fleet.learn([key])
        return ways.first(key, LEFT_ALONE) == SHORTENED

    async def _recall(self, draft: Draft, conversation: Conversation, others: OtherCalls, ways: Ways | None) -> None:
        """Give results the calls that other requests and answers made."""
        if calls := to_keep(draft):
            others.learn(calls)
        names = missing(draft)
        found = await others.find(names) if names else NO_CALLS
        if len(draft.places) - draft.known > _INLINE_TEXTS:
            await self.elsewhere(lambda: assign(draft, found, conversation, others.owner, ways))
        else:
            assign(draft, found, conversation, others.owner, ways)

    async def _hear(self, draft: Draft, fleet: Fleet, ways: Ways | None) -> list[int]:
        """Ask the other servers what they sent of this conversation; returns the keys of what is sent for the first
        time.
        """
        assert ways is not None, "a fleet without ways"
        if draft.pending_chars > _INLINE_BODY_BYTES:
            keys, own = await self.elsewhere(lambda: unheard(draft, ways, fleet))
        else:
            keys, own = unheard(draft, ways, fleet)
        if keys:
            await fleet.learn(keys)
        return own

    async def _settle(self, draft: Draft, memos: Memos, deadline_ns: int, ways: Ways | None) -> None:
        """Settle the draft, a slice at a time. What is new and has not begun at the deadline is left alone."""
        desks = self._deciding
        if deadline_ns and self._settled_here(draft, memos, deadline_ns, ways):
            return
        is_done = False
        while not is_done:
            is_late = desks is self._deciding and monotonic_ns() > deadline_ns
            desks = self._forming if is_late else desks
            job, watch = self._handed_over(desks, draft, memos, deadline_ns, ways, is_late=is_late)
            try:
                if desks is self._deciding and not await _begun_in_time(job, desks, deadline_ns):
                    continue
                is_done = await job.done
            except asyncio.CancelledError:
                draft.abandoned = True
                raise
            except OverdueError:
                self._give_up(draft, watch, memos, ways)
                raise

    def _settled_here(self, draft: Draft, memos: Memos, deadline_ns: int, ways: Ways | None) -> bool:
        """Do the work on the loop if it is small; False if it is not, or more of it is left."""
        if draft.pending_chars > _INLINE_PENDING_CHARS or draft.unindexed_chars > _INLINE_INDEX_CHARS:
            return False
        if len(draft.places) > _INLINE_TEXTS or draft.unindexed_lines > _INLINE_INDEX_LINES:
            return False
        until_ns = monotonic_ns() + _INLINE_SLICE_NS
        try:
            return settle(draft, self._rules, self._tokens, memos, deadline_ns, ways, ALARM, until_ns)
        except BrokenOff:
            return False

    def _handed_over(
        self, desks: Desks, draft: Draft, memos: Memos, deadline_ns: int, ways: Ways | None, *, is_late: bool
    ) -> tuple[Job, ThreadWatch]:
        watch = ThreadWatch(self._journal, deadline_ns)

        def work() -> bool:
            if is_late:
                leave_alone(draft, memos, self._tokens, ways, "deadline" if deadline_ns else "busy")
            until_ns = monotonic_ns() + _SLICE_NS
            return settle(draft, self._rules, self._tokens, memos, deadline_ns, ways, watch, until_ns)

        return desks.take(work, draft.pending_chars, watch), watch

    def _give_up(self, draft: Draft, watch: ThreadWatch, memos: Memos, ways: Ways | None) -> None:
        """Leave the text alone from now on. What else was decided holds: the thread writes to no memo."""
        draft.abandoned = True
        if ways is not None:
            ways.first(watch.key, LEFT_ALONE)
        else:
            self._memos = Memos(self._memo_bytes_max)
        note(draft, memos)

    async def elsewhere(self, work: Callable[[], Result]) -> Result:
        """Do `work`, bounded by what it is given, off the loop; here, if no thread can be had."""
        result: Any = await self._reading.take(work).done
        return result  # type: ignore[no-any-return]

    @property
    def stuck(self) -> int:
        """Threads that never came back."""
        return self._reading.stuck + self._deciding.stuck + self._forming.stuck

    def close(self) -> None:
        """Let the threads end after what they are doing; nothing waits for them."""
        self._reading.close()
        self._deciding.close()
        self._forming.close()


def _is_read_here(body: bytes, conversation: Conversation, memos: Memos, known: Calls) -> bool:
    """Whether what is new of a body is read as fast as it could be handed over."""
    if len(body) > _INLINE_BODY_BYTES:
        return False
    prefix = None if known else memos.prefixes.longest(body, conversation.path)
    start = 0 if prefix is None else len(prefix.data)
    return len(body) - start <= _INLINE_READ_BYTES and body.count(b"{", start) <= _INLINE_OBJECTS


def _finished(draft: Draft, memos: Memos, ways: Ways | None) -> Plan:
    remember(draft, memos)
    plan = compose(draft)
    if ways is None or not draft.opening or not plan.replacements:
        return plan
    is_first = ways.first(conversation_key(draft.opening, ways), SHORTENED) == SHORTENED
    return plan if is_first else left_alone(plan, "deadline")  # another worker had no time for it a moment ago


def _late(draft: Draft) -> Plan:
    """The plan for a conversation that is left alone, since there was no time to read it once."""
    return Plan(doubts=(*draft.doubts, "deadline"), opening=draft.opening)


async def _begun_in_time(job: Job, desks: Desks, deadline_ns: int) -> bool:
    """Wait until the job is done, the deadline at the longest. False if it was not even begun and is withdrawn."""
    try:
        await asyncio.wait((job.done,), timeout=max(0, deadline_ns - monotonic_ns()) / NS)
    except asyncio.CancelledError:
        job.done.cancel()
        raise
    return not desks.withdraw(job)
