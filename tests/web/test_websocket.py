"""A WebSocket through the real server: messages, codes and refusals as if the upstream were the peer."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from bench.processes import Server
from tests.fakes.scripts import JSON, Script, reply
from tests.fakes.upstream import Upstream
from tests.fakes.websocket import Socket, Sockets, echo, listen, script
from tests.system.conftest import starting

PATH = "/v1/responses"
MIB = 1 << 20
NUMBERED = "\n".join(f"{n:6}→    total_{n % 7} = read_part({n}) + total_{n % 5}" for n in range(1, 90))
LIMIT_SECONDS = 10.0

HANDSHAKE = (
    b"GET /v1/responses HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
)

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def place(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("server")) as start:
        yield start(HEADROOM_WORKERS="1", HEADROOM_LOG_LEVEL="debug")


@pytest.fixture
def opened(place: Server) -> Open:
    """`async with opened(path, **options) as client`: a socket through the server."""

    def opening(path: str = PATH, **options: Any) -> Any:
        url = f"ws://127.0.0.1:{place.port}{path}"
        return connect(url, **{"proxy": None, "max_size": 128 * MIB, "ping_interval": None} | options)

    return opening


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not true():
            await asyncio.sleep(0.01)


async def ended(client: ClientConnection) -> tuple[int, str]:
    """How the socket ends, code and reason; messages before that are dropped. 1006 if there is no close frame."""
    async with asyncio.timeout(LIMIT_SECONDS):
        try:
            while True:
                await client.recv()
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")


def request_of(items: list[Any], **members: Any) -> str:
    return msgspec.json.encode({"type": "response.create", "model": "gpt-5", "input": items, **members}).decode()


def result(text: str, call: str = "call_1") -> dict[str, str]:
    return {"type": "function_call_output", "call_id": call, "output": text}


# --- what goes through ---

MESSAGES = [
    "",
    "plain text, no JSON",
    b"",
    bytes(range(256)) * 40,
    '{"type":"session.update","b":1e-7,"b":0.10}',
    '{"type": "response.create" , "input" : [ ] , "dup":1,"dup":2}',
    '{"type":"response.create","input":"\\ud83d response.create _call"}',
    '{"type":"response.create","input":' + "[" * 50_000 + "_call",
    request_of([result("short")]),
    "𝕳 – \x00 control \u2028",
]


async def test_messages_arrive_as_they_were_sent_both_ways(upstream: Upstream, opened: Open) -> None:
    sockets = Sockets(upstream, echo)
    async with opened() as client:
        for message in MESSAGES:
            await client.send(message)
            assert await client.recv() == message
    assert sockets.opened[0].received == MESSAGES


@pytest.mark.parametrize("client_deflate", [None, "deflate"])
@pytest.mark.parametrize("deflate", [False, True])
async def test_each_hop_agrees_on_compression_for_itself(
    client_deflate: str | None, deflate: bool, upstream: Upstream, opened: Open
) -> None:
    sockets = Sockets(upstream, echo, deflate=deflate)
    async with opened(compression=client_deflate) as client:
        for message in ("a" * 200_000, b"\0" * 200_000, "b"):
            await client.send(message)
            assert await client.recv() == message
    assert sockets.opened[0].deflated == (deflate and client_deflate is not None)


async def test_32_mib_go_through_in_each_direction(upstream: Upstream, opened: Open) -> None:
    sockets = Sockets(upstream, echo)
    message = "0123456789abcdef" * (2 * MIB)
    async with opened(compression=None) as client:
        await client.send(message)
        assert await client.recv() == message
    assert sockets.opened[0].received == [message]


async def test_a_message_in_fragments_is_one_message(upstream: Upstream, opened: Open) -> None:
    sockets = Sockets(upstream, echo)
    async with opened() as client:
        await client.send(["one ", "", "two"])
        assert await client.recv() == "one two"
    assert sockets.opened[0].received == ["one two"]


async def test_order_holds_when_many_messages_come_at_once(upstream: Upstream, opened: Open) -> None:
    texts = [f"{n} " + "x" * (n * 37 % 5000) for n in range(300)]

    async def talk(peer: Socket) -> None:
        for text in texts:
            await peer.send(text)
        await peer.receive_all()

    sockets = Sockets(upstream, talk)
    async with opened() as client:
        for text in texts:
            await client.send(text)
        assert [await client.recv() for _ in texts] == texts
    await until(lambda: sockets.opened[0].close is not None)
    assert sockets.opened[0].received == texts


# --- the handshake ---


async def test_the_handshake_goes_on_with_its_query_headers_and_subprotocols(upstream: Upstream, opened: Open) -> None:
    answered = (("x-codex-turn-state", "abc"), ("openai-model", "gpt-5"), ("sec-websocket-protocol", "realtime"))
    sockets = Sockets(upstream, listen, headers=answered)
    async with opened(
        "/v1/realtime?model=gpt%2Drealtime&x=%20y",
        additional_headers=[
            ("authorization", "Bearer sk-test"),
            ("openai-beta", "responses_websockets=2026-02-06"),
            ("x-codex-turn-metadata", '{"a":"' + "m" * 20_000 + '"}'),
            ("x-headroom-bypass", "true"),
        ],
        subprotocols=[Subprotocol("realtime"), Subprotocol("openai-insecure-api-key.sk-1")],
        user_agent_header="codex/1",
        origin="https://app.test",
    ) as client:
        assert client.subprotocol == "realtime"
        head = client.response.headers
        assert (head["x-codex-turn-state"], head["openai-model"]) == ("abc", "gpt-5")
        assert head["x-headroom-request-id"].startswith("hr_")
    request = sockets.opened[0].request
    assert request.target == "/v1/realtime?model=gpt%2Drealtime&x=%20y"
    assert request.header("authorization") == "Bearer sk-test"
    assert request.header("openai-beta") == "responses_websockets=2026-02-06"
    assert len(request.header("x-codex-turn-metadata")) > 20_000
    assert request.header("sec-websocket-protocol") == "realtime, openai-insecure-api-key.sk-1"
    assert request.header("origin") == "https://app.test"
    assert request.header("user-agent") == "codex/1"
    assert request.header("host") == f"127.0.0.1:{upstream.port}"
    assert not request.header("x-headroom-bypass")
    for name in ("upgrade", "connection", "sec-websocket-key", "sec-websocket-version"):
        assert "," not in request.header(name) and request.header(name)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 426, 429, 500, 503, 529])
async def test_a_refusal_is_the_upstreams_own_and_comes_once(status: int, upstream: Upstream, opened: Open) -> None:
    body = b'{"error":{"message":"no \xe2\x9c\x93"}}'
    upstream.play(reply(body, status, (*JSON, ("retry-after", "7"), ("x-request-id", "req_1"))), times=None)
    began = time.monotonic()
    with pytest.raises(InvalidStatus) as refused:
        async with opened():
            pass
    answer = refused.value.response
    assert (answer.status_code, answer.body) == (status, body)
    assert (answer.headers["retry-after"], answer.headers["x-request-id"]) == ("7", "req_1")
    assert answer.headers.get_all("content-type") == ["application/json"]
    assert len(upstream.requests) == 1
    assert time.monotonic() - began < 1.0


async def test_a_redirect_is_not_followed(upstream: Upstream, place: Server) -> None:
    upstream.play(reply(b"moved", 307, (("location", f"{upstream.url}/v1/elsewhere"),)), times=None)
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(HANDSHAKE)
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 307 ")
    assert answer.endswith(b"\r\n\r\nmoved")
    assert f"{upstream.url}/v1/elsewhere".encode() in answer
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("then", [("reset",), ("close",)])
async def test_an_upstream_that_breaks_the_handshake_is_a_502(then: Any, upstream: Upstream, opened: Open) -> None:
    upstream.play(Script((then,)), times=None)
    with pytest.raises(InvalidStatus) as refused:
        async with opened():
            pass
    assert refused.value.response.status_code == 502
    assert b"headroom_upstream_failed" in refused.value.response.body
    assert len(upstream.requests) <= 2, "a handshake has no effect, so a broken connection may be tried again once"


async def test_an_answer_that_is_no_websocket_is_a_502(upstream: Upstream, opened: Open) -> None:
    false = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    upstream.play(Script((("send", false + b"sec-websocket-accept: no\r\n\r\n"), ("stall",))))
    with pytest.raises(InvalidStatus) as refused:
        async with opened():
            pass
    assert refused.value.response.status_code == 502


async def test_a_path_of_no_api_is_refused_here(upstream: Upstream, opened: Open) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with opened("/nowhere"):
            pass
    assert refused.value.response.status_code == 404
    assert b"headroom_unknown_path" in refused.value.response.body
    assert not upstream.requests


async def test_a_client_that_leaves_during_the_handshake_ends_it_upstream(upstream: Upstream, place: Server) -> None:
    upstream.play(Script((("stall",),)))
    async with leaving_early(place.port):
        await until(lambda: bool(upstream.requests))
    await until(lambda: upstream.open_connections == 0)


@contextlib.asynccontextmanager
async def leaving_early(port: int) -> AsyncIterator[None]:
    """A client that sent its handshake, and is gone with the block."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HANDSHAKE)
    yield
    writer.close()
    await writer.wait_closed()


