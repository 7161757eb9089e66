"""Usage is counted wherever an answer tells it, and whether or not its client waits for the connection's end."""

import asyncio
import gzip
import json
import zlib
from random import Random
from typing import Any

import pytest
from websockets.asyncio.client import connect

from bench.processes import Server
from tests.fakes.client import Caller, ask
from tests.fakes.scripts import JSON, SSE, Headers, begin, reply, stream
from tests.fakes.upstream import Upstream
from tests.fakes.websocket import PeerLeft, Socket, Sockets
from tests.system.conftest import Start
from tests.system.patience import LIMIT_SECONDS, eventually, stats

CHAT_USAGE = {"prompt_tokens": 30, "completion_tokens": 7, "total_tokens": 37}
ITEM_USAGE = {"input_tokens": 30, "output_tokens": 7, "total_tokens": 37}
EMBEDDED = {"prompt_tokens": 30, "total_tokens": 30}
GEMINI = "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
CHAT = "/v1/chat/completions"


def sse(*values: dict[str, Any]) -> list[bytes]:
    return [
        (f"event: {value['type']}\n" if "type" in value else "").encode()
        + b"data: "
        + json.dumps(value).encode()
        + b"\n\n"
        for value in values
    ]


DONE = b"data: [DONE]\n\n"
ENDED = {"index": 0, "delta": {}, "finish_reason": "stop"}
ENDINGS: dict[str, tuple[str, list[bytes]]] = {
    "messages": (
        "/v1/messages",
        sse(
            {"type": "message_start", "message": {"model": "m-1", "usage": {"input_tokens": 30, "output_tokens": 1}}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
            {"type": "message_stop"},
        ),
    ),
    "chat": (
        CHAT,
        [*sse({"model": "m-1", "choices": [ENDED]}, {"model": "m-1", "choices": [], "usage": CHAT_USAGE}), DONE],
    ),
    "responses": (
        "/v1/responses",
        sse(
            {"type": "response.created", "response": {"model": "m-1", "usage": None}},
            {"type": "response.completed", "response": {"model": "m-1", "status": "completed", "usage": ITEM_USAGE}},
        ),
    ),
    "gemini": (
        GEMINI,
        sse(
            {
                "candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 30, "candidatesTokenCount": 7, "totalTokenCount": 37},
                "modelVersion": "m-1",
            }
        ),
    ),
    "kimi": (CHAT, [*sse({"model": "m-1", "choices": [ENDED | {"usage": CHAT_USAGE}]}), DONE]),
    "gemini as chat": (
        "/v1beta/openai/chat/completions",
        [*sse({"model": "m-1", "choices": [ENDED], "usage": CHAT_USAGE}), DONE],
    ),
}


def counted(server: Server) -> tuple[int, int]:
    """Tokens in and out of the one answer, once it is accounted for."""
    eventually(lambda: stats(server)["usage"]["requests"] == 1)
    told = stats(server)
    assert not told["usage"].get("incomplete")
    assert set(told["requests"]["by_outcome"]) <= {"relayed", "answered"}
    (numbers,) = told["usage"]["by_model"].values()
    return numbers["input"], numbers["output"]


def leave_after(server: Server, path: str, body: bytes) -> None:
    """A client that resets its connection once it has read so much of its answer's body."""
    caller = Caller(server.port)
    caller.write(b"POST %s HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\ncontent-length: 2\r\n\r\n{}" % path.encode())
    seen = b""
    while body[-40:] not in seen:
        part = caller.socket.recv(65536)
        assert part, "the server closed first"
        seen += part
    caller.reset()


@pytest.mark.parametrize("way", ENDINGS)
def test_a_client_that_leaves_after_the_last_event_is_served(server: Start, upstream: Upstream, way: str) -> None:
    path, parts = ENDINGS[way]
    upstream.answer = lambda _: begin(parts, ("stall",))
    started = server()
    leave_after(started, path, parts[-1])
    assert counted(started) == (30, 7)


@pytest.mark.parametrize("way", ENDINGS)
def test_usage_behind_a_long_coded_stream_counts(server: Start, upstream: Upstream, way: str) -> None:
    path, parts = ENDINGS[way]
    noise = b": " + Random(1).randbytes(400_000).hex().encode() + b"\n\n"
    coded = gzip.compress(b"".join([*parts[:1], noise, *parts[1:]] if len(parts) > 1 else [noise, *parts]))
    headers: Headers = (*SSE, ("content-encoding", "gzip"))
    upstream.answer = lambda _: stream([coded[at : at + 4000] for at in range(0, len(coded), 4000)], headers=headers)
    started = server()
    assert ask(started.port, "POST", path, ((b"x-api-key", b"k"), (b"accept-encoding", b"gzip")), b"{}").body == coded
    assert counted(started) == (30, 7)


@pytest.mark.parametrize("way", ENDINGS)
def test_a_client_that_leaves_a_long_coded_stream_at_its_end_is_served(
    server: Start, upstream: Upstream, way: str
) -> None:
    path, parts = ENDINGS[way]
    coder = zlib.compressobj(wbits=31)
    noise = b": " + Random(1).randbytes(400_000).hex().encode() + b"\n\n"
    coded = coder.compress(b"".join([noise, *parts])) + coder.flush(zlib.Z_SYNC_FLUSH)
    upstream.answer = lambda _: begin([coded], ("stall",), headers=(*SSE, ("content-encoding", "gzip")))
    started = server()
    leave_after(started, path, coded)
    assert counted(started) == (30, 7)


def test_an_error_at_the_end_of_a_long_coded_stream_is_a_failure(server: Start, upstream: Upstream) -> None:
    noise = b": " + Random(1).randbytes(400_000).hex().encode() + b"\n\n"
    coded = gzip.compress(noise + b"".join(sse({"type": "error", "error": {"type": "overloaded_error"}})))
    upstream.answer = lambda _: stream([coded], headers=(*SSE, ("content-encoding", "gzip")))
    started = server()
    assert ask(started.port, "POST", "/v1/messages", ((b"x-api-key", b"k"),), b"{}").body == coded
    assert stats(started)["requests"]["answer_errors"] == {"overloaded_error": 1}


@pytest.mark.parametrize(
    ("path", "body", "tokens"),
    [
        ("/v1/embeddings", {"object": "list", "data": [], "model": "m-1", "usage": EMBEDDED}, (30, 0)),
        ("/v1/completions", {"object": "text_completion", "model": "m-1", "choices": [], "usage": CHAT_USAGE}, (30, 7)),
        ("/v1/responses/compact", {"object": "response.compaction", "output": [], "usage": ITEM_USAGE}, (30, 7)),
    ],
)
def test_answers_that_only_count_are_counted(
    server: Start, upstream: Upstream, path: str, body: dict[str, Any], tokens: tuple[int, int]
) -> None:
    upstream.answer = lambda _: reply(json.dumps(body).encode(), headers=JSON)
    started = server()
    assert ask(started.port, "POST", path, ((b"authorization", b"Bearer k"),), b'{"model":"m-1"}').status == 200
    assert counted(started) == tokens


async def test_a_realtime_answer_on_a_socket_is_counted(server: Start, upstream: Upstream) -> None:
    done = json.dumps({"type": "response.done", "response": {"id": "r", "status": "completed", "usage": ITEM_USAGE}})

    async def talk(socket: Socket) -> None:
        try:
            while True:
                await socket.receive()
                await socket.send(done)
        except PeerLeft:
            return

    Sockets(upstream, talk)
    started = server()
    address = f"ws://127.0.0.1:{started.port}/v1/realtime?model=gpt-realtime"
    async with asyncio.timeout(LIMIT_SECONDS), connect(address, proxy=None, ping_interval=None) as client:
        await client.send('{"type":"response.create"}')
        assert await client.recv() == done
    eventually(lambda: stats(started)["usage"]["requests"] == 1)
    (numbers,) = stats(started)["usage"]["by_model"].values()
    assert (numbers["input"], numbers["output"]) == (30, 7)
