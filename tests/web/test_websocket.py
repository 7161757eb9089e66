"""A WebSocket through the real server: messages and handshakes as if the upstream were the peer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from bench.processes import Server
from tests.fakes.scripts import JSON, Script, reply
from tests.fakes.sockets import (
    HANDSHAKE,
    MIB,
    Open,
    request_of,
    result,
    until,
)
from tests.fakes.upstream import Upstream
from tests.fakes.websocket import Socket, Sockets, echo, listen

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
    await until(lambda: len(sockets.opened[0].received) == len(texts))
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
    with pytest.raises(InvalidStatus) as refused:
        async with opened():
            pass
    answer = refused.value.response
    assert (answer.status_code, answer.body) == (status, body)
    assert (answer.headers["retry-after"], answer.headers["x-request-id"]) == ("7", "req_1")
    assert answer.headers.get_all("content-type") == ["application/json"]
    assert len(upstream.requests) == 1


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


@pytest.mark.parametrize("status", [99, 600, 999])
async def test_a_refusal_with_a_status_that_means_nothing_is_a_failure(
    status: int, upstream: Upstream, opened: Open
) -> None:
    upstream.play(reply(b"why", status))
    with pytest.raises(InvalidStatus) as refused:
        async with opened():
            pass
    assert refused.value.response.status_code == 502
    assert b"headroom_upstream_failed" in refused.value.response.body


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
