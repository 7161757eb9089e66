"""What answers cost and what compression changed about it: worked out when the last byte has been sent, and counted."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from math import log
from typing import Final, TypeVar

from msgspec import Struct

from proxy_pkg.billing.calibration import Calibration, estimate_of
from proxy_pkg.billing.models import label, reported_in
from proxy_pkg.billing.savings import Saving, Terms, saving_of
from proxy_pkg.billing.shared_turns import Conversation, SharedTurns
from proxy_pkg.billing.usage import Copy, Usage, usage_in
from proxy_pkg.errors import RefusedError
from proxy_pkg.planning.policy import Tokens
from proxy_pkg.prices.table import Price, Prices
from proxy_pkg.protocols.grammar import Protocol
from proxy_pkg.protocols.table import Match
from proxy_pkg.stats.counters import Counters
from proxy_pkg.stats.record import ArmRecord, RequestRecord, SampleRecord, UsageRecord
from proxy_pkg.store.turns import Turn, Turns
from proxy_pkg.wire.tellings import Tellings

_OK: Final = 200
_COUNTING_ROUTES: Final = frozenset(("count_tokens", "input_tokens"))
_FREE_METHODS: Final = frozenset(("GET", "HEAD", "OPTIONS", "DELETE"))
_FREE_ROUTES: Final = frozenset(("files", "models", "client"))
_COUNTING_PATH: Final = ":countTokens"
_WAITING_MAX: Final = 16
"""Long work that waits for the thread; what comes beyond is not done."""
WARNED_OF_MAX: Final = 100
"""Models without a price that a worker names in its log, each once: clients choose names."""
_GATHER_SECONDS: Final = 0.05
_GATHERED_MAX: Final = 32
_GATHERED_BODY_BYTES: Final = 64 << 10
"""What was sent with a longer body is not kept for that."""
_CREDENTIALS: Final = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key")
_UNITS_PER_CENT: Final = 100
_MICRODOLLARS_PER_UNIT: Final = 1_000_000 // 100 // _UNITS_PER_CENT
_TOKENS_PER_UNIT: Final = 1000
_NO_TURN: Final = Turn(0, 0, 0, 0)

Result = TypeVar("Result")
OnUsage = Callable[[Usage | None, int], None]
"""Is told the usage of an answer, None if there is none, and what it cost in millionths of a dollar."""

logger = logging.getLogger("proxy_pkg")


class Answer(Struct):
    """An answer that has ended, and what of its request bears on its cost."""

    protocol: Protocol
    copy: Copy
    sent: bytes
    """The request's body as it was sent; empty where it is not at hand as JSON."""
    headers: list[tuple[bytes, bytes]]
    model: str = ""
    """As the request names it."""
    opening: bytes = b""
    arm: str = ""
    saved: int = 0
    """Tokens that compression took from it (estimate)."""
    complete: bool = True
    request: RequestRecord | None = None
    """Is given the usage and its cost."""
    told: OnUsage | None = None


