"""Accounts: each answer once, with its usage, price and saving, whatever is missing."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from math import log
from typing import Any

import pytest

from proxy_pkg.billing.accounts import Accounts, Answer, tells_usage
from proxy_pkg.billing.usage import Copy, Usage
from proxy_pkg.prices.table import load
from proxy_pkg.protocols import gemini, openai_chat
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.protocols.grammar import Protocol
from proxy_pkg.protocols.table import match
from proxy_pkg.stats.catalogue import METRICS
from proxy_pkg.stats.counters import Counters, private_counters
from proxy_pkg.stats.snapshot import Reading, read_server
from proxy_pkg.stats.summary import stats_dict
from proxy_pkg.store.turns import Turns
from tests.fakes.tokens import FourCharacters

USAGE = {"input_tokens": 100, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 10}
ARM_SUMS = METRICS["proxy_holdout_sums_total"]
OPENING = b"o" * 16


class Place:
    """Accounts, and what they have counted."""

    def __init__(self) -> None:
        self.counters: Counters = private_counters()
        self.accounts = Accounts(self.counters, load(), Turns(), FourCharacters(), 300)

    def settle(self, body: Any, coding: str = "", protocol: Protocol = MESSAGES, **rest: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        copy = Copy(coding)
        copy.parts.append(gzip.compress(data) if coding == "gzip" else data)
        given: dict[str, Any] = {"protocol": protocol, "copy": copy, "sent": b"", "headers": []} | rest
        self.accounts.settle(Answer(**given))

    async def stats(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while self.accounts.is_busy:
                await asyncio.sleep(0.001)
        with self.counters.buffer as own:
            reading: Reading = read_server("", own)
        return stats_dict(reading, 0)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    yield place
    await place.accounts.close()
    place.counters.close()


async def test_an_answer_is_priced_by_the_first_of_its_names_that_has_a_price(place: Place) -> None:
    place.settle({"model": "claude-haiku-4-5", "usage": USAGE}, model="my-deployment")
    told = await place.stats()
    assert told["usage"]["by_model"] == {
        "claude-haiku-4-5": {"input": 100, "cache_read": 0, "cache_write": 0, "output": 10}
    }
    assert told["money"]["cost_usd"] == pytest.approx((100 * 1 + 10 * 5) / 1e6)


@pytest.mark.parametrize(
    ("answer", "asked", "paid"),
    [
        ({"model": "claude-opus-4-8", "usage": USAGE}, "claude-fable-5", "claude-opus-4-8"),  # a fallback
        ({"model": "claude-haiku-4-5-20251001", "usage": USAGE}, "claude-haiku-4-5", "claude-haiku-4-5"),
        ({"content": [{"input": {"model": "gpt-5"}}], "usage": USAGE}, "claude-haiku-4-5", "claude-haiku-4-5"),
        ({"model": "house-name", "usage": USAGE}, "claude-haiku-4-5", "claude-haiku-4-5"),
    ],
)
async def test_the_model_that_answered_is_paid(place: Place, answer: Any, asked: str, paid: str) -> None:
    place.settle(answer, model=asked)
    told = await place.stats()
    price = load().of(paid)
    assert price is not None
    assert list(told["usage"]["by_model"]) == [paid]
    assert told["money"]["cost_usd"] == pytest.approx((100 * price.input + 10 * price.output) / 1e6)


async def test_what_has_no_price_is_counted_as_that_and_costs_nothing(place: Place) -> None:
    place.settle({"model": "mystery", "usage": USAGE})
    place.settle({"usage": USAGE})
    place.settle({"model": "bad name", "usage": USAGE})
    told = await place.stats()
    assert told["money"]["requests_without_price"] == {"mystery": 1, "unknown": 1, "other": 1}
    assert told["money"]["cost_usd"] == 0
    assert told["usage"]["requests"] == 3


async def test_whoever_asked_is_told(place: Place) -> None:
    heard: list[tuple[Usage | None, int]] = []
    place.settle({"usage": USAGE}, model="claude-haiku-4-5", told=lambda *given: heard.append(given))
    place.settle({}, told=lambda *given: heard.append(given))
    await place.stats()
    assert heard == [(Usage(100, 0, 0, 10), 150), (None, 0)]


async def test_missing_usage_has_its_reason(place: Place) -> None:
    place.settle({}, protocol=openai_chat.CHAT)
    place.settle(b'{"cut', protocol=gemini.GENERATE, complete=False)
    place.settle(b"no gzip", coding="br")
    assert (await place.stats())["usage"]["missing"] == {
        "anthropic_messages": {"unreadable": 1},
        "gemini_generate": {"truncated": 1},
        "openai_chat": {"absent": 1},
    }


async def test_a_cut_answer_counts_as_far_as_it_told(place: Place) -> None:
    place.settle(b"data: " + json.dumps({"usage": USAGE}).encode() + b"\n\ndata: {", complete=False)
    assert ((await place.stats())["usage"]["incomplete"], (await place.stats())["usage"]["tokens"]["input"]) == (1, 100)


async def test_long_coded_answers_are_read_elsewhere(place: Place) -> None:
    filling = "".join(chr(33 + (number * number * 31 + number // 7) % 90) for number in range(60_000))
    place.settle({"text": filling, "usage": USAGE}, coding="gzip")
    assert (await place.stats())["usage"]["tokens"]["input"] == 100


async def test_callers_models_and_openings_do_not_share_their_past(place: Place) -> None:
    """Each of these has no past of its own, so a miss of the cache is nobody's fault."""
    body = {"usage": USAGE | {"cache_creation_input_tokens": 10_000}}
    for opening in (b"a" * 16, b"b" * 16):
        for caller in (b"k1", b"k2"):
            for model in ("claude-haiku-4-5", "claude-sonnet-4-5"):
                place.settle(body, model=model, opening=opening, headers=[(b"x-api-key", caller)], saved=1000)
    assert (await place.stats())["money"]["net_loss_usd"] == 0
    place.settle(body, model="claude-haiku-4-5", opening=b"a" * 16, headers=[(b"x-api-key", b"k1")], saved=1000)
    assert (await place.stats())["money"]["net_loss_usd"] > 0


