"""Clients that send next to nothing hurt themselves alone: their requests end, and nobody else's wait for room."""

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.processes import Server, free_port, started
from bench.stacks import ours_environment
from tests.fakes.client import Caller, ask, request_bytes
from tests.fakes.upstream import Upstream
from tests.system.conftest import ARGUMENTS, Start
from tests.system.patience import eventually, quiet, stats
from tests.system.test_scarcity import LIMITED

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
        for count, caller in enumerate(dripping, 1):
            caller.write(request[:end])
            if count % 10 == 0:  # what has to be connected to an upstream first is a request as any other
                eventually(lambda count=count: in_flight(running) == count)  # type: ignore[misc]
        begun = path == STREAMED_PATH and cut
        assert bool(upstream.open_connections) == bool(begun), "what is not here takes no connection to the upstream"
        with ExitStack() as others:
            asking = [others.enter_context(Caller(running.port)) for _ in range(40)]
            for caller in asking:
                assert caller.ask("POST", path, (), b"{}").status == 200
        for caller in dripping[:20]:
            caller.write(request[end:])
            assert caller.answer().status == 200
    eventually(lambda: quiet(running))
    assert stats(running)["requests"]["refused"] == {}


@pytest.mark.parametrize("limit", ["HEADROOM_TOTAL_CONCURRENCY", "HEADROOM_CALLER_CONCURRENCY"])
@pytest.mark.parametrize("chunked", [False, True], ids=["of a length", "in chunks"])
@pytest.mark.parametrize("path", [HELD_PATH, "/v1/embeddings"])
def test_bodies_that_have_not_come_take_no_place_of_a_limit(
    path: str, chunked: bool, limit: str, server: Start, upstream: Upstream
) -> None:
    running = server(**{limit: "4"})
    request = request_bytes("POST", path, (), b'{"a":"body"}', chunked)
    with ExitStack() as stack:
        dripping = [stack.enter_context(Caller(running.port)) for _ in range(8)]
        for caller in dripping:
            caller.write(request[:-4])
        eventually(lambda: in_flight(running) == len(dripping))
        with Caller(running.port) as asking:
            assert asking.ask("POST", path, (), b"{}").status == 200
        for caller in dripping[:2]:
            caller.write(request[-4:])
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


HALF_HEADS = {
    "a line": b"POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-slow: ",
    "a letter": b"P",
    "a second head": b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\nGET /livez HTTP/1.1\r\nhost",
}


@pytest.mark.parametrize("sent", HALF_HEADS.values(), ids=HALF_HEADS.keys())
def test_a_head_that_drips_is_refused_and_its_connection_closed(sent: bytes, server: Start) -> None:
    running = server(HEADROOM_WORKERS="1", HEADROOM_HEAD_TIMEOUT_SECONDS="1")
    with Caller(running.port) as caller:
        caller.write(sent)
        if b"livez" in sent:
            assert caller.answer().status == 200
        caller.socket.settimeout(0.1)
        for _ in range(100):
            try:
                answered = caller.socket.recv(1 << 16)
                break
            except TimeoutError:
                caller.write(b"" if sent == b"P" else b"x")
        assert answered.startswith(b"HTTP/1.1 408 "), answered
        assert b"x-headroom-error: head_timeout\r\n" in answered
        assert b"connection: close\r\n" in answered
        caller.socket.settimeout(20)
        assert caller.more() == b"", "and the connection ends"
    eventually(lambda: stats(running)["requests"]["refused"] == {"head_timeout": 1})


@pytest.mark.parametrize("said", [b"", b"\r\n"], ids=["nothing", "empty lines"])
def test_a_connection_that_brings_no_head_is_closed(said: bytes, server: Start) -> None:
    running = server(HEADROOM_WORKERS="1", HEADROOM_HEAD_TIMEOUT_SECONDS="1")
    with Caller(running.port) as caller:
        caller.socket.settimeout(0.1)
        for _ in range(100):
            caller.socket.send(said)
            try:
                assert caller.socket.recv(1 << 16) == b""
                return
            except TimeoutError:
                continue
            except ConnectionError:
                return
    raise AssertionError("it is still open")


