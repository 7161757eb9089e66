"""Two servers in a chain: the second leaves alone what the first planned, so the provider gets what one would send."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import connect

from bench.conversations import CASES as RECORDED
from bench.conversations import conversations
from bench.processes import Server
from tests.fakes.bodies import NUMBERED, ROUTES, literal
from tests.fakes.client import Answer, Headers, ask
from tests.fakes.scripts import reply
from tests.fakes.sockets import request_of, result
from tests.fakes.upstream import Upstream
from tests.fakes.websocket import Sockets, echo
from tests.system.conftest import starting
from tests.system.patience import LIMIT_SECONDS, stats

CASES = Path(__file__).parents[1] / "cases"
UNHURRIED = {"HEADROOM_COMPRESSION_DEADLINE_MS": "60000", "HEADROOM_WORKERS": "1"}
TYPE: Headers = ((b"content-type", b"application/json"),)


Servers = tuple[Server, Server, Server]


@pytest.fixture(scope="module")
def servers(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One server alone before the provider; and the first and the second of a chain before the same provider."""
    folder = tmp_path_factory.mktemp("chain")
    with starting(upstream_of_module.url, folder) as start:
        alone, second = start(**UNHURRIED), start(**UNHURRIED)
        with starting(second.url, folder) as start_first:
            yield alone, start_first(**UNHURRIED), second


def texts() -> list[str]:
    """A real text of each kind that is written shorter, and its neighbours."""
    return [path.read_text() for path in sorted((CASES / "compressors").glob("*/*/in.txt"))]


def mixed() -> list[bytes]:
    """A conversation that grows by one text of each kind, and comes back to earlier ones."""
    messages, bodies = [], []
    for number, text in enumerate([*texts(), *texts()[::3]]):
        used = {
            "type": "tool_use",
            "id": f"toolu_01{number:08}x",
            "name": "Bash",
            "input": {"command": f"run {number}"},
        }
        given = {"type": "tool_result", "tool_use_id": used["id"], "content": text}
        messages += [{"role": "assistant", "content": [used]}, {"role": "user", "content": [given]}]
        bodies.append(msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": messages}))
    return bodies[3::4] + bodies[-1:]


def recorded() -> list[bytes]:
    return [body for each in conversations(RECORDED) for body in each.turns()]


def asked(server: Server, upstream: Upstream, target: str, body: bytes) -> tuple[bytes, Answer]:
    """What the provider got, and what the client got."""
    answer = ask(server.port, "POST", target, TYPE, body)
    assert answer.status == 200
    return upstream.requests[-1].body, answer


def check(servers: Servers, upstream: Upstream, target: str, bodies: list[bytes]) -> int:
    """Send bodies both ways; returns how many became shorter."""
    alone, first, second = servers
    upstream.answer = lambda _: reply()
    shorter = 0
    before = stats(second)["bodies"]
    for body in bodies:
        expected, one = asked(alone, upstream, target, body)
        got, two = asked(first, upstream, target, body)
        assert got == expected
        for name in ("x-headroom-decision", "x-headroom-request-id", "x-headroom-tokens-after"):
            assert len(two.all(name)) == 1
        assert two.header("x-headroom-decision") == one.header("x-headroom-decision")
        shorter += len(expected) < len(body)
    after = stats(second)["bodies"]
    assert json.dumps(before).count("rewritten") == json.dumps(after).count("rewritten")
    return shorter


@pytest.mark.parametrize("target", ROUTES)
def test_each_api_comes_through_two_servers_as_through_one(target: str, servers: Servers, upstream: Upstream) -> None:
    assert check(servers, upstream, target, [ROUTES[target].body(literal(NUMBERED))]) == 1


def test_recorded_conversations_come_through_two_servers_as_through_one(servers: Servers, upstream: Upstream) -> None:
    assert check(servers, upstream, "/v1/messages", recorded()) >= 2


def test_texts_of_every_kind_come_through_two_servers_as_through_one(servers: Servers, upstream: Upstream) -> None:
    bodies = mixed()
    assert check(servers, upstream, "/v1/messages", bodies) == len(bodies)


async def told_back(server: Server, frames: list[str]) -> list[str]:
    """What a provider got that says back each frame."""
    async with asyncio.timeout(LIMIT_SECONDS), connect(f"ws://127.0.0.1:{server.port}/v1/responses") as client:
        back = []
        for frame in frames:
            await client.send(frame)
            back.append(str(await client.recv()))
        return back


async def test_frames_come_through_two_servers_as_through_one(servers: Servers, upstream: Upstream) -> None:
    alone, first, second = servers
    Sockets(upstream, echo)
    frames = [request_of([result(text, f"call_{number}")]) for number, text in enumerate([NUMBERED, *texts()])]
    expected = await told_back(alone, frames)
    assert sum(map(len, expected)) < 0.9 * sum(map(len, frames))
    assert await told_back(second, expected) == expected
    assert await told_back(first, frames) == expected
