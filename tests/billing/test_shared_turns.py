"""A conversation that goes from server to server is accounted for as on one."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy_pkg.billing.accounts import Accounts, Answer
from proxy_pkg.billing.shared_turns import SharedTurns
from proxy_pkg.billing.usage import Copy
from proxy_pkg.limits.callers import Callers
from proxy_pkg.prices.table import load
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.stats.counters import private_counters
from proxy_pkg.stats.snapshot import read_server
from proxy_pkg.store.contract import StoreError
from proxy_pkg.store.fallback import Fallback
from proxy_pkg.store.turns import Turn, Turns, packed, unpacked
from tests.fakes.tokens import FourCharacters
from tests.store.memory import Memory

OPENING = b"o" * 16
AWAY = StoreError("it is away", "unreachable")


class Server:
    """The accounts of one server, with a state of its own and the fleet's store."""

    def __init__(self, fleet: Memory, callers: Callers) -> None:
        self.counters = private_counters()
        self.store = Fallback(Memory(time.monotonic), fleet, 1, lambda *_: None)
        turns = Turns()
        shared = SharedTurns(turns, self.store, callers.digest)
        self.accounts = Accounts(self.counters, load(), turns, FourCharacters(), 300, shared)

    async def answers(self, input_tokens: int, opening: bytes = OPENING) -> None:
        """One turn of a conversation, told to the others before it ends."""
        copy = Copy()
        usage = {"input_tokens": input_tokens, "output_tokens": 1}
        copy.parts.append(json.dumps({"model": "claude-haiku-4-5", "usage": usage}).encode())
        self.accounts.settle(
            Answer(MESSAGES, copy, b"", [(b"x-api-key", b"k")], "claude-haiku-4-5", opening, "compressed", 10)
        )
        async with asyncio.timeout(10):
            while self.accounts.is_busy:
                await asyncio.sleep(0.001)

    def sums(self) -> dict[str, int]:
        with self.counters.buffer as own:
            series = read_server("", own).series.get("proxy_holdout_sums_total", {})
        return {labels[-1]: cells[0] for labels, cells in series.items()}


@pytest.fixture
def fleet() -> Memory:
    return Memory(time.monotonic)


@pytest.fixture
async def servers(fleet: Memory) -> AsyncIterator[list[Server]]:
    callers = Callers()
    made = [Server(fleet, callers) for _ in range(2)]
    yield made
    for server in made:
        await server.accounts.close()
        server.counters.close()


def total(servers: list[Server]) -> dict[str, int]:
    added: dict[str, int] = {}
    for server in servers:
        for name, count in server.sums().items():
            added[name] = added.get(name, 0) + count
    return added


async def test_a_conversation_that_moves_counts_once(servers: list[Server], fleet: Memory) -> None:
    alone = Server(Memory(time.monotonic), Callers())
    for turn in range(6):
        await servers[turn % 2].answers(1000 * (turn + 1))
        await alone.answers(1000 * (turn + 1))
    assert total(servers) == total([alone])
    assert total(servers)["conversations"] == 1
    await alone.accounts.close()
    alone.counters.close()


async def test_other_conversations_are_others(servers: list[Server]) -> None:
    await servers[0].answers(1000)
    await servers[1].answers(1000, b"p" * 16)
    assert total(servers)["conversations"] == 2


async def test_without_the_fleets_store_each_goes_on_with_what_it_knows(servers: list[Server], fleet: Memory) -> None:
    await servers[0].answers(1000)
    fleet.failing = AWAY
    await servers[0].answers(2000)
    await servers[0].answers(3000)
    assert total(servers)["conversations"] == 1
    fleet.failing = None
    await servers[0].answers(4000)
    await servers[1].answers(5000)
    assert total(servers) | {"requests": 5, "conversations": 1} == total(servers)


async def test_what_is_told_names_nobody(servers: list[Server], fleet: Memory) -> None:
    await servers[0].answers(1000)
    turn_found: Any = repr(vars(fleet))
    assert "turn/" in turn_found
    assert OPENING.decode() not in turn_found
    assert "x-api-key" not in turn_found


def test_a_turn_is_read_as_it_was_packed_and_nothing_else_is() -> None:
    turn = Turn(1_700_000_000, 5, 4, 3, 2, 1)
    assert unpacked(packed(turn)) == turn
    assert unpacked(b"other") is None
    assert unpacked(packed(Turn(-1, 1 << 40, 0, 0))) == Turn(0, (1 << 32) - 1, 0, 0)
