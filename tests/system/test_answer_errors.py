"""Below a status of 200: an answer that tells of an error has failed, and a client with all of it has not left."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect

from bench.processes import Server
from tests.fakes.answers import anthropic_events
from tests.fakes.client import Answer, Caller, ask
from tests.fakes.exchange import Request
from tests.fakes.scripts import JSON, SSE, Script, begin, reply, stream
from tests.fakes.upstream import Upstream
from tests.fakes.websocket import PeerLeft, Socket, Sockets
from tests.system.conftest import Start
from tests.system.patience import LIMIT_SECONDS, eventually, stats

MODEL = "claude-sonnet-4-5"
BODY = json.dumps({"model": MODEL, "max_tokens": 100, "stream": True, "messages": []}).encode()
STALL = ("stall",)
BLOCK = {"type": "text", "text": "hi"}
OVERLOADED = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
FAILED = b'{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"x"},"usage":null}}'


def events(request: Request) -> list[bytes]:
    return anthropic_events(json.loads(request.body), BLOCK, "end_turn")


def asked(server: Server, path: str = "/v1/messages", body: bytes = BODY) -> Answer:
    return ask(server.port, "POST", path, ((b"x-api-key", b"k"), (b"content-type", b"application/json")), body)


def newest(server: Server) -> dict[str, Any]:
    notes = json.loads(ask(server.port, "GET", "/stats/recent").body)["recent"]
    return next((note for note in notes if note["route"] == "messages"), {"answer_error": ""})


def log_line(server: Server, kind: str) -> dict[str, Any]:
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if f'"error":"{kind}"' in line]
    return lines[0] if lines else {}


@pytest.mark.parametrize("sized", [False, True])
def test_an_error_event_in_a_stream_is_the_failure_that_it_is(server: Start, upstream: Upstream, sized: bool) -> None:
    started = server(HEADROOM_LOG_FORMAT="json")

    def answered(request: Request) -> Script:
        parts = [*events(request)[:3], OVERLOADED]
        return reply(b"".join(parts), headers=SSE) if sized else stream(parts)

    upstream.answer = answered
    answer = asked(started)
    assert answer.status == 200
    assert answer.body.endswith(OVERLOADED)  # relayed as it came
    told = stats(started)["requests"]
    assert told["answer_errors"] == {"overloaded_error": 1}
    assert told["failed"] == {"answer": 1}
    assert told["by_outcome"]["failed"] == 1
    metrics = ask(started.port, "GET", "/metrics").body.decode()
    line = next(line for line in metrics.splitlines() if line.startswith("proxy_answer_errors_total{"))
    assert 'kind="overloaded_error"' in line
    assert line.endswith(" 1.0")
    eventually(lambda: log_line(started, "overloaded_error").get("outcome") == "failed")
    assert log_line(started, "overloaded_error")["level"] == "warning"
    eventually(lambda: newest(started)["answer_error"] == "overloaded_error")


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/v1/responses", b"event: response.failed\ndata: " + FAILED + b"\n\n", "rate_limit_exceeded"),
        ("/v1/chat/completions", b'data: {"error":{"message":"x","type":"server_error"}}\n\n', "server_error"),
        (
            "/v1beta/models/gemini-2.5-pro:streamGenerateContent",
            b'[{"candidates":[]},{"error":{"code":503,"status":"UNAVAILABLE"}}]',
            "UNAVAILABLE",
        ),
    ],
)
def test_each_api_has_its_own_words(server: Start, upstream: Upstream, path: str, body: bytes, kind: str) -> None:
    started = server()
    upstream.answer = lambda _: stream([body], headers=JSON if body.startswith(b"[") else SSE)
    assert asked(started, path, b"{}").body == body
    assert stats(started)["requests"]["answer_errors"] == {kind: 1}


def leaving(server: Server, until: bytes) -> None:
    """A client that goes when it has read a part of its answer."""
    caller = Caller(server.port)
    caller.write(
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
    )
    seen = b""
    while until not in seen:
        part = caller.socket.recv(65536)
        assert part, "the server closed first"
        seen += part
    caller.reset()


def test_a_client_that_leaves_after_the_last_event_had_all_of_it(server: Start, upstream: Upstream) -> None:
    upstream.answer = lambda request: begin(events(request), STALL)
    started = server()
    leaving(started, b"message_stop")
    eventually(lambda: stats(started)["usage"]["requests"] == 1)
    told = stats(started)
    assert "client_gone" not in told["requests"]["by_outcome"]
    assert told["requests"]["by_status"]["2xx"] >= 1
    assert told["usage"]["by_model"][MODEL]["output"] == 9
    assert not told["usage"].get("incomplete")


def test_a_client_that_leaves_before_it_has_left(server: Start, upstream: Upstream) -> None:
    upstream.answer = lambda request: begin(events(request)[:-1], STALL)
    started = server()
    leaving(started, b"message_delta")
    eventually(lambda: stats(started)["requests"]["by_outcome"].get("client_gone") == 1)


def test_a_client_that_leaves_because_of_an_error_is_not_what_failed(server: Start, upstream: Upstream) -> None:
    upstream.answer = lambda request: begin([*events(request)[:3], OVERLOADED], STALL)
    started = server()
    leaving(started, b"Overloaded")
    eventually(lambda: stats(started)["requests"]["answer_errors"] == {"overloaded_error": 1})
    assert "client_gone" not in stats(started)["requests"]["by_outcome"]


async def test_an_answer_on_a_socket_that_fails_counts_by_itself(server: Start, upstream: Upstream) -> None:
    async def fail(socket: Socket) -> None:
        try:
            while True:
                await socket.receive()
                await socket.send(FAILED.decode())
        except PeerLeft:
            return

    Sockets(upstream, fail)
    started = server()
    address = f"ws://127.0.0.1:{started.port}/v1/responses"
    async with asyncio.timeout(LIMIT_SECONDS), connect(address, proxy=None, ping_interval=None) as client:
        for _ in range(2):
            await client.send('{"type":"response.create","model":"gpt-5","input":"hi"}')
            assert (await client.recv()).encode() == FAILED
    eventually(lambda: stats(started)["requests"]["answer_errors"] == {"rate_limit_exceeded": 2})