def test_a_body_that_goes_on_after_its_answer_does_not_keep_the_connection_for_ever(server: Start) -> None:
    running = server(HEADROOM_WORKERS="1", HEADROOM_BODY_TIMEOUT_SECONDS="1")
    with Caller(running.port) as caller:
        caller.write(request_bytes("POST", "/no/such/path", (), b"x" * 10_000)[:-5000])
        assert caller.answer().status == 404
        caller.socket.settimeout(0.1)
        for _ in range(100):
            try:
                caller.socket.send(b"x")
                assert caller.socket.recv(1 << 16) == b""
                return
            except TimeoutError:
                continue
            except ConnectionError:
                return
    raise AssertionError("it is still open")


def test_a_crowd_of_uploads_leaves_connections_to_the_upstream_to_others(server: Start, upstream: Upstream) -> None:
    running = server(HEADROOM_WORKERS="1", HEADROOM_MAX_CONNECTIONS="8", HEADROOM_MAX_KEEPALIVE="8")
    request = request_bytes("POST", STREAMED_PATH, (), b"x" * 99)
    with ExitStack() as stack:
        dripping = [stack.enter_context(Caller(running.port)) for _ in range(DRIPPING)]
        for caller in dripping:
            caller.write(request[:-50])
        eventually(lambda: in_flight(running) == DRIPPING)
        with Caller(running.port) as asking:
            assert asking.ask("POST", HELD_PATH, (), b"{}").status == 200
            assert asking.ask("POST", STREAMED_PATH, (), b"x" * 1000).status == 200
        for caller in dripping:
            caller.write(request[-50:])
        assert [caller.answer().status for caller in dripping] == [200] * DRIPPING


CROWDS = {
    "half heads": HALF_HEADS["a line"],
    "connections that say nothing": b"",
    "half bodies": request_bytes("POST", HELD_PATH, (), b"x" * 99)[:-50],
    "half uploads": request_bytes("POST", STREAMED_PATH, (), b"x" * 99)[:-50],
}


@pytest.mark.parametrize("sent", CROWDS.values(), ids=CROWDS.keys())
def test_a_crowd_that_waits_for_nothing_leaves_descriptors_for_those_that_ask(
    sent: bytes, upstream: Upstream, tmp_path: Path
) -> None:
    port = free_port()
    settings = ours_environment(upstream.url, port, tmp_path) | {"HEADROOM_WORKERS": "1"}
    limited = [sys.executable, "-c", LIMITED, "RLIMIT_NOFILE=256", *ARGUMENTS]
    with started(limited, port, tmp_path / "log", "/readyz", settings) as running, ExitStack() as held:
        (worker,) = running.worker_pids
        for _ in range(600):
            caller = held.enter_context(Caller(port))
            caller.write(sent)
        with ExitStack() as stack:
            asking = [stack.enter_context(Caller(port)) for _ in range(20)]
            for caller in asking:
                assert caller.ask("POST", HELD_PATH, (), b"{}").status == 200
        assert len(list(Path(f"/proc/{worker}/fd").iterdir())) < 220, "some are left for what comes next"
        assert "descriptors run short" in running.log.read_text()
        assert running.log.read_text().count("descriptors run short") == 1
        assert running.worker_pids == [worker]


def test_large_bodies_that_stop_make_room_for_others(server: Start) -> None:
    running = server(HEADROOM_WORKERS="1", HEADROOM_BODY_BYTES_MAX="1MiB", HEADROOM_BODY_BYTES_IN_FLIGHT_MAX="1MiB")
    request = request_bytes("POST", HELD_PATH, (), b"x" * (250 << 10))
    with ExitStack() as stack:
        for _ in range(4):
            caller = stack.enter_context(Caller(running.port))
            caller.write(request[:-100])
        body = b'{"a":"%s"}' % (b"y" * (100 << 10))
        eventually(lambda: ask(running.port, "POST", HELD_PATH, (), body).status == 503)
        eventually(lambda: ask(running.port, "POST", HELD_PATH, (), body).status == 200, 40)
    eventually(lambda: quiet(running))
    assert stats(running)["requests"]["refused"]["body_timeout"] >= 1
