"""Limits: who is let in, what is charged, and how a refusal reads in each API."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from proxy_pkg.config.load import load
from proxy_pkg.errors import LimitedError
from proxy_pkg.limits import rules
from proxy_pkg.limits.limiter import Granted, Limits
from proxy_pkg.limits.needs import Need
from proxy_pkg.limits.rules import rules_set
from proxy_pkg.protocols import anthropic, gemini, openai
from proxy_pkg.protocols.grammar import Api
from proxy_pkg.stats.snapshot import Reading, Server
from proxy_pkg.store.contract import Acquisition, Claim, Rate, StoreError
from proxy_pkg.store.fallback import Fallback
from proxy_pkg.web.failures import failure_of, send_failure
from tests.store.memory import Memory

UNREAD = Server(Reading(0, [], 0, {}), Reading(0, [], 0, {}), 1, 0)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Memory:
    return Memory(clock)


def unexpected(operation: str, reason: str) -> None:
    raise AssertionError(f"{operation} was lost: {reason}")


Limited = Callable[..., Limits]


@pytest.fixture
def limited(store: Memory) -> Limited:
    """`limited(HEADROOM_RPM=3)`"""

    def made(**environment: Any) -> Limits:
        settings = load({name: str(value) for name, value in environment.items()}).settings
        return Limits(rules_set(settings), store, unexpected)

    return made


async def granted(limits: Limits, caller: str = "key:a", name: str = "r", tokens: int = 0) -> Granted:
    given = await limits.enter(caller, name)
    if tokens:
        await limits.charge(given, Need(tokens))
    return given


async def flushed() -> None:
    """Let the task that brings what is owed to the store do so: the store of these tests never waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def refused(limits: Limits, caller: str = "key:a", tokens: int = 0) -> LimitedError:
    with pytest.raises(LimitedError) as caught:
        await granted(limits, caller, "another", tokens)
    return caught.value


def test_without_a_setting_there_is_no_rule() -> None:
    assert rules_set(load({}).settings) == []


async def test_each_caller_has_its_own_requests(limited: Limited) -> None:
    limits = limited(HEADROOM_RPM=2)
    for number in range(2):
        await granted(limits, "key:a", str(number))
        await granted(limits, "key:b", str(number))
    error = await refused(limits)
    assert (error.status, error.code, error.soon) == (429, "rate_limited", True)
    assert "HEADROOM_RPM" in str(error)


async def test_all_callers_share_the_total(limited: Limited) -> None:
    limits = limited(HEADROOM_TOTAL_RPM=2)
    await granted(limits, "key:a")
    await granted(limits, "key:b")
    assert "all callers" in str(await refused(limits, "key:c"))


async def test_an_answer_that_outlasts_the_window_gives_nothing_back_that_others_took(
    store: Memory, clock: Clock
) -> None:
    limits = Limits(rules_set(load({"HEADROOM_TPM": "1000"}).settings), store, unexpected, clock)
    late = await granted(limits, name="late", tokens=900)
    clock.now += 61
    await granted(limits, name="other", tokens=800)
    limits.settled(late, 100)
    await flushed()
    await refused(limits, tokens=300)
    assert (await granted(limits, name="third", tokens=200)).tokens


async def test_two_answers_give_back_what_each_took_when_it_took_it(store: Memory, clock: Clock) -> None:
    limits = Limits(rules_set(load({"HEADROOM_TPM": "1000"}).settings), store, unexpected, clock)
    first = await granted(limits, name="first", tokens=300)
    clock.now += 30
    second = await granted(limits, name="second", tokens=600)
    for answer in (first, second):
        limits.settled(answer, 200)
    await flushed()
    await flushed()
    looked = await store.acquire([Rate("tokens:key:a", 0, 1000, 60)], force=True)
    assert looked.states[0].used == 400
    clock.now += 31
    looked = await store.acquire([Rate("tokens:key:a", 0, 1000, 60)], force=True)
    assert looked.states[0].used == 200


async def test_a_refused_request_is_given_back_where_it_was_counted(store: Memory, clock: Clock) -> None:
    """Its body may have taken long to come."""
    settings = load({"HEADROOM_RPM": "5", "HEADROOM_TPM": "100"}).settings
    limits = Limits(rules_set(settings), store, unexpected, clock)
    await granted(limits, name="first", tokens=90)
    slow = await limits.enter("key:a", "slow")
    clock.now += 40
    limits.settled(await limits.enter("key:a", "third"), None)
    with pytest.raises(LimitedError):
        await limits.charge(slow, Need(50))
    await flushed()
    clock.now += 21
    looked = await store.acquire([Rate("requests:key:a", 0, 5, 60)], force=True)
    assert looked.states[0].used == 1


