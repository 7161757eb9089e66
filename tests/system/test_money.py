"""What answers tell of their cost is counted, and what compression changed about it may come out negative."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from bench.processes import Server
from proxy_pkg.billing.holdout import HELD_OUT, HoldOut
from proxy_pkg.prices.table import load as load_prices
from tests.fakes.client import Caller, ask
from tests.fakes.exchange import Request
from tests.fakes.scripts import JSON, Script, reply
from tests.fakes.upstream import Upstream
from tests.system.conftest import Start
from tests.system.patience import eventually, stats

PATH = "/v1/messages"
MODEL = "claude-sonnet-4-5"
PRICES = {"input": 3.0, "cache_read": 0.3, "cache_write": 3.75, "output": 15.0}
OUTPUT = 50
HEADERS = [(b"content-type", b"application/json"), (b"x-api-key", b"sk-test"), (b"x-session", b"one for all")]


def listing(number: int) -> str:
    return "\n".join(f"{n:6}→    total_{n % 7} = read_part({n}, {number}) + {n}" for n in range(1, 200))


def conversation(turns: int, name: str = "A1b2c3d4e5f6") -> bytes:
    """What an agent sends on its turn number `turns`: its system prompt has another line each time."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Read all files."}]
    for number in range(1, turns):
        call = {"type": "tool_use", "id": f"toolu_{name}{number:04}", "name": "Read", "input": {"file_path": "a"}}
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": listing(number)}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    system = [
        {"type": "text", "text": f"x-anthropic-billing-header: cch={turns:05x};"},
        {"type": "text", "text": "Be."},
    ]
    return json.dumps({"model": MODEL, "max_tokens": 9, "system": system, "messages": messages}).encode()


def usage_answer(read: int, write: int) -> Script:
    usage = {
        "input_tokens": 4,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": write,
        "output_tokens": OUTPUT,
    }
    body = {"type": "message", "model": MODEL, "content": [], "usage": usage}
    return reply(json.dumps(body).encode(), headers=JSON)


class Cache:
    """Answers with the usage that a provider would tell that caches every body up to its end, or never finds it."""

    def __init__(self, *, works: bool) -> None:
        self.works = works
        self.held: dict[str, int] = {}

    def __call__(self, request: Request) -> Script:
        messages = json.loads(request.body)["messages"]
        key = messages[1]["content"][0]["id"] if len(messages) > 1 else ""
        tokens = len(json.dumps(messages)) // 4
        read = self.held.get(key, 0) if self.works else 0
        self.held[key] = tokens
        return usage_answer(read, tokens - read)


def talk(server: Server, turns: int, name: str = "A1b2c3d4e5f6") -> list[str]:
    """A whole conversation, over as many connections as turns, each turn once the last one is accounted for, since
    models take longer to answer than that; the decision on each.
    """
    decisions = []
    before = stats(server)["usage"]["requests"]
    for turn in range(1, turns + 1):
        answer = ask(server.port, "POST", PATH, HEADERS, conversation(turn, name))
        assert answer.status == 200
        decisions.append(answer.header("x-headroom-decision").partition(";")[0])
        money_after(server, before + turn)
    return decisions


def recent(server: Server) -> list[dict[str, Any]]:
    """The notes of the last requests that were answered by the upstream."""
    notes = json.loads(ask(server.port, "GET", "/stats/recent").body)["recent"]
    return [note for note in notes if note["protocol"] == "anthropic_messages"]


def money_after(server: Server, requests: int) -> dict[str, Any]:
    """The section of the stats once so many answers are accounted for."""
    eventually(lambda: stats(server)["usage"]["requests"] == requests)
    money: dict[str, Any] = stats(server)["money"]
    return money


def test_a_conversation_that_keeps_its_cache_saves(server: Start, upstream: Upstream) -> None:
    upstream.answer = Cache(works=True)
    running = server()
    decisions = talk(running, 6)
    assert decisions[1:] == ["rewritten"] * 5
    money = money_after(running, 6)
    assert 0 < money["net_saving_usd"] < money["gross_saving_usd"]
    assert money["net_loss_usd"] == 0
    told = stats(running)["usage"]["by_model"][MODEL]
    assert told["output"] == 6 * OUTPUT
    cost = sum(told[kind] * price for kind, price in PRICES.items()) / 1e6
    assert money["cost_usd"] == pytest.approx(cost, abs=1e-5)


