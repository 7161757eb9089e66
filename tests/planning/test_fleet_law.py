"""Several servers with one store send what one server would: each request begins like the one before it, wherever that
went.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from time import monotonic

import pytest

from bench.compression_price import broken_prefixes
from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.policy import Rules
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.store.contract import StoreError
from proxy_pkg.store.decision_table import DecisionTable
from proxy_pkg.store.fallback import Fallback
from proxy_pkg.store.fleet_decisions import FleetDecisions
from proxy_pkg.wire.splice import splice
from tests.fakes.tokens import FourCharacters
from tests.planning.test_prefix_law import requests
from tests.store.memory import Memory

TURNS = 36
LATE_MS, IN_TIME_MS = -1, 60_000


class Server:
    """Two workers, which share marks; they have a deadline each."""

    def __init__(self, shared: Memory, losses: Counter[tuple[str, str]], deadlines_ms: tuple[int, int]) -> None:
        marks, asked = DecisionTable(), DecisionTable()
        lost: Callable[[str, str], None] = lambda *loss: losses.update([loss])  # noqa: E731
        self.ways = [FleetDecisions(marks, asked, Fallback(Memory(monotonic), shared, 2, lost), lost) for _ in range(2)]
        self.workers = [
            Planner(Rules(5, 1 << 20), FourCharacters(), 16 << 20, deadline_ms, ways, fleet=ways)
            for deadline_ms, ways in zip(deadlines_ms, self.ways, strict=True)
        ]

    async def answer(self, body: bytes, chooser: random.Random, reasons: Counter[str]) -> bytes:
        assert MESSAGES.conversation is not None
        plan = await chooser.choice(self.workers).plan(body, MESSAGES.conversation)
        reasons.update(verdict.compressor or verdict.reason for verdict in plan.verdicts)
        while any(ways.waiting for ways in self.ways):  # an upstream takes longer
            await asyncio.sleep(0)
        return splice(body, plan.replacements)

    async def close(self) -> None:
        for worker, ways in zip(self.workers, self.ways, strict=True):
            worker.close()
            await ways.close()


def conversations(seed: int, count: int) -> list[list[bytes]]:
    """Conversations with the same outputs of tools, told apart by the names of their calls alone."""
    bodies = requests(seed)[:TURNS]
    name = "toolu_01{}Zq7vX3mK9w2b5N8c1"
    return [
        [body.replace(b"toolu_", name.format(chr(97 + number)).encode()) for body in bodies] for number in range(count)
    ]


@pytest.mark.parametrize("seed", [1, 2])
async def test_each_request_begins_like_the_one_before_it_on_whatever_server(seed: int) -> None:
    chooser, shared = random.Random(seed), Memory(monotonic)
    losses: Counter[tuple[str, str]] = Counter()
    reasons: Counter[str] = Counter()
    servers = [Server(shared, losses, (LATE_MS, LATE_MS)), Server(shared, losses, (IN_TIME_MS, LATE_MS))]
    talks = conversations(seed, 3)
    sent: list[list[bytes]] = [[] for _ in talks]
    for turn in range(TURNS):
        for talk, upstream in zip(talks, sent, strict=True):
            if chooser.random() < 0.08:  # one server comes back with nothing
                lost = chooser.randrange(2)
                await servers[lost].close()
                servers[lost] = Server(shared, losses, (IN_TIME_MS, chooser.choice((LATE_MS, IN_TIME_MS))))
            upstream.append(await chooser.choice(servers).answer(talk[turn], chooser, reasons))
    for server in servers:
        await server.close()
    assert [broken_prefixes(upstream) for upstream in sent] == [[], [], []]
    assert not losses
    assert all(name in " ".join(reasons) for name in ("deadline", "numbered", "reference"))


async def test_a_turn_with_nothing_new_but_its_newest_message_asks_nothing() -> None:
    shared, losses, reasons = Memory(monotonic), Counter[tuple[str, str]](), Counter[str]()
    server, chooser = Server(shared, losses, (IN_TIME_MS, IN_TIME_MS)), random.Random(3)
    asked: list[int] = []
    learn = shared.get_many

    async def counted(keys: list[str], renew_s: int = 0) -> dict[str, bytes]:
        asked.append(len(keys))
        return await learn(keys, renew_s)

    shared.get_many = counted  # type: ignore[method-assign, assignment]
    bodies = conversations(3, 1)[0]
    for body in bodies:
        await server.answer(body, chooser, reasons)
    assert asked == []
    other = Server(shared, losses, (IN_TIME_MS, IN_TIME_MS))
    await other.answer(bodies[-1], chooser, reasons)
    await other.answer(bodies[-1], chooser, reasons)
    assert len(asked) == 1
    for each in (server, other):
        await each.close()


async def test_without_the_store_requests_go_on() -> None:
    shared, losses = Memory(monotonic), Counter[tuple[str, str]]()
    shared.failing = StoreError("out of reach", "open")
    servers = [Server(shared, losses, (IN_TIME_MS, IN_TIME_MS)) for _ in range(2)]
    assert MESSAGES.conversation is not None
    bodies = conversations(4, 1)[0]
    upstream = []
    for turn, body in enumerate(bodies):
        plan = await servers[turn % 2].workers[0].plan(body, MESSAGES.conversation)
        upstream.append(splice(body, plan.replacements))
    assert broken_prefixes(upstream) == []  # all had time, and decide the same by themselves
    assert losses["get_many", "open"]
    for server in servers:
        await server.close()
