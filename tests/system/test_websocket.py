"""WebSockets on the real gunicorn: restarts between two answers, kills, and the official SDK as the client."""

import asyncio
import contextlib
import os
import random
import signal
import socket
from collections.abc import Callable
from typing import Any

import msgspec
import openai
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bench.processes import Server
from tests.fakes.scripts import reply
from tests.fakes.sockets import HANDSHAKE, stats
from tests.fakes.upstream import Upstream
from tests.fakes.websocket import PeerLeft, Socket, Sockets, echo, listen

LIMIT_SECONDS = 15.0
LITTLE_ROOM = {"HEADROOM_BODY_BYTES_MAX": "100000", "HEADROOM_BODY_BYTES_IN_FLIGHT_MAX": "100000"}
ASK = '{"type":"response.create","model":"gpt-5","input":"hi"}'
COMPLETED: dict[str, Any] = {
    "type": "response.completed",
    "sequence_number": 1,
    "response": {"id": "resp_1", "object": "response", "status": "completed", "output": [], "model": "gpt-5"},
}
DONE = msgspec.json.encode(COMPLETED).decode()


class Turns:
    """A talk that answers each request when it is told to."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.answering = asyncio.Event()
        self.sockets = Sockets(upstream, self.talk)

    async def talk(self, socket: Socket) -> None:
        try:
            while True:
                await socket.receive()
                await self.answering.wait()
                await socket.send(DONE)
        except PeerLeft:
            return

    def answer(self) -> None:
        assert self.upstream._loop
        self.upstream._loop.call_soon_threadsafe(self.answering.set)

    async def asked(self, times: int) -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            while sum(len(socket.received) for socket in self.sockets.opened) < times:
                await asyncio.sleep(0.01)


def client_of(server: Server, **options: Any) -> Any:
    return connect(f"ws://127.0.0.1:{server.port}/v1/responses", proxy=None, ping_interval=None, **options)


async def end_of(client: Any) -> int:
    """The code of its close frame, 1006 without one."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            await client.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006
    raise AssertionError("a message came where the end was expected")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_restart_lets_an_answer_finish_and_ends_idle_sockets(
    number: signal.Signals, upstream: Upstream, server: Callable[..., Server]
) -> None:
    started = server(HEADROOM_WORKERS="1")
    turns = Turns(upstream)
    async with client_of(started) as idle, client_of(started) as busy:
        await busy.send(ASK)
        await turns.asked(1)
        os.kill(started.master_pid, number)
        assert await end_of(idle) == 1012
        turns.answer()
        assert await asyncio.wait_for(busy.recv(), LIMIT_SECONDS) == DONE
        assert await end_of(busy) == 1012
    async with asyncio.timeout(LIMIT_SECONDS):
        while upstream.open_connections:
            await asyncio.sleep(0.01)
    assert [socket.close for socket in turns.sockets.opened] == [(1012, "the proxy restarts")] * 2


async def test_an_answer_that_outlasts_the_drain_limit_is_cut(
    upstream: Upstream, server: Callable[..., Server]
) -> None:
    started = server(HEADROOM_WORKERS="1", HEADROOM_DRAIN_LIMIT_SECONDS="1")
    turns = Turns(upstream)
    async with client_of(started) as busy:
        await busy.send(ASK)
        await turns.asked(1)
        os.kill(started.master_pid, signal.SIGTERM)
        assert await end_of(busy) == 1012
        await asyncio.to_thread(started.process.wait, LIMIT_SECONDS)
    async with asyncio.timeout(LIMIT_SECONDS):
        while upstream.open_connections:
            await asyncio.sleep(0.01)
    assert "Traceback" not in started.log.read_text()


async def test_a_killed_worker_cuts_both_sides(upstream: Upstream, server: Callable[..., Server]) -> None:
    started = server(HEADROOM_WORKERS="1")
    sockets = Sockets(upstream, listen)
    async with client_of(started) as client:
        await client.send(ASK)
        [worker] = started.worker_pids
        os.kill(worker, signal.SIGKILL)
        assert await end_of(client) == 1006
    async with asyncio.timeout(LIMIT_SECONDS):
        while upstream.open_connections:
            await asyncio.sleep(0.01)
    assert sockets.opened[0].close is None


async def test_clients_that_break_off_anywhere_leave_nothing_behind(
    upstream: Upstream, server: Callable[..., Server]
) -> None:
    started = server(HEADROOM_WORKERS="1")
    Sockets(upstream, echo)
    for first in range(0, 180, 30):
        await asyncio.gather(*(break_off(started, number) for number in range(first, first + 30)))
    async with asyncio.timeout(LIMIT_SECONDS):
        while upstream.open_connections or (await stats(started.port))["requests"]["in_flight"]:
            await asyncio.sleep(0.02)
    log = started.log.read_text()
    assert "Traceback" not in log
    assert "never retrieved" not in log


async def break_off(server: Server, number: int) -> None:
    """One client that leaves: in its handshake, right after it, with messages on their way, or politely."""
    chance = random.Random(number)
    if number % 3 == 0:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(HANDSHAKE[: chance.randrange(len(HANDSHAKE) * 2)])
        await asyncio.sleep(chance.random() * 0.02)
        writer.transport.abort()
        return
    client = await client_of(server)
    for _ in range(number % 4):
        await client.send("z" * chance.choice((10, 20_000, 200_000)))
    if number % 3 == 1:
        await client.close()
    client.transport.abort()