async def test_stats_show_how_full_the_limits_for_all_callers_are(limited: Limited) -> None:
    limits = limited(HEADROOM_RPM=9, HEADROOM_TOTAL_RPM=5, HEADROOM_TOTAL_CONCURRENCY=4, HEADROOM_BUDGET_DAY_USD=2)
    for name in ("one", "two"):
        limits.settled(await granted(limits, name=name), None, 250_000)
    await flushed()
    rows = {limit["setting"]: limit for limit in await limits.section(UNREAD)}
    assert "used" not in rows["HEADROOM_RPM"]
    assert {name: (limit["used"], limit["limit"]) for name, limit in rows.items() if "used" in limit} == {
        "HEADROOM_TOTAL_RPM": (2, 5),
        "HEADROOM_TOTAL_CONCURRENCY": (2, 4),
        "HEADROOM_BUDGET_DAY_USD": (0.5, 2.0),
    }


async def test_the_time_to_wait_is_when_the_next_one_fits(limited: Limited, clock: Clock) -> None:
    limits = limited(HEADROOM_RPM=1)
    await granted(limits)
    clock.now += 20.0
    wait = (await refused(limits)).retry_after_seconds
    assert 40 <= wait <= 41
    clock.now += wait
    await granted(limits)


async def test_whoever_waits_as_told_gets_in_whatever_limits_were_in_the_way(limited: Limited, clock: Clock) -> None:
    limits = limited(HEADROOM_RPM=2, HEADROOM_TPM=100)
    await granted(limits)
    clock.now += 30.0
    limits.settled(await granted(limits), 100)
    await flushed()
    clock.now += 10.0
    wait = (await refused(limits)).retry_after_seconds
    assert 50 <= wait <= 51
    clock.now += wait
    await granted(limits)


async def test_a_long_request_hears_at_once_when_all_of_it_fits(limited: Limited, clock: Clock) -> None:
    limits = limited(HEADROOM_TPM=100)
    await granted(limits, tokens=10)
    clock.now += 30.0
    await granted(limits, tokens=90)
    with pytest.raises(LimitedError) as caught:
        await limits.enter("key:a", "r", 50 * 4 - 4)
    wait = caught.value.retry_after_seconds
    assert 60 <= wait <= 61
    clock.now += wait
    await limits.charge(await limits.enter("key:a", "r", 50 * 4 - 4), Need(50))


async def test_tokens_that_are_given_back_in_time_are_charged_once(limited: Limited, store: Memory) -> None:
    limits = limited(HEADROOM_TPM=100)
    first = await granted(limits, tokens=100)

    class Giving(Memory):
        """Gives the tokens back between two calls."""

        async def acquire(self, claims: Sequence[Claim], *, force: bool = False) -> Acquisition:
            acquired = await store.acquire(claims, force=force)
            if not acquired.granted:
                await store.acquire([Rate("tokens:key:a", -100, 0, 60)], force=True)
            return acquired

    limits._store = Giving(lambda: 0.0)
    given = await limits.enter("key:a", "s", 50 * 4 - 4)
    await limits.charge(given, Need(50))
    assert (first.tokens, given.tokens) == ({"tokens:key:a": 100}, {"tokens:key:a": 50})
    acquired = await store.acquire([Rate("tokens:key:a", 0, 0, 60)], force=True)
    assert acquired.states[0].used == 50


async def test_a_slow_store_is_not_asked_again_and_again_for_a_place(clock: Clock) -> None:
    class Slow(Memory):
        async def acquire(self, claims: Sequence[Claim], *, force: bool = False) -> Acquisition:
            clock.now += 0.099
            return await super().acquire(claims, force=force)

    store = Slow(clock)
    limits = Limits(rules_set(load({"HEADROOM_TOTAL_CONCURRENCY": "1"}).settings), store, unexpected, clock)
    await granted(limits)
    store.calls = 0
    await refused(limits)
    assert store.calls == 2