async def test_arms_are_summed_by_conversation(place: Place) -> None:
    for opening, turns in ((b"a" * 16, 3), (b"b" * 16, 2)):
        for _ in range(turns):
            place.settle(
                {"usage": USAGE | {"input_tokens": 100_000}}, model="claude-haiku-4-5", opening=opening, arm="held_out"
            )
    arm = (await place.stats())["money"]["hold_out"]["arms"]["held_out"]
    assert (arm["conversations"], arm["requests"]) == (2, 5)
    assert arm["cost_usd"] == pytest.approx(5 * 0.10005, abs=1e-3)
    assert arm["cost_usd_per_million_input_tokens"] == pytest.approx(1.0, rel=0.01)
    with place.counters.buffer as own:
        sums = {names[1]: cells[0] for names, cells in read_server("", own).of(ARM_SUMS).items()}
    mean = log(100_050 / 100_000)  # of both, whatever their lengths
    assert (sums["log_rise"] - sums["log_fall"]) / 1e6 == pytest.approx(2 * mean, abs=1e-5)
    assert (sums["square_rise"] - sums["square_fall"]) / 1e6 == pytest.approx(2 * mean**2, abs=1e-5)


async def test_a_calibrated_model_corrects_the_saving(place: Place) -> None:
    body = json.dumps({"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "abcd" * 1000}]}).encode()
    for _ in range(4):
        place.settle({"usage": USAGE | {"input_tokens": 2020}}, sent=body, model="claude-haiku-4-5")
    calibration = (await place.stats())["money"]["calibration"]["by_model"]["claude-haiku-4-5"]
    assert calibration["samples"] == 4
    assert calibration["deviation"] == pytest.approx(0, abs=0.01)
    assert calibration["factor"] == pytest.approx(2.0, rel=0.02)
    place.settle({"usage": USAGE}, model="claude-haiku-4-5", saved=1_000_000)
    assert (await place.stats())["money"]["gross_saving_usd"] == pytest.approx(2.0, rel=0.02)


async def test_one_that_fails_takes_no_other_with_it(place: Place) -> None:
    def fails(*_: object) -> None:
        raise ValueError("not an answer's fault")

    noticed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noticed.append(context["exception"]))
    for told in (None, fails, None, fails, None):
        place.settle({"usage": USAGE}, model="claude-haiku-4-5", told=told)
    assert (await place.stats())["usage"]["requests"] == 5
    assert len(noticed) == 2


async def test_what_was_gathered_when_a_worker_ends_is_counted(place: Place) -> None:
    place.settle({"usage": USAGE}, model="claude-haiku-4-5")
    await place.accounts.close()
    assert (await place.stats())["usage"]["requests"] == 1


async def test_closed_accounts_take_what_comes_and_raise_nothing() -> None:
    place = Place()
    await place.accounts.close()
    place.counters.close()
    place.settle({"usage": USAGE}, sent=b'{"model":"claude-haiku-4-5"}')
    place.settle(b"x" * 60_000, coding="br")


@pytest.mark.parametrize(
    ("path", "status", "tells"),
    [
        ("/v1/messages", 200, True),
        ("/v1/messages", 429, False),
        ("/v1/messages/count_tokens", 200, False),
        ("/v1/responses/input_tokens", 200, False),
        ("/v1beta/models/gemini-3-pro:generateContent", 200, True),
        ("/v1beta/models/gemini-3-pro:countTokens", 200, False),
        ("/v1/files", 200, False),
    ],
)
def test_only_answers_of_models_are_asked_for_usage(path: str, status: int, tells: bool) -> None:
    matched = match("POST", path, ())
    assert matched is not None
    assert tells_usage(matched, path, status) == tells
