"""Clients that send next to nothing hurt themselves alone: their requests end, and nobody else's wait for room."""

from contextlib import ExitStack

import pytest

from bench.processes import Server
from tests.fakes.client import Caller, request_bytes
from tests.fakes.upstream import Upstream
from tests.system.conftest import Start
from tests.system.patience import eventually, quiet, stats

DRIPPING = 60
HELD_PATH, STREAMED_PATH = "/v1/messages", "/v1/files"


def in_flight(server: Server) -> int:
    return int(stats(server)["requests"]["in_flight"])


@pytest.mark.parametrize("cut", [4, 0], ids=["without its end", "without its beginning"])
@pytest.mark.parametrize("chunked", [False, True], ids=["of a length", "in chunks"])
@pytest.mark.parametrize("path", [HELD_PATH, STREAMED_PATH])
def test_bodies_that_have_not_come_keep_no_other_request_out(
    path: str, chunked: bool, cut: int, server: Start, upstream: Upstream
) -> None:
    running = server(HEADROOM_LIMIT_CONCURRENCY="20")
    request = request_bytes("POST", path, (), b'{"a":"body"}', chunked)
    head = request.index(b"\r\n\r\n") + 4
    end = len(request) - cut if cut else head
    with ExitStack() as stack:
        dripping = [stack.enter_context(Caller(running.port)) for _ in range(DRIPPING)]
        for caller in dripping:
            caller.write(request[:end])
        eventually(lambda: in_flight(running) == DRIPPING)
        assert upstream.requests == [], "what is not here takes no connection to the upstream"
        with ExitStack() as others:
            asking = [others.enter_context(Caller(running.port)) for _ in range(40)]
            for caller in asking:
                assert caller.ask("POST", path, (), b"{}").status == 200
        for caller in dripping[:20]:
            caller.write(request[end:])
            assert caller.answer().status == 200
    eventually(lambda: quiet(running))
    assert stats(running)["requests"]["refused"] == {}


@pytest.mark.parametrize("path", [HELD_PATH, STREAMED_PATH, "/v1/chat/completions", "/v1beta/models/m:countTokens"])
def test_a_body_that_comes_too_slowly_is_refused_although_it_never_pauses_for_long(path: str, server: Start) -> None:
    running = server(HEADROOM_WORKERS="1", HEADROOM_BODY_TIMEOUT_SECONDS="0.5", HEADROOM_BODY_RATE_BYTES_MIN="1000000")
    with Caller(running.port) as caller:
        caller.write(request_bytes("POST", path, (), b"x" * 10_000)[:-5000])
        caller.socket.settimeout(0.05)
        answered = b""
        for _ in range(400):
            try:
                answered = caller.socket.recv(1 << 16)
                break
            except TimeoutError:
                caller.write(b"x")
        assert answered.startswith(b"HTTP/1.1 408 "), answered
        assert b"x-headroom-error: body_timeout\r\n" in answered
    eventually(lambda: stats(running)["requests"]["refused"] == {"body_timeout": 1})