async def test_what_waits_for_the_store_has_a_bound(
    limited: Limited, store: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[tuple[str, str]] = []
    monkeypatch.setattr("proxy_pkg.limits.limiter.QUEUED_MAX", 3)
    limits = limited(HEADROOM_TPM=100)
    limits._lost = lambda *loss: lost.append(loss)
    for number in range(5):
        limits.settled(Granted(f"key:{number}"), 1)
    assert lost == [("settle", "full")] * 2


async def test_what_is_refused_by_one_limit_counts_for_none(limited: Limited) -> None:
    limits = limited(HEADROOM_RPM=1, HEADROOM_TOTAL_RPM=2)
    await granted(limits, "key:a")
    for _ in range(5):
        await refused(limits, "key:a")
    await granted(limits, "key:b")


async def test_tokens_are_charged_by_estimate_and_settled_by_what_was_told(limited: Limited, store: Memory) -> None:
    limits = limited(HEADROOM_TPM=100)
    given = await granted(limits, tokens=90)
    await refused(limits, tokens=20)
    limits.settled(given, 30)
    await flushed()
    await granted(limits, tokens=70)
    limits.settled(given, 31)  # told again: the difference counts
    await flushed()
    acquired = await store.acquire([Rate("tokens:key:a", 0, 0, 60)], force=True)
    assert acquired.states[0].used == 101


async def test_a_request_longer_than_the_whole_limit_goes_when_nothing_else_did(limited: Limited, clock: Clock) -> None:
    limits = limited(HEADROOM_TPM=100)
    await granted(limits, tokens=1)
    await refused(limits, tokens=5000)
    clock.now += 61
    await granted(limits, tokens=5000)


async def test_an_answer_without_usage_keeps_no_more_than_its_input_and_its_length(limited: Limited) -> None:
    limits = limited(HEADROOM_TPM=100_000)
    need = Need(tokens=32_100, input_tokens=100)
    for number in range(40):  # of which three would fit if each kept what answers may have
        given = await limits.enter("key:a", f"r{number}")
        await limits.charge(given, need)
        limits.unreported(given, 20)
        limits.unreported(given, 20)
        await flushed()
    assert given.tokens and set(given.tokens.values()) == {120}
    assert (await refused(limits, tokens=96_000)).allowances


async def test_a_request_refused_for_its_tokens_gives_its_place_back(limited: Limited) -> None:
    limits = limited(HEADROOM_RPM=2, HEADROOM_TPM=100)
    await granted(limits, tokens=90)
    for _ in range(3):
        assert "tokens" in str(await refused(limits, tokens=50))
        await flushed()
    await granted(limits, tokens=5)


async def test_spent_tokens_refuse_before_a_body_is_read(limited: Limited) -> None:
    limits = limited(HEADROOM_TPM=100)
    limits.settled(await limits.enter("key:a", "r"), 100)
    await flushed()
    with pytest.raises(LimitedError):
        await limits.enter("key:a", "s")


async def test_a_place_is_free_again_when_its_request_ends(limited: Limited) -> None:
    limits = limited(HEADROOM_CALLER_CONCURRENCY=1)
    first = await granted(limits)
    error = await refused(limits)
    assert (error.code, error.retry_after_seconds) == ("concurrency_limited", 1)
    limits.ended(first)
    limits.ended(first)
    await flushed()
    await granted(limits)


async def test_a_place_is_free_again_while_the_store_is_late_to_settle(
    limited: Limited, store: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = limited(HEADROOM_CALLER_CONCURRENCY=1, HEADROOM_TPM=1000)
    acquire, late = store.acquire, asyncio.Event()

    async def settling_late(claims: Sequence[Claim], *, force: bool = False) -> Acquisition:
        if force:
            await late.wait()
        return await acquire(claims, force=force)

    monkeypatch.setattr(store, "acquire", settling_late)
    first = await granted(limits, name="first", tokens=10)
    limits.settled(first, 20, 0)
    await asyncio.sleep(0)
    limits.ended(first)
    await asyncio.sleep(0)
    await granted(limits, name="second")
    late.set()
    await flushed()


async def test_a_request_waits_a_moment_for_a_place(limited: Limited) -> None:
    limits = limited(HEADROOM_TOTAL_CONCURRENCY=1)
    first = await granted(limits)
    second = asyncio.ensure_future(limits.enter("key:b", "s"))
    await asyncio.sleep(0)
    limits.ended(first)
    assert (await second).leases


async def test_a_cancelled_request_leaves_no_place_taken(limited: Limited, store: Memory) -> None:
    limits = limited(HEADROOM_TOTAL_CONCURRENCY=1)
    first = await granted(limits)
    second = asyncio.ensure_future(limits.enter("key:b", "s"))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    limits.ended(first)
    await flushed()
    assert await store.leases("concurrency:all") == []


async def test_money_is_counted_once_where_two_settings_are_for_the_same(limited: Limited) -> None:
    limits = limited(HEADROOM_BUDGET=2, HEADROOM_BUDGET_DAY_USD=1, HEADROOM_CALLER_BUDGET_DAY_USD=1)
    limits.settled(await granted(limits), None, 750_000)
    await flushed()
    rows = {limit["setting"]: limit.get("used") for limit in await limits.section(UNREAD)}
    assert rows == {"HEADROOM_BUDGET_DAY_USD": 0.75, "HEADROOM_CALLER_BUDGET_DAY_USD": None}
    await granted(limits)


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({"HEADROOM_BUDGET_DAY_USD": "1.5"}, 3600),
        ({"HEADROOM_CALLER_BUDGET_DAY_USD": "1.5"}, 3600),
        ({"HEADROOM_BUDGET_MONTH_USD": "1.5"}, 3600),
        ({"HEADROOM_BUDGET": "1.5"}, 3600),
        ({"HEADROOM_BUDGET": "1.5", "HEADROOM_BUDGET_PERIOD": "hourly"}, 3600),
    ],
)
async def test_money_is_spent_until_none_is_left(
    limited: Limited, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], left: int
) -> None:
    monkeypatch.setattr(rules.time, "time", lambda: 1_798_758_000.0)  # 2026-12-31T23:00:00Z
    limits = limited(**settings)
    limits.settled(await granted(limits), None, 1_499_999)
    await flushed()
    limits.settled(await granted(limits), None, 1)
    await flushed()
    error = await refused(limits)
    assert (error.code, error.soon, error.retry_after_seconds) == ("budget_spent", False, left)
    assert "$1.5" in str(error)


