"""The agents themselves as clients: Claude Code, Codex over HTTP and WebSocket, Gemini CLI.

Each is asked a question to which the upstream answers with one tool call and then with a sentence, once without the
server and once through it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.processes import Server
from tests.agents.programs import AGENTS, SOCKETS, Agent, Run, reason_to_skip, run, steady
from tests.fakes import answers
from tests.fakes.client import Answer
from tests.fakes.exchange import Request
from tests.fakes.tap import tapped
from tests.fakes.upstream import Upstream
from tests.fakes.websocket import PeerLeft, Socket, Sockets
from tests.system.conftest import starting

SMALL = "nothing new\n"
LARGE = "".join(f"{n:6}\t    total_{n % 7} = read_part({n}) + total_{n % 5}\n" for n in range(1, 90))
OF_THE_WAY = {"host", "connection"}
OURS = {"server-timing", "x-accel-buffering", "connection"}


@pytest.fixture(scope="module")
def proxy(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("server")) as start:
        yield start()


@pytest.fixture(params=AGENTS)
def agent(request: pytest.FixtureRequest) -> Agent:
    found = AGENTS[str(request.param)]
    if reason := reason_to_skip(found):
        pytest.skip(reason)
    return found


def sent(request: Request) -> tuple[str, str, str, list[tuple[str, bytes]], bytes]:
    """A request as it must arrive, byte for byte."""
    pairs = sorted((name.decode().lower(), value) for name, value in request.headers)
    kept = [pair for pair in pairs if pair[0] not in OF_THE_WAY]
    return request.method, request.target, request.framing, kept, request.body


def got(answer: Answer) -> tuple[int, list[tuple[str, bytes]], bytes, bool]:
    """An answer as it must come back, byte for byte."""
    pairs = sorted((name.decode().lower(), value) for name, value in answer.headers)
    kept = [pair for pair in pairs if pair[0] not in OURS and not pair[0].startswith("x-headroom-")]
    return answer.status, kept, answer.body, answer.complete


def meaning(request: Request) -> tuple[str, list[str], Any]:
    """What two runs of one agent have in common in a request."""
    names = sorted(name.decode().lower() for name, _ in request.headers)
    return (
        request.target,
        [name for name in names if name not in OF_THE_WAY],
        msgspec.json.decode(steady(request.body.decode())),
    )


def asked(agent: Agent, place: Path, report: str, port: int, upstream: Upstream) -> tuple[Run, Any, list[Request]]:
    """How the agent ended, and the requests and answers as they were between it and `port`."""
    file = place / "work/report.txt"
    upstream.requests.clear()
    upstream.answer = lambda request: (
        agent.answer(request, agent.call(file)) if request.body else answers.default_answer(request)
    )
    with tapped(port) as tap:
        ended = run(agent, place, report, tap.url)
    assert ended.status == 0, ended
    requests = tap.requests()
    return ended, [got(each) for each in tap.answers([request.method for request in requests])], requests


def test_an_agent_notices_no_difference(agent: Agent, upstream: Upstream, proxy: Server, tmp_path: Path) -> None:
    directly = asked(agent, tmp_path / "home", SMALL, upstream.port, upstream)
    through = asked(agent, tmp_path / "home", SMALL, proxy.port, upstream)
    assert [sent(each) for each in upstream.requests] == [sent(each) for each in through[2]], "as the agent sent them"
    assert through[1] == directly[1], "as the upstream answered"
    assert through[0].output == directly[0].output
    assert [meaning(each) for each in through[2]] == [meaning(each) for each in directly[2]]
    assert len(through[2]) == 2, "a tool call, then the end"
    assert SMALL.strip().encode() in through[2][1].body, "the tool was used"


def changed(before: Any, after: Any) -> list[tuple[str, str]]:
    """The texts in which two JSON values differ; they must be alike in all else."""
    if isinstance(before, str) and isinstance(after, str):
        return [(before, after)] if before != after else []
    assert type(before) is type(after)
    if isinstance(before, dict):
        assert list(before) == list(after)
        return [pair for key in before for pair in changed(before[key], after[key])]
    if isinstance(before, list):
        assert len(before) == len(after)
        return [pair for one, two in zip(before, after, strict=True) for pair in changed(one, two)]
    assert before == after
    return []


def test_of_what_an_agent_sends_only_the_tool_result_shrinks(
    agent: Agent, upstream: Upstream, proxy: Server, tmp_path: Path
) -> None:
    ended, _, requests = asked(agent, tmp_path / "home", LARGE, proxy.port, upstream)
    assert answers.TEXT in ended.output
    arrived = list(upstream.requests)
    assert sent(arrived[0]) == sent(requests[0])
    [(before, after)] = changed(requests[1].json(), arrived[1].json())
    assert "read_part(89)" in before
    assert len(after) < len(before)


# --- Codex over its WebSocket ---


async def talk(socket: Socket, file: Path) -> None:
    """Answers each request of a socket as the API would over HTTP."""
    try:
        while True:
            body = msgspec.json.decode(await socket.receive())
            item = answers.response_item(body, SOCKETS.call(file))
            for event in answers.response_events(body, item):
                await socket.send(msgspec.json.encode(event).decode())
    except PeerLeft:
        return


def test_codex_notices_no_difference_over_its_socket(upstream: Upstream, proxy: Server, tmp_path: Path) -> None:
    if reason := reason_to_skip(SOCKETS):
        pytest.skip(reason)
    seen = []
    for port in (upstream.port, proxy.port):
        sockets = Sockets(upstream, lambda socket: talk(socket, tmp_path / "home/work/report.txt"))
        ended = run(SOCKETS, tmp_path / "home", SMALL, f"http://127.0.0.1:{port}")
        assert ended.status == 0, ended
        frames = [msgspec.json.decode(steady(str(frame))) for socket in sockets.opened for frame in socket.received]
        seen.append((ended.output, frames, [meaning_of_handshake(each.request) for each in sockets.opened]))
        upstream.requests.clear()
    assert seen[0] == seen[1]
    assert len(seen[0][1]) >= 2, "a tool call, then the end"


def meaning_of_handshake(request: Request) -> list[tuple[str, str]]:
    pairs = [(name.decode().lower(), steady(value.decode())) for name, value in request.headers]
    return sorted(pair for pair in pairs if pair[0] not in OF_THE_WAY and not pair[0].startswith("sec-websocket"))
