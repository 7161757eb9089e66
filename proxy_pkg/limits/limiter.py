"""Limits of requests, tokens, concurrency and money: asked before a request is read, settled after its answer.

Refused is only what the store refuses: while it cannot be reached, requests go on (see `store/fallback.py`). What is
given back and what is settled goes to the store from a task of its own, so that no answer waits for it.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final

from msgspec import Struct, structs

from proxy_pkg.errors import Allowance, LimitedError, RefusedError
from proxy_pkg.limits.needs import Need
from proxy_pkg.limits.rules import MINUTE_SECONDS, Rule
from proxy_pkg.stats.snapshot import Server
from proxy_pkg.store.contract import CLAIMS_MAX, Acquisition, Budget, Claim, ClaimState, Lease, Rate, Store
from proxy_pkg.store.fallback import Lost

PLACE_WAIT_SECONDS: Final = 0.1
"""How long a request waits for one in progress to end: a client that has its answer may be ahead of us."""
RESERVED_WAIT_SECONDS: Final = 0.3
"""How long it waits for what others have reserved of a budget: answers are accounted for a moment after their end."""
RESERVED_RETRY_SECONDS: Final = 5
"""When to try again where a budget is not spent and all that is left is reserved: when an answer may have ended."""
_PLACE_LOOK_SECONDS: Final = 0.02
_NAME_CHARS_MAX: Final = 128
QUEUED_MAX: Final = 10_000
"""Keys with something to settle that wait for the store; what is owed under further ones is lost."""
_CLOSE_SECONDS: Final = 1.0
_QUEUED_PER_SECOND: Final = 4
BYTES_PER_TOKEN: Final = 4
"""For the estimate that holds until the provider tells the tokens. It takes images for text, and so too many."""


NOTHING: Final = Need()


class Granted(Struct):
    """What one request was let in with. `tokens` is what it has been charged for so far, by key."""

    caller: str
    leases: list[Lease] = []
    tokens: dict[str, int] = {}
    name: str = ""
    need: Need = NOTHING
    holds: list[Budget] = []
    """What is reserved for it, until it is settled."""
    entered: float = 0.0
    charged: float = 0.0
    """When it was counted as a request, and charged for its tokens, by the clock of its limits."""


class Limits:
    """The limits of one worker, which are those of all through the store. Close it before the store."""

    def __init__(
        self, rules: Sequence[Rule], store: Store, lost: Lost, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`lost` is told an operation and a reason where something cannot be settled."""
        self._store = store
        self._lost = lost
        self._clock = clock
        self._rules = rules
        self._of_tokens = [rule for rule in rules if rule.kind == "tokens"]
        self._of_money = [rule for rule in rules if rule.kind == "budget"]
        self._of_requests = [rule for rule in rules if rule.kind == "requests"]
        self._of_places = [rule for rule in rules if rule.kind == "concurrency"]
        self._of_no_place = [rule for rule in rules if rule.kind != "concurrency"]
        self._queued: dict[tuple[str, int], Rate | Budget] = {}
        """By key, and for what is given back by the quarter of a second in which it was taken; else that is 0."""
        self._flushing: asyncio.Task[None] | None = None
        self._releasing: set[asyncio.Task[None]] = set()

    @property
    def are_of_cost(self) -> bool:
        """Whether tokens or money are limited."""
        return bool(self._of_tokens or self._of_money)

    async def enter(self, caller: str, name: str, body_bytes: int = 0, *, body_comes: bool = False) -> Granted:
        """Let in a request whose `name` no other has, or raise LimitedError. Its tokens are charged later.

        `body_bytes` is how long the body is that it will be charged for, as far as that is known; 0 if for none. One
        whose body still comes takes no place yet, `occupy` follows: clients that send slowly would else hold them all.
        """
        rules = self._of_no_place if body_comes else self._rules
        granted = Granted(caller, name=name)
        if not rules:
            return granted
        try:
            acquired = await self._ask(rules, granted)
            if not acquired.granted and body_bytes > 0 and rules[acquired.refused].kind == "tokens":
                acquired = await self._ask_for_all(rules, granted, _estimate(body_bytes))
        except BaseException:
            self.ended(granted)
            raise
        if acquired.granted:
            return granted
        self.ended(granted)
        raise _refusal(rules, acquired, time.time())

    async def occupy(self, granted: Granted) -> None:
        """Take the places of a request whose body has come, unless it has them. Raises LimitedError: then it counts for
        nothing. Whatever happens, `ended` follows.
        """
        if granted.leases or not self._of_places:
            return
        acquired = await self._ask(self._of_places, granted)
        if acquired.granted:
            return
        self.ended(granted)
        self._uncount(granted, time.time())
        others = self._of_no_place
        if others:  # the client is told how it stands with all of its limits
            looked = await self._store.acquire(self._claims(others, granted, look=True), force=True)
            acquired = structs.replace(acquired, states=acquired.states + looked.states)
        raise _refusal([*self._of_places, *others], acquired, time.time())

    async def _ask(self, rules: Sequence[Rule], granted: Granted) -> Acquisition:
        """Ask for what `rules` say; where a place is wanting, for a little while."""
        claims = self._claims(rules, granted)
        granted.leases = [claim for claim in claims if isinstance(claim, Lease)]
        until = self._clock() + PLACE_WAIT_SECONDS
        while True:
            if rules is not self._of_places:
                granted.entered = granted.charged = self._clock()
            acquired = await self._store.acquire(claims)
            if acquired.granted or rules[acquired.refused].kind != "concurrency" or self._clock() >= until:
                return acquired
            await asyncio.sleep(_PLACE_LOOK_SECONDS)

    async def _ask_for_all(self, rules: Sequence[Rule], granted: Granted, tokens: int) -> Acquisition:
        """What a request is told that is refused for want of one token, asked as for all of its tokens: so it hears
        when they fit, and need not come twice.
        """
        claims = self._claims(rules, granted, tokens)
        acquired = await self._store.acquire(claims)
        if acquired.granted:  # some were given back meanwhile
            granted.tokens = _charged(claim for claim, rule in zip(claims, rules, strict=True) if rule.kind == "tokens")
        return acquired

    async def charge(self, granted: Granted, need: Need) -> None:
        """Charge a request for its tokens, as estimated, and reserve what it can cost. Raises LimitedError.

        One that needs more tokens than the whole limit needs all of it: it goes when nothing else has gone for a
        minute. One that can cost more than is left goes when nothing is reserved.
        """
        granted.need = need
        rules = [*(self._of_money if need.microdollars else ()), *(() if granted.tokens else self._of_tokens)]
        if not rules:
            return
        until = self._clock() + RESERVED_WAIT_SECONDS
        while True:
            now, charged = time.time(), self._clock()
            claims = [self._claim_for(rule, granted, need, now) for rule in rules]
            acquired = await self._store.acquire(claims)
            if acquired.granted:
                if not granted.tokens:
                    granted.tokens, granted.charged = _charged(claims), charged
                granted.holds = [claim for claim in claims if isinstance(claim, Budget)]
                return
            if not _is_reserved(acquired.states[acquired.refused]) or self._clock() >= until:
                break
            await asyncio.sleep(_PLACE_LOOK_SECONDS)
        self._uncount(granted, now)
        raise _refusal(rules, acquired, now)

    def check_price(self, granted: Granted, model: str) -> None:
        """Refuse a request of a model without a price, if money is limited. Raises RefusedError."""
        if not self._of_money:
            return
        self._uncount(granted, time.time())
        raise RefusedError(
            f"no price is known here for the model {model[:_NAME_CHARS_MAX]!r}, and money is limited: add it to the "
            "file of HEADROOM_PRICES, or set HEADROOM_UNKNOWN_PRICE=open",
            "price_unknown",
            403,
        )

    def _uncount(self, granted: Granted, now: float) -> None:
        """What is refused counts for nothing."""
        for rule in self._of_requests:
            self._enqueue(rule.claim(granted.caller, -1, now), granted.entered)
        self._flush()

    @staticmethod
    def _claim_for(rule: Rule, granted: Granted, need: Need, now: float) -> Claim:
        if rule.kind == "tokens":
            return rule.claim(granted.caller, min(need.tokens, rule.limit), now)
        claim = rule.claim(granted.caller, 0, now)
        assert isinstance(claim, Budget), "money is a budget"
        return structs.replace(claim, hold=need.microdollars, name=granted.name)

    @property
    def has_needs(self) -> bool:
        """Whether what a request needs has to be known before it is sent."""
        return bool(self._of_money or self._of_tokens)

    def settled(self, granted: Granted | None, tokens: int | None, microdollars: int = 0) -> None:
        """Set what a request is charged for to the tokens that it took, None leaves the estimate; add its cost, and let
        go of what was reserved for it.
        """
        if granted is None:
            return
        now = time.time()
        for hold in granted.holds:
            self._enqueue(structs.replace(hold, hold=0, freed=(hold.name,)))
        granted.holds = []
        if tokens is not None:
            for rule in self._of_tokens:
                claim = rule.claim(granted.caller, tokens, now)
                cost = tokens - granted.tokens.get(claim.key, 0)
                self._enqueue(structs.replace(claim, cost=cost), granted.charged if cost < 0 else 0.0)
                granted.tokens[claim.key] = tokens
        if microdollars:
            for rule in self._of_money:
                self._enqueue(rule.claim(granted.caller, microdollars, now))
        self._flush()

    def unreported(self, granted: Granted, tokens: int | None) -> None:
        """Charge a request whose answer told no usage for its input, and so many tokens of output; with None, which is
        for an answer of unknown length, its estimate of tokens stays.

        The estimate expects a long answer: those of a few thousand short answers would be a whole limit for a minute.
        """
        need, acquired = granted.need, None
        if tokens is not None and granted.tokens and need is not NOTHING:
            acquired = need.tokens_unreported(tokens)
        if acquired is not None or granted.holds:
            self.settled(granted, acquired, need.cost_unreported(tokens or 0) if granted.holds else 0)

    def ended(self, granted: Granted | None) -> None:
        """The request is over. Call it whatever happened; a second call does no harm."""
        if granted is not None and granted.leases:
            # A task of its own: the store may answer late to others, and must not keep these places meanwhile.
            task = asyncio.get_running_loop().create_task(self._store.release(granted.leases))
            self._releasing.add(task)
            task.add_done_callback(self._releasing.discard)
            granted.leases = []

    async def section(self, _: Server) -> list[dict[str, Any]]:
        """Every limit, and of those that hold for all callers together how much is taken."""
        now, rows = time.time(), []
        for rule in self._rules:
            limit: dict[str, Any] = {"setting": rule.setting, "limit": rule.amount(rule.limit), "of": rule.words}
            if not rule.each:
                claim = rule.claim("", 0, now)
                if isinstance(claim, Lease):
                    limit["used"] = len(await self._store.leases(claim.key))
                else:
                    looked = await self._store.acquire([claim], force=True)
                    limit["used"] = rule.amount(looked.states[0].used)
                    if rule.kind == "budget":
                        limit["reserved"] = rule.amount(looked.states[0].reserved)
            rows.append(limit)
        return rows

    async def close(self) -> None:
        """Bring what is queued for the store, for at most a second."""
        if tasks := [*self._releasing, *([self._flushing] if self._flushing else ())]:
            await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)
            for task in tasks:
                task.cancel()

    @staticmethod
    def _claims(rules: Sequence[Rule], granted: Granted, tokens: int = 0, *, look: bool = False) -> list[Claim]:
        now = time.time()
        costs = {} if look else {"requests": 1, "tokens": tokens}
        return [
            rule.claim(granted.caller, min(costs.get(rule.kind, 0), rule.limit), now, granted.name) for rule in rules
        ]

    def _enqueue(self, claim: Rate | Budget | Lease, taken_at: float = 0.0) -> None:
        """Settle a claim in a moment; `taken_at` is when the units were taken that a rate is given back."""
        assert not isinstance(claim, Lease), "a stay is left, not owed"
        queued = claim.key, int(taken_at * _QUEUED_PER_SECOND)
        before = self._queued.get(queued)
        frees = isinstance(claim, Budget) and claim.freed  # of which there are no more than requests on their way
        if before is None and len(self._queued) >= QUEUED_MAX and not frees:
            self._lost("settle", "full")
            return
        if before is not None:
            claim = structs.replace(claim, cost=claim.cost + before.cost)
            if isinstance(claim, Budget) and isinstance(before, Budget):
                claim = structs.replace(claim, freed=before.freed + claim.freed)
        self._queued[queued] = claim

    def _flush(self) -> None:
        if self._queued and (self._flushing is None or self._flushing.done()):
            self._flushing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        while self._queued:
            one_of_each = {
                queued[0]: queued for queued in islice(self._queued, CLAIMS_MAX)
            }  # a call has a key but once
            batch = [self._aged(queued, self._queued.pop(queued)) for queued in one_of_each.values()]
            await self._store.acquire(batch, force=True)

    def _aged(self, queued: tuple[str, int], claim: Rate | Budget) -> Rate | Budget:
        """What is owed, with its age as of now."""
        if not queued[1] or isinstance(claim, Budget):
            return claim
        middle = (queued[1] + 0.5) / _QUEUED_PER_SECOND
        return structs.replace(claim, age_ms=max(1, round((self._clock() - middle) * 1000)))