def test_a_conversation_that_compression_harms_has_a_negative_net(server: Start, upstream: Upstream) -> None:
    upstream.answer = Cache(works=False)
    running = server()
    turns = 6
    talk(running, turns)
    money = money_after(running, turns)
    assert money["gross_saving_usd"] > 0
    assert money["net_saving_usd"] < 0
    assert money["net_saving_usd"] == pytest.approx(money["net_gain_usd"] - money["net_loss_usd"], abs=1e-6)
    eventually(lambda: sum(bool(each["usage"]) for each in recent(running)) == turns)  # both workers tell theirs
    each_net = [each["usage"]["net_saving_usd"] for each in recent(running)]
    assert min(each_net) < 0
    assert sum(each_net) == pytest.approx(money["net_saving_usd"], abs=1e-5)


def test_subagents_of_one_session_share_nothing(server: Start, upstream: Upstream) -> None:
    """With equal prompts and headers, the turns of 40 conversations go to and fro, and each keeps to its own past."""
    upstream.answer = Cache(works=True)
    running = server()
    names = [f"S{number:02}x0a1b2c3d4e5" for number in range(40)]
    with Caller(running.port) as caller:
        for turn in (2, 3, 4):
            for number, name in enumerate(names):
                # Each is longer by another number of turns, so that the past of another one would be a miss.
                body = conversation(turn + number % 5, name)
                assert caller.ask("POST", PATH, HEADERS, body).status == 200
    money = money_after(running, 120)
    assert money["net_loss_usd"] == 0
    assert money["net_saving_usd"] > 0


def test_a_conversation_is_held_out_whole_or_not_at_all(server: Start, upstream: Upstream) -> None:
    upstream.answer = Cache(works=True)
    running = server(HEADROOM_HOLDOUT="0.5")
    decisions = {name: talk(running, 4, name) for name in (f"H{number:02}x0a1b2c3d4e5" for number in range(16))}
    assert {tuple(told[1:]) for told in decisions.values()} == {("rewritten",) * 3, ("passthrough",) * 3}
    held_out = sum(told[1] == "passthrough" for told in decisions.values())
    comparison = money_after(running, 64)["hold_out"]
    assert comparison["arms"]["held_out"]["conversations"] == held_out
    assert comparison["arms"]["compressed"]["conversations"] == 16 - held_out
    assert comparison["arms"]["held_out"]["requests"] == 3 * held_out
    assert comparison["result"].startswith("not enough data")
    assert stats(running)["bodies"]["reasons"]["passthrough"][HELD_OUT] == 3 * held_out
    untouched = [request.body for request in upstream.requests]
    sent = [conversation(turn, name) for name in decisions for turn in (2, 3, 4) if decisions[name][1] == "passthrough"]
    assert all(body in untouched for body in sent)


def test_what_has_no_usage_or_price_is_said(server: Start, upstream: Upstream) -> None:
    upstream.play(reply(b'{"choices": []}', headers=JSON), path="/v1/chat")
    upstream.play(usage_answer(0, 10), path=PATH)
    running = server()
    ask(running.port, "POST", "/v1/chat/completions", (), b'{"model":"gpt-5","messages":[],"stream":true}')
    ask(running.port, "POST", PATH, (), b'{"model":"mystery","messages":[]}')
    eventually(lambda: stats(running)["usage"]["requests"] == 1)
    told = stats(running)
    assert told["usage"]["missing"] == {"openai_chat": {"absent": 1}}
    assert told["money"]["cost_usd"] > 0  # the answer named a model that has a price
    assert told["money"]["prices"] == [{"source": "shipped", "as_of": load_prices().as_of}]
    assert upstream.requests[0].body == b'{"model":"gpt-5","messages":[],"stream":true}'


def test_the_arm_is_a_pure_function_of_opening_and_share() -> None:
    openings = [bytes([n, m]) * 8 for n in range(40) for m in range(50)]
    shares = [HoldOut(share) for share in (0.0, 0.1, 0.5, 1.0)]
    held: Sequence[set[bytes]] = [{each for each in openings if hold.arm(each) == HELD_OUT} for hold in shares]
    assert (len(held[0]), len(held[3])) == (0, len(openings))
    assert 0.07 < len(held[1]) / len(openings) < 0.13
    assert all(fewer < more for fewer, more in pairwise(held))
    assert HoldOut(0.0).arm(openings[0]) == HoldOut(1.0).arm(b"") == ""
