"""Several real servers with one real Redis are one server: what was sent, what was counted, and through failovers."""

import asyncio
import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
import redis as redis_client

from bench.compression_laws import rules
from bench.compression_price import broken_prefixes
from bench.processes import Server
from proxy_pkg.planning.offload import Planner
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.store.decision_table import DecisionTable
from proxy_pkg.store.fleet_decisions import name_of
from proxy_pkg.tokens.count import load
from tests.fakes.client import Answer, ask
from tests.fakes.scripts import reply
from tests.fakes.upstream import Upstream
from tests.planning.test_prefix_law import results
from tests.store.servers import RedisServer
from tests.system.patience import eventually, stats

Start = Callable[..., Server]
TURNS, RESULTS = 16, 8
PREFIX = "a-fleet:"
BODY = b'{"model":"claude-test","messages":[]}'


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.stop()


def settings(redis: RedisServer, **more: str) -> dict[str, str]:
    """A timeout that a busy machine does not reach."""
    return {
        "HEADROOM_REDIS_URL": redis.url,
        "HEADROOM_REDIS_TIMEOUT_MS": "2000",
        "HEADROOM_REDIS_KEY_PREFIX": PREFIX,
    } | more


def asked(server: Server, body: bytes = BODY) -> Answer:
    return ask(server.port, "POST", "/v1/messages", ((b"x-api-key", b"k"),), body)


def end(server: Server) -> None:
    for pid in (server.master_pid, *server.worker_pids):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: server.process.poll() is not None)


class Noted(DecisionTable):
    """Marks that remember the keys of all that were made."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: set[int] = set()

    def first(self, key: int, way: int) -> int:
        self.keys.add(key)
        return super().first(key, way)


async def marked(bodies: Sequence[bytes]) -> list[set[str]]:
    """Of each turn, the names of the marks that there are in Redis when everything was told: a text that can be made
    shorter has one, whether there was time for it or not.
    """
    marks, found = Noted(), []
    planner = Planner(rules(), load(), 16 << 20, 60_000, marks)
    assert MESSAGES.conversation is not None
    for body in bodies:
        await planner.plan(body, MESSAGES.conversation)
        found.append({f"{PREFIX}value:{name_of(key)}" for key in marks.keys})
    planner.close()
    return found


def conversation(seed: int) -> Iterator[bytes]:
    """The body of each turn: some tool calls and their results longer than the one before."""
    outputs, messages = results(random.Random(seed)), list[bytes]()
    for turn in range(TURNS):
        calls, answers = [], []
        for number, (name, arguments, text) in zip(range(RESULTS), outputs, strict=False):
            call = f"toolu_01{turn:02}Zq7vX3mK9w2b{number:02}"
            calls.append({"type": "tool_use", "id": call, "name": name, "input": arguments})
            answers.append({"type": "tool_result", "tool_use_id": call, "content": text})
        messages.append(msgspec.json.encode({"role": "assistant", "content": calls}))
        messages.append(msgspec.json.encode({"role": "user", "content": answers}))
        yield b'{"model":"m","messages":[' + b",".join(messages) + b"]}"


def left_alone(server: Server) -> int:
    """Texts that there was no time for."""
    return int(stats(server)["spans"]["kept_reasons"].get("deadline", 0))


def test_a_conversation_may_go_to_any_server_with_each_turn(
    server: Start, upstream: Upstream, redis: RedisServer, tmp_path: Path
) -> None:
    """One server mostly has no time to compress, and one comes back with nothing but what Redis knows."""
    upstream.answer = lambda _: reply()
    late = {"HEADROOM_COMPRESSION_DEADLINE_MS": "1"}
    servers = [server(**settings(redis, **late)), server(**settings(redis))]
    turns, chooser, told = list(conversation(5)), random.Random(5), redis_client.Redis(port=redis.port)
    for turn, (body, names) in enumerate(zip(turns, asyncio.run(marked(turns)), strict=True)):
        assert asked(chooser.choice(servers), body).status == 200
        eventually(lambda: told.exists(*names) == len(names))  # noqa: B023 (asked before the next turn)
        if turn == TURNS // 2:
            end(servers[1])
            servers[1] = server(**settings(redis, HEADROOM_STATE_DIR=str(tmp_path / "another")))
    bodies = [request.body for request in upstream.requests]
    assert len(bodies) == TURNS
    assert broken_prefixes(bodies) == []
    assert left_alone(servers[0]) > 0
    assert all(stats(each)["tokens"]["saved"] > 0 for each in servers)


def scraped(server: Server) -> dict[str, int]:
    """The sums of all servers in `/metrics`."""
    lines = ask(server.port, "GET", "/metrics").body.decode().splitlines()
    samples = [line.removeprefix('proxy_fleet_total{figure="') for line in lines]
    pairs = [line.split('"} ') for line in samples if '"} ' in line and "{" not in line]
    return {name: int(float(value)) for name, value in pairs}


def test_the_totals_of_all_servers_stay_when_one_is_killed(
    server: Start, upstream: Upstream, redis: RedisServer
) -> None:
    upstream.answer = lambda _: reply()
    servers = [server(**settings(redis)) for _ in range(2)]
    for number, each in enumerate(servers):
        assert [asked(each).status for _ in range(3 + 4 * number)] == [200] * (3 + 4 * number)
    eventually(lambda: [stats(each)["fleet"]["requests"] for each in servers] == [10, 10])
    shown = [stats(each)["fleet"] for each in servers]
    assert [each["servers_live"] for each in shown] == [2, 2]
    assert {each["response_body_bytes"] for each in shown} == {shown[0]["response_body_bytes"]}
    assert scraped(servers[0])["requests"] == scraped(servers[1])["requests"] == 10
    end(servers[1])
    assert asked(servers[0]).status == 200
    eventually(lambda: stats(servers[0])["fleet"]["requests"] == scraped(servers[0])["requests"] == 11)
    redis.stop()
    eventually(lambda: not scraped(servers[0]))
    told = stats(servers[0])["fleet"]
    assert (told["requests"], told["scope"]) == (11, "last known")