async def test_a_store_that_answers_nothing_refuses_nobody(store: Memory) -> None:
    lost: list[tuple[str, str]] = []
    store.failing = StoreError("no", "busy")
    settings = load({"HEADROOM_RPM": "1", "HEADROOM_TPM": "1", "HEADROOM_CALLER_CONCURRENCY": "1"}).settings

    def rows(operation: str, reason: str) -> None:
        lost.append((operation, reason))

    limits = Limits(rules_set(settings), Fallback(store, None, 1, rows), rows)
    for number in range(3):
        given = await granted(limits, name=str(number), tokens=9)
        limits.settled(given, 5)
        limits.ended(given)
    await limits.close()
    assert ("acquire", "busy") in lost
    assert ("release", "busy") in lost


async def answer(api: Api, error: LimitedError) -> tuple[dict[bytes, bytes], Any]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await send_failure(send, api.errors, failure_of(error), "hr_1")
    return dict(sent[0]["headers"]), msgspec.json.decode(sent[1]["body"])


async def test_a_refusal_reads_as_the_api_words_it(limited: Limited) -> None:
    limits = limited(HEADROOM_RPM=1, HEADROOM_TOTAL_RPM=5, HEADROOM_TPM=1000)
    await granted(limits, tokens=10)
    error = await refused(limits)

    headers, body = await answer(anthropic.API, error)
    assert body["error"]["type"] == "rate_limit_error"
    assert headers[b"anthropic-ratelimit-requests-limit"] == b"1"
    assert headers[b"anthropic-ratelimit-requests-remaining"] == b"0"
    assert headers[b"anthropic-ratelimit-requests-reset"].endswith(b"Z")
    assert headers[b"anthropic-ratelimit-tokens-remaining"] == b"990"
    assert headers[b"retry-after"] in (b"60", b"61")
    assert headers[b"x-headroom-error"] == b"rate_limited"

    headers, body = await answer(openai.API, error)
    assert body["error"]["code"] == "headroom_rate_limited"
    assert headers[b"x-ratelimit-limit-requests"] == b"1"
    assert headers[b"x-ratelimit-reset-requests"] in (b"1m0s", b"1m1s")
    assert headers[b"x-ratelimit-limit-tokens"] == b"1000"

    headers, body = await answer(gemini.API, error)
    assert body["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert body["error"]["details"][0]["retryDelay"] == headers[b"retry-after"].decode() + "s"
    assert headers[b"ratelimit-limit"] == b"1"


async def test_a_spent_budget_asks_clients_not_to_try_again(limited: Limited) -> None:
    limits = limited(HEADROOM_BUDGET="0.000001")
    limits.settled(await granted(limits), None, 1)
    await flushed()
    headers, _ = await answer(anthropic.API, await refused(limits))
    assert headers[b"x-should-retry"] == b"false"


async def test_a_request_whose_body_comes_takes_its_place_when_it_is_here(limited: Limited) -> None:
    limits = limited(HEADROOM_TOTAL_CONCURRENCY=1, HEADROOM_RPM=5)
    coming = [await limits.enter("key:a", f"coming {number}", body_comes=True) for number in range(3)]
    here = await granted(limits, name="here")
    with pytest.raises(LimitedError) as caught:
        await limits.occupy(coming[0])
    assert caught.value.code == "concurrency_limited"
    assert [(one.kind, one.limit) for one in caught.value.allowances] == [("requests", 5)], "told as at its beginning"
    limits.ended(coming[0])
    limits.ended(here)
    await flushed()
    await limits.occupy(coming[1])
    await limits.occupy(coming[1])
    assert (await refused(limits)).allowances[0].remaining == 2, "what was refused counts for nothing"
    limits.ended(coming[1])
    await flushed()
    await granted(limits, name="next")