def _estimate(body_bytes: int) -> int:
    return body_bytes // BYTES_PER_TOKEN + 1


def _charged(claims: Iterable[Claim]) -> dict[str, int]:
    return {claim.key: claim.cost for claim in claims if isinstance(claim, Rate)}


def _refusal(rules: Sequence[Rule], acquired: Acquisition, now: float) -> LimitedError:
    rule = rules[acquired.refused]
    states = sorted(
        ((place, state) for place, state in zip(rules, acquired.states, strict=True)),
        key=lambda pair: (pair[0] is not rule, pair[1].remaining),
    )
    allowances = tuple(
        Allowance(place.kind, place.limit, state.remaining, state.reset_ms / 1000)
        for place, state in states
        if place.kind in ("requests", "tokens")
    )
    wait = max(
        _seconds_to_wait(place, state, now)
        for place, state in zip(rules, acquired.states, strict=True)
        if place is rule or state.retry_after_ms
    )
    is_reserved = _is_reserved(acquired.states[acquired.refused])
    why = ", and what is left is reserved for requests that are on their way" if is_reserved else ""
    message = f"{rule.text()}{why}: try again in {wait} seconds"
    return LimitedError(message, _CODES[rule.kind], wait, allowances, soon=rule.kind != "budget" or is_reserved)


def _is_reserved(state: ClaimState) -> bool:
    """Whether a budget is in the way although it is not spent."""
    return state.reserved > 0 and state.remaining > 0


def _seconds_to_wait(rule: Rule, state: ClaimState, now: float) -> int:
    if rule.kind == "budget":
        seconds = RESERVED_RETRY_SECONDS if _is_reserved(state) else rule.seconds_left(now)
    elif rule.kind == "concurrency":
        seconds = 1.0
    else:
        seconds = state.retry_after_ms / 1000 if state.retry_after_ms >= 0 else MINUTE_SECONDS
    return max(1, math.ceil(seconds))


_CODES: Final = {
    "budget": "budget_spent",
    "requests": "rate_limited",
    "tokens": "rate_limited",
    "concurrency": "concurrency_limited",
}
