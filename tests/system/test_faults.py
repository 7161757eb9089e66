"""Whatever the upstream or the client does wrong: the client gets the upstream's answer or an error in its API's own
shape, never an invented end; the upstream gets each request once; and nothing stays open."""

from collections.abc import Callable, Iterator

import pytest

from bench.processes import Server, free_port
from tests.fakes.client import Answer, Caller, ask, request_bytes
from tests.fakes.scripts import (
    CLOSE_AFTER_BODY,
    CUT_SHORT,
    JSON,
    RESET_AFTER_BODY,
    RESET_AFTER_HEAD,
    RESET_ON_CONNECT,
    RESET_WHEN_IDLE,
    SSE,
    STALL_AFTER_BODY,
    Script,
    begin,
    byte_by_byte,
    chunk,
    head,
    last_chunk,
    reply,
)
from tests.fakes.upstream import Upstream
from tests.system.conftest import starting
from tests.system.patience import eventually, quiet, stats

SHORT = "0.4"
EVENT = b'event: ping\ndata: {"type": "ping"}\n\n'
CHUNKED = ("transfer-encoding", "chunked")
TARGETS = (
    "/v1/messages",
    "/v1/chat/completions",
    "/v1/responses",
    "/v1beta/models/m:streamGenerateContent?alt=sse",
    "/v1/images/edits",
)