async def test_the_proxys_token_is_asked_of_sockets_too(upstream: Upstream, server: Callable[..., Server]) -> None:
    token = "t0ken-" * 6
    started = server("/livez", HEADROOM_WORKERS="1", HEADROOM_PROXY_TOKEN=token)
    sockets = Sockets(upstream, echo)
    headers: dict[str, str]
    for headers in ({}, {"x-headroom-token": token[:-1]}):
        with pytest.raises(InvalidStatus) as refused:
            async with client_of(started, additional_headers=headers):
                pass
        answer = refused.value.response
        assert (answer.status_code, answer.headers["x-headroom-error"]) == (403, "token_required")
        assert msgspec.json.decode(answer.body or b"")["error"]["code"] == "headroom_token_required"
        async with asyncio.timeout(LIMIT_SECONDS):
            while answer.headers["x-headroom-request-id"] not in started.log.read_text():
                await asyncio.sleep(0.02)
    async with client_of(started, additional_headers={"x-headroom-token": token}) as client:
        await client.send("hello")
        assert await client.recv() == "hello"
    assert len(upstream.requests) == 1
    assert not sockets.opened[0].request.header("x-headroom-token")


async def test_sockets_count_as_requests_in_progress(upstream: Upstream, server: Callable[..., Server]) -> None:
    started = server(HEADROOM_WORKERS="1", HEADROOM_LIMIT_CONCURRENCY="1", **LITTLE_ROOM)
    Sockets(upstream, listen)
    async with client_of(started) as client:
        with pytest.raises(InvalidStatus) as refused:
            async with client_of(started):
                pass
        assert refused.value.response.status_code == 503
        assert b"headroom_overloaded" in refused.value.response.body
        await client.send("x" * 100_001)
        assert await end_of(client) == 1013
    async with asyncio.timeout(LIMIT_SECONDS):
        while (await stats(started.port))["requests"]["in_flight"]:
            await asyncio.sleep(0.02)
    async with client_of(started) as client:
        await client.send("x" * 99_000)
        await client.send("x" * 99_000)


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("sizes", [[100_001], [90_000, 100_001], [100_001] * 5, [5_000_000]])
async def test_a_client_hears_why_its_message_is_refused(
    sizes: list[int], compression: str | None, upstream: Upstream, server: Callable[..., Server]
) -> None:
    started = server(HEADROOM_WORKERS="1", **LITTLE_ROOM)
    Sockets(upstream, listen)
    async with client_of(started, compression=compression) as client:
        with contextlib.suppress(ConnectionClosed):
            for size in sizes:
                await client.send("x" * size)
        assert await end_of(client) == 1013
    async with client_of(started) as client:
        await client.send("x" * 99_000)  # nothing is held of what was refused


@pytest.mark.parametrize(
    ("head", "code"), [(b"\x81\xff\0\0\0\0\x10\0\0\0", 1009), (b"\x81\x7f\0\0\0\0\0\x10\0\0", 1002)]
)
def test_a_client_that_breaks_the_protocol_hears_it_behind_what_it_still_sends(
    head: bytes, code: int, upstream: Upstream, server: Callable[..., Server]
) -> None:
    started = server(HEADROOM_WORKERS="1")
    Sockets(upstream, listen)
    with socket.create_connection(("127.0.0.1", started.port), timeout=LIMIT_SECONDS) as peer:
        peer.sendall(HANDSHAKE)
        peer.recv(4096)
        peer.sendall(head + b"xxxx")
        for _ in range(20):  # a connection that is reset takes the second of these no more
            peer.sendall(b"x" * 500_000)
        answer = peer.recv(4096)
    assert answer[0] == 0x88
    assert int.from_bytes(answer[2:4]) == code


@pytest.mark.filterwarnings(r"ignore:connect\(\) must be used:DeprecationWarning")  # the SDK's own use
@pytest.mark.parametrize("direct", [True, False])
def test_the_sdk_talks_through_the_server(direct: bool, upstream: Upstream, shared_server: Server) -> None:
    turns = Turns(upstream)
    turns.answer()
    url = upstream.url if direct else shared_server.url
    with (
        openai.OpenAI(api_key="sk-test", base_url=url + "/v1") as client,
        client.responses.connect(extra_query={"a": "b"}, extra_headers={"x-mine": "1"}) as connection,
    ):
        for text in ("one", "two"):
            connection.response.create(model="gpt-5", input=text)
            event: Any = connection.recv()
            assert event.type == "response.completed"
            assert event.response.id == "resp_1"
    [socket] = turns.sockets.opened
    assert [msgspec.json.decode(frame)["input"] for frame in socket.received] == ["one", "two"]
    assert socket.request.target == "/v1/responses?a=b"
    assert (socket.request.header("authorization"), socket.request.header("x-mine")) == ("Bearer sk-test", "1")


@pytest.mark.filterwarnings(r"ignore:connect\(\) must be used:DeprecationWarning")
def test_the_sdk_sees_a_refusal_as_the_upstream_gave_it(upstream: Upstream, shared_server: Server) -> None:
    upstream.play(reply(b'{"error":{"message":"no sockets"}}', 426), times=2)
    outcomes = [refusal(url) for url in (upstream.url, shared_server.url)]
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1] == 426


def refusal(url: str) -> tuple[str, int | None]:
    with openai.OpenAI(api_key="sk-test", base_url=url + "/v1", max_retries=0) as client:
        try:
            with client.responses.connect():
                raise AssertionError("nobody accepts a socket here")
        except AssertionError:
            raise
        except (openai.OpenAIError, InvalidStatus) as error:
            response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
            return type(error).__name__, getattr(response, "status_code", None)