# --- the end ---


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1000, "done"), (1001, "bye"), (1008, "no ✓"), (1011, "x" * 123), (4001, "own")]
)
async def test_the_upstreams_close_reaches_the_client(code: int, reason: str, upstream: Upstream, opened: Open) -> None:
    sockets = Sockets(upstream, script(1, "last words", (code, reason)))
    async with opened() as client:
        await client.send("hello")
        assert await client.recv() == "last words"
        assert await ended(client) == (code, reason)
    await until(lambda: upstream.open_connections == 0)
    assert sockets.opened[0].close == (code, reason)


async def test_a_close_without_a_code_stays_without(upstream: Upstream, opened: Open) -> None:
    Sockets(upstream, script((None, "")))
    async with opened() as client:
        assert await ended(client) == (1005, "")


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_the_clients_close_reaches_the_upstream(code: int, upstream: Upstream, opened: Open) -> None:
    sockets = Sockets(upstream, listen)
    async with opened() as client:
        await client.send("sent just before")
        await client.close(code, "why ✓")
    await until(lambda: upstream.open_connections == 0)
    assert sockets.opened[0].close == (code, "why ✓")
    assert sockets.opened[0].received == ["sent just before"]


async def test_an_upstream_that_is_reset_is_no_clean_close(upstream: Upstream, opened: Open) -> None:
    Sockets(upstream, script(1, "half", "reset"))
    async with opened() as client:
        await client.send("hello")
        assert await client.recv() == "half"
        code, reason = await ended(client)
        assert (code, reason) == (1011, "the connection to the upstream broke")