@pytest.fixture(scope="module")
def hasty(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits for nothing long."""
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("hasty")) as start:
        names = ("FIRST_BYTE", "GAP", "BODY")
        yield start(HEADROOM_WORKERS="1", **{f"HEADROOM_{name}_TIMEOUT_SECONDS": SHORT for name in names})


def told(answer: Answer, target: str, status: int, error: str) -> None:
    """The answer is an error of ours, whole, and in the shape of the API that was called."""
    assert (answer.status, answer.header("x-headroom-error"), answer.complete) == (status, error, True), answer
    assert answer.header("content-type") == "application/json"
    shaped(answer.json(), target, status, error)


def shaped(body: dict[str, object], target: str, status: int, error: str) -> None:
    told_error = body["error"]
    assert isinstance(told_error, dict)
    assert told_error["message"]
    if target.startswith("/v1/messages"):
        assert body["type"] == "error"
        assert str(told_error["type"]).endswith("error")
    elif target.startswith("/v1beta"):
        assert told_error["code"] == status
        assert str(told_error["status"]).isupper()
    else:
        assert told_error["code"] == f"headroom_{error}"
        assert "param" in told_error


# --- before the answer has begun ---

BROKEN_HEADS = {
    "reset after the head": RESET_AFTER_HEAD,
    "reset after the body": RESET_AFTER_BODY,
    "closed after the body": CLOSE_AFTER_BODY,
    "half closed": Script((("half_close",), ("stall",))),
    "half a head": Script((("send", b"HTTP/1.1 200 OK\r\ncontent-le"), ("reset",))),
    "not HTTP": Script((("send", b"220 mail.test ESMTP\r\n\r\n"), ("close",))),
    "length is no number": Script((("send", b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\nx"), ("close",))),
    "two lengths": Script((("send", head(200, (("content-length", "1"), ("content-length", "2"))) + b"xx"),)),
    "a header too long": Script((("send", head(200, (("x", "y" * 200_000),))), ("close",))),
    "only interim answers": Script((("send", b"HTTP/1.1 103 Early Hints\r\n\r\n"), ("close",))),
}


@pytest.mark.parametrize("name", BROKEN_HEADS)
def test_without_an_answer_the_client_gets_an_error_in_its_apis_shape(
    name: str, shared_server: Server, upstream: Upstream
) -> None:
    for target in TARGETS:
        upstream.play(BROKEN_HEADS[name])
        before = len(upstream.requests)
        with Caller(shared_server.port) as caller:
            told(caller.ask("POST", target, (), b'{"stream":true}'), target, 502, "upstream_failed")
            assert len(upstream.requests) - before <= 1, "a POST is sent once"
            assert caller.ask("GET", "/v1/models").status == 200, "the client's connection goes on"


@pytest.mark.parametrize("target", TARGETS)
def test_a_connection_that_is_reset_as_it_opens_is_told_of(
    target: str, shared_server: Server, upstream: Upstream
) -> None:
    upstream.play(RESET_ON_CONNECT)
    told(ask(shared_server.port, "POST", target, (), b"{}"), target, 502, "upstream_failed")
    assert not upstream.requests


def test_an_upstream_that_nobody_serves_is_told_of_at_once(server: Callable[..., Server], upstream: Upstream) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    targets = {f"{name}_TARGET_API_URL": nowhere for name in ("ANTHROPIC", "OPENAI", "GEMINI")}
    alone = server(HEADROOM_WORKERS="1", **targets)
    for target in TARGETS:
        told(ask(alone.port, "POST", target, (), b"{}"), target, 502, "upstream_failed")
    assert stats(alone)["requests"]["failed"] == {"connect": len(TARGETS)}
    assert ask(alone.port, "GET", "/readyz").status == 200


def test_silence_before_the_head_ends_with_a_timeout(hasty: Server, upstream: Upstream) -> None:
    for target in TARGETS:
        upstream.play(STALL_AFTER_BODY)
        told(ask(hasty.port, "POST", target, (), b"{}"), target, 504, "upstream_timeout")
    assert len(upstream.requests) == len(TARGETS)
    upstream.wait_until(lambda it: it.open_connections == 0)


@pytest.mark.parametrize("target", ["/v1/messages", "/v1/files"])
def test_an_upstream_that_stops_reading_ends_with_a_timeout(target: str, hasty: Server, upstream: Upstream) -> None:
    upstream.play(Script((("deaf",), ("stall",)), when="head"))
    body = b'{"messages":"' + b"x" * (24 << 20) + b'"}'
    told(ask(hasty.port, "POST", target, (), body), target, 504, "upstream_timeout")


def test_a_connection_that_ended_while_idle_is_not_used_again(hasty: Server, upstream: Upstream) -> None:
    for _ in range(20):
        upstream.play(RESET_WHEN_IDLE)
        assert ask(hasty.port, "POST", "/v1/messages", (), b"{}").status == 200
        upstream.release("idle")
        upstream.wait_until(lambda it: it.open_connections == 0)
        upstream.settle()
        assert ask(hasty.port, "POST", "/v1/messages", (), b"{}").status == 200
        upstream.clear()


def test_an_answer_that_comes_before_the_upload_is_complete_is_relayed(
    shared_server: Server, upstream: Upstream
) -> None:
    refusal = reply(b'{"error":"too large"}', 413)
    upstream.play(Script((*refusal.steps, ("hold", "end"), ("close",)), when="head"))
    with Caller(shared_server.port) as caller:
        caller.write(request_bytes("POST", "/v1/files", (), b"x" * 1_000_000)[:500_000])
        answer = caller.answer()
        assert (answer.status, answer.body) == (413, b'{"error":"too large"}')
        upstream.release("end")
    upstream.wait_until(lambda it: it.open_connections == 0)


# --- after the answer has begun ---

CUT_ANSWERS: dict[str, tuple[Script, bytes]] = {
    "length not reached, closed": (CUT_SHORT, b'{"cut":'),
    "length not reached, reset": (Script((*CUT_SHORT.steps[:1], ("hold", "go"), ("reset",))), b'{"cut":'),
    "nothing after the head": (Script((("send", head(200, (*SSE, CHUNKED))), ("hold", "go"), ("reset",))), b""),
    "reset between two events": (begin([EVENT], ("reset",)), EVENT),
    "closed between two events": (begin([EVENT, EVENT], ("close",)), EVENT * 2),
    "closed inside an event": (begin([EVENT, b"event: con"], ("close",)), EVENT + b"event: con"),
    "a broken chunk": (Script((("send", head(200, (*SSE, CHUNKED))), ("hold", "go"), ("send", b"zz\r\n"))), b""),
    "cut inside a chunk": (Script((("send", head(200, (*SSE, CHUNKED)) + b"ff\r\n" + EVENT), ("close",))), EVENT),
}


@pytest.mark.parametrize("name", CUT_ANSWERS)
def test_an_answer_that_breaks_off_ends_without_a_proper_end(
    name: str, shared_server: Server, upstream: Upstream
) -> None:
    script, sent = CUT_ANSWERS[name]
    for target in TARGETS if ("hold", "go") not in script.steps else TARGETS[:1]:
        upstream.play(script)
        with Caller(shared_server.port) as caller:
            caller.write(request_bytes("POST", target, (), b'{"stream":true}'))
            answer = caller.begin()
            upstream.release("go")
            caller.finish(answer)
        assert (answer.status, answer.complete) == (200, False), target
        assert sent.startswith(answer.body), "only what the upstream said"
        if script.steps[-1] == ("close",):
            assert answer.body == sent, "all that the upstream said"


def test_what_came_with_a_close_is_all_delivered(shared_server: Server, upstream: Upstream) -> None:
    for _ in range(10):
        upstream.play(Script((("send", head(200, (*SSE, CHUNKED)) + chunk(EVENT) * 50), ("close",))))
        answer = ask(shared_server.port, "POST", "/v1/messages", (), b'{"stream":true}')
        assert (answer.body, answer.complete) == (EVENT * 50, False)


@pytest.mark.parametrize("split", [1, 2, len(EVENT)])
@pytest.mark.parametrize("target", TARGETS)
def test_a_stream_that_falls_silent_is_told_of_in_its_own_format(
    target: str, split: int, hasty: Server, upstream: Upstream
) -> None:
    upstream.play(begin([EVENT, EVENT[:-split] or EVENT, EVENT[-split:]], ("stall",)))
    answer = ask(hasty.port, "POST", target, (), b'{"stream":true}')
    assert not answer.complete
    extra = answer.body.removeprefix(EVENT * (3 if split == len(EVENT) else 2))
    assert extra.endswith(b"\n\n"), answer.body
    name, _, data = extra.rpartition(b"data: ")
    expected = b"event: error\n" if target in ("/v1/messages", "/v1/responses") else b""
    assert name == expected
    event = Answer(body=data).json()
    if target == "/v1/responses":
        assert (event["type"], event["code"]) == ("error", "headroom_upstream_timeout")
    else:
        shaped(event, target, 504, "upstream_timeout")
    upstream.wait_until(lambda it: it.open_connections == 0)


SILENT: dict[str, Script] = {
    "inside an event": begin([EVENT, b"event: content"], ("stall",)),
    "after one line end": begin([EVENT[:-1]], ("stall",)),
    "in a coded stream": begin([b"\x1f\x8b\n\n"], ("stall",), headers=(*SSE, ("content-encoding", "gzip"))),
    "at the start of a coded stream": begin([], ("stall",), headers=(*SSE, ("content-encoding", "br"))),
    "in a stream of known length": Script((("send", head(200, (*SSE, ("content-length", "900"))) + EVENT), ("stall",))),
    "in JSON": begin([b'{"a":1}\n\n'], ("stall",), headers=JSON),
}


@pytest.mark.parametrize("name", SILENT)
def test_where_no_event_fits_nothing_is_added(name: str, hasty: Server, upstream: Upstream) -> None:
    upstream.play(SILENT[name])
    answer = ask(hasty.port, "POST", "/v1/messages", (), b'{"stream":true}')
    assert (answer.status, answer.complete) == (200, False)
    assert b"headroom" not in answer.body
    assert b"error" not in answer.body


def test_a_slow_stream_lives_as_long_as_it_speaks(hasty: Server, upstream: Upstream) -> None:
    upstream.play(byte_by_byte(EVENT, delay_seconds=0.03))
    answer = ask(hasty.port, "POST", "/v1/messages", (), b'{"stream":true}')
    assert (answer.body, answer.complete) == (EVENT, True)
    drip = head(200, (*JSON, ("content-length", "3"))) + b"abc"
    upstream.play(Script((("drip", drip, 2, 0.02),)))
    assert ask(hasty.port, "POST", "/v1/messages", (), b"{}").body == b"abc"


# --- the client leaves ---


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "script", [STALL_AFTER_BODY, begin([EVENT], ("stall",)), CUT_SHORT], ids=["head", "stream", "body"]
)
@pytest.mark.parametrize("target", ["/v1/messages", "/v1/files"])
def test_a_client_that_leaves_ends_the_request_upstream(
    target: str, script: Script, how: str, shared_server: Server, upstream: Upstream
) -> None:
    upstream.play(Script((*script.steps[:-1], ("stall",))))
    with Caller(shared_server.port) as caller:
        caller.write(request_bytes("POST", target, (), b'{"stream":true}'))
        upstream.wait_until(lambda it: bool(it.requests) and it.requests[-1].complete)
        if script is not STALL_AFTER_BODY:
            assert caller.begin().status == 200
        caller.reset() if how == "reset" else caller.socket.close()
        upstream.wait_until(lambda it: it.open_connections == 0)
    eventually(lambda: quiet(shared_server))
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("target", ["/v1/messages", "/v1/files"])
def test_a_client_that_leaves_while_sending_leaves_nothing_behind(
    target: str, shared_server: Server, upstream: Upstream
) -> None:
    gone = stats(shared_server)["requests"]["by_outcome"].get("client_gone", 0)
    with Caller(shared_server.port) as caller:
        caller.write(request_bytes("POST", target, (), b"x" * 500_000)[:400_000])
        if target == "/v1/files":
            upstream.wait_until(lambda it: bool(it.requests))
    eventually(lambda: quiet(shared_server))
    upstream.wait_until(lambda it: it.open_connections == 0)
    assert not any(request.complete for request in upstream.requests)
    assert stats(shared_server)["requests"]["by_outcome"]["client_gone"] == gone + 1


def test_a_client_that_stops_sending_gets_a_timeout(hasty: Server, upstream: Upstream) -> None:
    for target in ("/v1/messages", "/v1/files"):
        with Caller(hasty.port) as caller:
            caller.write(request_bytes("POST", target, (), b"x" * 1000)[:-10])
            told(caller.answer(), target, 408, "body_timeout")
    assert not any(request.complete for request in upstream.requests)
    upstream.wait_until(lambda it: it.open_connections == 0)


def test_many_clients_that_leave_at_once_leave_the_pool_whole(
    server: Callable[..., Server], upstream: Upstream
) -> None:
    small = server(HEADROOM_WORKERS="1", HEADROOM_MAX_CONNECTIONS="4", HEADROOM_MAX_KEEPALIVE="4")
    upstream.play(begin([EVENT], ("stall",)), times=None, body=b"stall")
    for _ in range(5):
        callers = [Caller(small.port) for _ in range(40)]
        for caller in callers:
            caller.write(request_bytes("POST", "/v1/messages", (), b'"stall"'))
        upstream.wait_until(lambda it: it.open_connections == 4)
        for caller in callers:
            caller.reset()
        eventually(lambda: quiet(small))
    upstream.wait_until(lambda it: it.open_connections == 0)
    held = begin([EVENT], ("hold", "all"))
    upstream.play(Script((*held.steps, ("send", last_chunk()))), times=None, body=b"hold")
    callers = [Caller(small.port) for _ in range(4)]
    for caller in callers:
        caller.write(request_bytes("POST", "/v1/messages", (), b'"hold"'))
    answers = [caller.begin() for caller in callers]  # all four are served at once
    upstream.release("all")
    assert all(caller.finish(answer).complete for caller, answer in zip(callers, answers, strict=True))
    for caller in callers:
        caller.socket.close()