class Accounts:
    """The accounts of one worker. All methods belong to its loop; close them when that ends."""

    def __init__(
        self,
        counters: Counters,
        prices: Prices,
        turns: Turns,
        tokens: Tokens,
        kept_s: int,
        shared: SharedTurns | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`shared` keeps `turns` up to date with those of other servers."""
        self._counters = counters
        self._prices = prices
        self._turns = turns
        self._tokens = tokens
        self._kept_s = kept_s
        self._shared = shared
        self._sharing: asyncio.Task[None] | None = None
        self._clock = clock
        self._calibration = Calibration()
        self._warned_of: set[str] = set()
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="accounts")
        with suppress(RuntimeError):  # later there may be none to be had
            self._thread.submit(int)
        self._waiting = 0
        self._gathered: deque[Answer] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_busy(self) -> bool:
        """Whether an answer is still to be accounted for, or something waits for the thread."""
        is_sharing = self._sharing is not None and not self._sharing.done()
        return bool(self._gathered or self._waiting or is_sharing)

    def settle(self, answer: Answer) -> None:
        """Account for `answer`, in a moment: one after the other they cost half of what each costs by itself.

        A worker that is killed loses those of the last moment.
        """
        self._gathered.append(answer)
        if len(self._gathered) >= _GATHERED_MAX or len(answer.sent) > _GATHERED_BODY_BYTES:
            self._loop.call_soon(self._settle_gathered)
        elif self._timer is None:
            self._timer = self._loop.call_later(_GATHER_SECONDS, self._settle_gathered)

    def uncounted(self, matched: Match, method: str, status: int) -> None:
        """Count a good answer that tells no usage which is read here, if that may have cost something."""
        if _OK <= status < _OK + 100 and is_uncounted(matched, method):
            self._counters.count_usage(UsageRecord(protocol=matched.protocol.name, missing="uncounted"))

    def _settle_gathered(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._shared is None:
            self._settle_first(len(self._gathered))
        elif self._sharing is None or self._sharing.done():
            self._sharing = self._loop.create_task(self._share(self._shared))

    async def _share(self, shared: SharedTurns) -> None:
        """Account for what is gathered, with the turns that other servers answered, and tell them of these."""
        while self._gathered or shared.is_due:
            heard = len(self._gathered)
            await shared.learn({_conversation(answer) for answer in self._gathered if answer.opening})
            self._settle_first(heard)
            await shared.publish()

    def _settle_first(self, answers: int) -> None:
        try:
            for _ in range(answers):
                self._settle_one(self._gathered.popleft())
        finally:
            if self._gathered and self._timer is None:  # one failed, which the loop logs; the others go on without it
                self._timer = self._loop.call_later(0, self._settle_gathered)

    def _settle_one(self, answer: Answer) -> None:
        self._settle(answer, answer.copy.text())

    async def close(self) -> None:
        """Account for what was gathered, and let the thread end after what it is doing; what waits for that is not
        counted.
        """
        if self._timer is not None:
            self._timer.cancel()
        if self._sharing is not None:
            self._sharing.cancel()
            await asyncio.gather(self._sharing, return_exceptions=True)
        while self._gathered:
            self._settle_one(self._gathered.popleft())
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._shared is not None:
            await self._shared.publish()

    def _settle(self, answer: Answer, text: bytes) -> None:
        places = answer.protocol.usage
        assert places is not None, "an answer that is known to tell no usage"
        usage, record = None, UsageRecord(protocol=answer.protocol.name)
        try:
            usage = usage_in(text, places, ends=answer.complete)
            if usage is None:
                record.missing = _why_missing(answer, text)
            else:
                self._count_usage(answer, text, usage, record)
            self._counters.count_usage(record)
            if answer.request is not None:
                answer.request.usage, answer.request.awaits_usage = record, False
        finally:  # whatever fails, nothing stays reserved
            if answer.told is not None:
                answer.told(usage, record.cost_microdollars)

    def _count_usage(self, answer: Answer, text: bytes, usage: Usage, record: UsageRecord) -> None:
        model, price = self._model(answer, text)
        record.model = label(model)
        record.reported, record.incomplete = 1, int(not answer.complete)
        record.input, record.output = usage.input, usage.output
        record.cache_read, record.cache_write = usage.cache_read, usage.cache_write
        if price is None:
            record.unpriced = record.model
            self._warn_of(record.model)
        else:
            self._count_money(answer, usage, price, record)
        if answer.sent and self._calibration.samples(record.model, len(answer.sent)):
            learn = partial(self._learn, record.model, usage.input_total)
            self._elsewhere(partial(estimate_of, answer.sent, self._tokens), learn)

    def _warn_of(self, model: str) -> None:
        """Say once that a model has no price."""
        if model not in self._warned_of and len(self._warned_of) < WARNED_OF_MAX:
            self._warned_of.add(model)
            logger.warning(
                "no price is known for the model %s: what it costs is in no cost, no saving and no budget. Add it to "
                "the file of HEADROOM_PRICES; HEADROOM_UNKNOWN_PRICE=closed refuses it where money is limited",
                model,
            )

    def _model(self, answer: Answer, text: bytes) -> tuple[str, Price | None]:
        """The model that is paid: the one that the request names, unless the answer names one of another price."""
        places = answer.protocol.usage
        assert places is not None
        asked = self._prices.of(answer.model) if answer.model else None
        told, at = reported_in(text, places)
        if told == answer.model:
            return told, asked
        price = self._prices.of(told) if told else None
        if answer.model and (price is None or price == asked):
            return answer.model, asked
        if not answer.model or Tellings(text, places, ends=answer.complete).stands_well(at, places.model):
            return told, price
        return answer.model, asked

    def _count_money(self, answer: Answer, usage: Usage, price: Price, record: UsageRecord) -> None:
        places = answer.protocol.usage
        assert places is not None
        conversation = _conversation(answer)
        key = self._turns.key(*conversation) if answer.opening else 0
        last = self._turns.get(key) if key else None
        terms = Terms(price, self._calibration.factor(record.model), self._kept_s, not places.input_has_cached)
        saving = saving_of(usage, answer.saved, last, int(self._clock()), terms)
        record.cost_microdollars = round(saving.cost_microdollars)
        record.gross_microdollars = round(saving.gross_microdollars)
        net = round(saving.net_microdollars)
        record.gain_microdollars, record.loss_microdollars = max(0, net), max(0, -net)
        if key:
            self._turns.put(key, saving.turn)
            if self._shared is not None:
                self._shared.note(conversation, saving.turn)
            if answer.arm:
                self._counters.count_usage(_of_arm(answer.arm, last, saving))

    def _learn(self, model: str, reported: int, estimated: int) -> None:
        ratio = self._calibration.learn(model, estimated, reported)
        if ratio:
            self._counters.count_usage(
                SampleRecord(
                    model=model,
                    estimated=estimated,
                    reported=reported,
                    ratio_ppm=round(ratio * 1e6),
                    ratio_square_ppm=round(ratio * ratio * 1e6),
                )
            )

    def _elsewhere(
        self, work: Callable[[], Result], then: Callable[[Result], None], failed: Callable[[], None] = lambda: None
    ) -> bool:
        """Do `work` on the thread, and `then` what follows on the loop, or what is to be done if it `failed`; False if
        it cannot be begun.
        """
        if self._waiting >= _WAITING_MAX:
            return False
        try:
            future = self._loop.run_in_executor(self._thread, work)
        except RuntimeError:  # no thread can be had, or this worker ends
            return False
        self._waiting += 1
        future.add_done_callback(partial(self._done, then, failed))
        return True

    def _done(
        self, then: Callable[[Result], None], failed: Callable[[], None], future: "asyncio.Future[Result]"
    ) -> None:
        self._waiting -= 1
        if future.cancelled():
            return
        if (error := future.exception()) is not None:
            logger.error("an answer could not be accounted for", exc_info=error)
            failed()
            return
        then(future.result())
        if self._shared is not None and self._shared.is_due:
            self._settle_gathered()


def tells_usage(matched: Match, path: str, status: int) -> bool:
    """Whether the answer to a request should tell what it cost: not where tokens are only counted, nor in an error."""
    if matched.protocol.usage is None or not _OK <= status < _OK + 100:
        return False
    return matched.route not in _COUNTING_ROUTES and not path.endswith(_COUNTING_PATH)


def is_uncounted(matched: Match, method: str) -> bool:
    """Whether a request may cost something of which its answer tells nothing that is read here."""
    return matched.protocol.usage is None and method not in _FREE_METHODS and matched.route not in _FREE_ROUTES


def check_countable(matched: Match, method: str) -> None:
    """Refuse what is uncounted. Raises RefusedError (403)."""
    if is_uncounted(matched, method):
        raise RefusedError(
            "what this request costs cannot be counted, and limits of tokens or money are on "
            "(HEADROOM_UNCOUNTED=refuse): use a path whose end says its format, as …/chat/completions does, or set "
            "HEADROOM_UNCOUNTED=allow",
            "uncounted",
            403,
        )


def _why_missing(answer: Answer, text: bytes) -> str:
    if not answer.complete:
        return "truncated"
    return "absent" if text else "unreadable"


def _conversation(answer: Answer) -> Conversation:
    return Conversation(_credential(answer.headers), answer.model.encode(), answer.opening)


def _credential(headers: list[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if name in _CREDENTIALS:
            return value
    return b""


def _of_arm(arm: str, last: Turn | None, saving: Saving) -> ArmRecord:
    """What this request adds to the sums over conversations."""
    turn, before = saving.turn, last or _NO_TURN
    now, then = _log(turn), _log(before)
    rise, square = round(now * 1e6) - round(then * 1e6), round(now**2 * 1e6) - round(then**2 * 1e6)
    return ArmRecord(
        arm=arm,
        conversations=int(last is None),
        cost=turn.cost_microdollars // _MICRODOLLARS_PER_UNIT - before.cost_microdollars // _MICRODOLLARS_PER_UNIT,
        input=turn.input_total // _TOKENS_PER_UNIT - before.input_total // _TOKENS_PER_UNIT,
        log_rise=max(0, rise),
        log_fall=max(0, -rise),
        square_rise=max(0, square),
        square_fall=max(0, -square),
    )


def _log(turn: Turn) -> float:
    """ln(millionths of a dollar / tokens of input) of a conversation so far, 0 of one that cost nothing."""
    if not turn.cost_microdollars or not turn.input_total:
        return 0.0
    return log(turn.cost_microdollars / turn.input_total)