async def test_an_upstream_that_ends_without_a_close_frame_is_no_clean_close(upstream: Upstream, opened: Open) -> None:
    Sockets(upstream, script(1))
    async with opened() as client:
        await client.send("hello")
        assert (await ended(client))[0] == 1011


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", b"\x88\x01x", b"\x81\x02\xff\xfe", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_an_upstream_that_breaks_the_protocol_is_no_clean_close(
    garbage: bytes, upstream: Upstream, opened: Open
) -> None:
    async def talk(peer: Socket) -> None:
        await peer.receive()
        assert peer._connection
        peer._connection.writer.write(garbage)
        await peer.receive_all()

    Sockets(upstream, talk)
    async with opened() as client:
        await client.send("hello")
        assert (await ended(client))[0] == 1011
    await until(lambda: upstream.open_connections == 0)


@pytest.mark.parametrize("busy", [False, True])
async def test_a_client_that_vanishes_frees_the_upstream_within_a_second(
    busy: bool, upstream: Upstream, opened: Open
) -> None:
    async def talk(peer: Socket) -> None:
        await peer.receive()
        while busy:
            await peer.send("x" * 10_000)
            await asyncio.sleep(0.001)
        await peer.receive_all()

    Sockets(upstream, talk)
    client = await opened()
    await client.send("hello")
    await until(lambda: bool(upstream.requests))
    await asyncio.sleep(0.1)
    client.transport.abort()
    began = time.monotonic()
    await until(lambda: upstream.open_connections == 0)
    assert time.monotonic() - began < 1.0


