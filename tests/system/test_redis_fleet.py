"""Several real servers with one real Redis are one server: what was sent, what was counted, and through failovers."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis as redis_client

from bench.compression_price import broken_prefixes
from bench.processes import Server
from tests.fakes.client import Answer, ask
from tests.fakes.scripts import reply
from tests.fakes.upstream import Upstream
from tests.planning.test_prefix_law import results
from tests.store.servers import RedisServer
from tests.system.patience import eventually, stats

Start = Callable[..., Server]
TURNS, RESULTS = 16, 8
BODY = b'{"model":"claude-test","messages":[]}'


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.stop()


def settings(redis: RedisServer, **more: str) -> dict[str, str]:
    """A timeout that a busy machine does not reach."""
    return {"HEADROOM_REDIS_URL": redis.url, "HEADROOM_REDIS_TIMEOUT_MS": "2000"} | more


def asked(server: Server, body: bytes = BODY) -> Answer:
    return ask(server.port, "POST", "/v1/messages", ((b"x-api-key", b"k"),), body)


def end(server: Server) -> None:
    for pid in (server.master_pid, *server.worker_pids):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: server.process.poll() is not None)


class Told:
    """Whether the servers have told Redis what they had to: it was asked for nothing between two looks."""

    def __init__(self, redis: RedisServer) -> None:
        self._client = redis_client.Redis(port=redis.port)
        self._seen = -1

    def __call__(self) -> bool:
        calls: Any = self._client.info("commandstats")
        count = sum(calls.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))
        before, self._seen = self._seen, count
        return bool(before == count)


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
    told, chooser = Told(redis), random.Random(5)
    for turn, body in enumerate(conversation(5)):
        assert asked(chooser.choice(servers), body).status == 200
        eventually(told)
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