async def test_a_client_that_vanishes_before_a_deaf_upstream_is_let_go_all_the_same(
    upstream: Upstream, opened: Open, place: Server
) -> None:
    hearing = asyncio.Event()

    async def talk(peer: Socket) -> None:
        await hearing.wait()
        await peer.receive_all()

    sockets = Sockets(upstream, talk)
    client = await opened(compression=None)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(client.send("x" * (24 * MIB)), 1.0)
    assert (await stats(place.port))["requests"]["in_flight"] == 1
    client.transport.abort()
    began = time.monotonic()
    while (await stats(place.port))["requests"]["in_flight"]:
        await asyncio.sleep(0.02)
    assert time.monotonic() - began < 1.5
    assert upstream._loop
    upstream._loop.call_soon_threadsafe(hearing.set)
    await until(lambda: upstream.open_connections == 0)
    assert sockets.opened[0].received == [], "what was not sent yet is dropped with the client"


# --- load ---


async def test_a_client_that_does_not_read_holds_the_upstream_back(upstream: Upstream, opened: Open) -> None:
    sent = 0

    async def talk(peer: Socket) -> None:
        nonlocal sent
        for _ in range(2000):
            await peer.send("x" * 100_000)
            sent += 1

    Sockets(upstream, talk, deflate=False)
    async with opened(compression=None, max_queue=1) as client:
        await asyncio.sleep(1.0)
        stuck = sent
        await asyncio.sleep(0.5)
        assert sent == stuck < 400
        for _ in range(2000):
            assert len(await client.recv()) == 100_000


async def test_pings_are_answered_by_the_hop_that_gets_them(upstream: Upstream, opened: Open) -> None:
    async def talk(peer: Socket) -> None:
        await peer.ping(b"are you there?")
        await peer.receive_all()

    sockets = Sockets(upstream, talk)
    async with opened() as client:
        await asyncio.wait_for(await client.ping(b"and you?"), LIMIT_SECONDS)
        await until(lambda: sockets.opened[0].pongs == [b"are you there?"])
    assert sockets.opened[0].pings == []


# --- compression ---


async def sent_up(opened: Open, sockets: Sockets, *texts: str, **options: Any) -> list[str | bytes]:
    async with opened(**options) as client:
        for text in texts:
            await client.send(text)
        await until(lambda: bool(sockets.opened) and len(sockets.opened[-1].received) == len(texts))
    return sockets.opened[-1].received


@pytest.mark.parametrize("nested", [False, True])
async def test_only_the_tool_results_of_a_request_shrink(nested: bool, upstream: Upstream, opened: Open) -> None:
    sockets = Sockets(upstream, listen)
    frame = request_of([result(NUMBERED)], zz=1.50)
    if nested:
        frame = '{"type" :"response.create", "response": ' + request_of([result(NUMBERED)]) + ' ,"event_id":"é"}'
    [got] = await sent_up(opened, sockets, frame)
    assert isinstance(got, str)
    before, after = NUMBERED, _output(got)
    assert len(after) < 0.95 * len(before)
    assert got.replace(msgspec.json.encode(after).decode(), msgspec.json.encode(before).decode()) == frame


def _output(frame: str) -> str:
    body = msgspec.json.decode(frame)
    text: str = (body.get("response") or body)["input"][0]["output"]
    return text


async def test_frames_come_out_the_same_on_every_socket(upstream: Upstream, opened: Open) -> None:
    sockets = Sockets(upstream, listen)
    frame = request_of([result(NUMBERED)])
    assert await sent_up(opened, sockets, frame, frame) == await sent_up(opened, sockets, frame, frame)
    assert len(set(sockets.opened[0].received)) == 1


async def test_a_result_is_judged_by_the_call_that_the_upstream_made(upstream: Upstream, opened: Open) -> None:
    """A file that a tool prints stays exact although its text alone would shrink, as in a request over HTTP."""
    records = "[" + ",".join(f'{{"id":{n},"name":"file_{n}.txt","size":{n * 37}}}' for n in range(80)) + "]"
    call = {"type": "function_call", "call_id": "call_9", "name": "read_file", "arguments": '{"path":"a.json"}'}
    done = msgspec.json.encode({"type": "response.output_item.done", "item": call}).decode()
    sockets = Sockets(upstream, script(1, done, 1, 1))
    async with opened() as client:
        await client.send(request_of([]))
        assert await client.recv() == done
        await client.send(request_of([result(records, "call_9")]))
        await client.send(request_of([result(records, "call_unknown")]))
        await until(lambda: len(sockets.opened[0].received) == 3)
    _, known, unknown = sockets.opened[0].received
    assert known == request_of([result(records, "call_9")])
    assert len(unknown) < len(known)


async def test_a_bypass_header_leaves_frames_alone(upstream: Upstream, opened: Open) -> None:
    sockets = Sockets(upstream, listen)
    frame = request_of([result(NUMBERED)])
    assert await sent_up(opened, sockets, frame, additional_headers={"x-headroom-bypass": "true"}) == [frame]


async def test_binary_frames_and_other_types_are_not_read(upstream: Upstream, opened: Open) -> None:
    sockets = Sockets(upstream, listen)
    frames: list[Any] = [request_of([result(NUMBERED)]).encode(), request_of([result(NUMBERED)], type="other")]
    assert await sent_up(opened, sockets, *frames) == frames


async def test_a_request_over_the_socket_is_sent_as_it_would_be_over_http(
    upstream: Upstream, opened: Open, place: Server
) -> None:
    sockets = Sockets(upstream, listen)
    frame = request_of([result(NUMBERED)])
    [got] = await sent_up(opened, sockets, frame)
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    head = (
        f"POST /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(frame.encode())}\r\n\r\n"
    )
    writer.write(head.encode() + frame.encode())
    await reader.read()
    writer.close()
    assert upstream.requests[-1].body.decode() == got


# --- counters and log ---


async def test_a_socket_is_counted_once_and_its_query_is_not_logged(
    upstream: Upstream, opened: Open, place: Server
) -> None:
    before = await stats(place.port)
    Sockets(upstream, listen)
    async with opened(PATH + "?api-key=sk-secret-in-query") as client:
        await client.send(request_of([result(NUMBERED)]))
        await client.send(request_of([result(NUMBERED)]))
        assert (await stats(place.port))["requests"]["in_flight"] == 1
    await until_counted(place.port, before["requests"]["total"] + 1)
    await until(lambda: '"websocket"' in place.log.read_text() or "/v1/responses" in place.log.read_text())
    assert "sk-secret-in-query" not in place.log.read_text()
    assert "read_part" not in place.log.read_text()


async def until_counted(port: int, total: int) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while (counted := await stats(port))["requests"]["total"] < total or counted["requests"]["in_flight"]:
            await asyncio.sleep(0.02)
    assert counted["requests"]["total"] == total


async def stats(port: int) -> Any:
    return await asyncio.to_thread(_stats, port)


def _stats(port: int) -> Any:
    with socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS) as peer:
        peer.sendall(b"GET /stats HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        data = b"".join(iter(lambda: peer.recv(65536), b""))
    return msgspec.json.decode(data.partition(b"\r\n\r\n")[2])
