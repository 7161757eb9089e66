"""What a worker takes on has bounds, and beyond them it says so in the shape of the API, at once."""

from collections.abc import Callable
from contextlib import ExitStack

import msgspec
import pytest

from bench.processes import Server
from tests.fakes.client import Answer, Caller, request_bytes
from tests.fakes.scripts import Script, begin, last_chunk, reply
from tests.fakes.upstream import Upstream
from tests.system.patience import eventually, quiet, stats

HELD = Script((*begin([b"data: 1\n\n"], ("hold", "all")).steps, ("send", last_chunk())))
TARGETS = ("/v1/messages", "/v1/chat/completions", "/v1beta/models/m:generateContent")


def refused(answer: Answer, status: int, code: str) -> bool:
    assert (answer.status, answer.header("x-headroom-error"), answer.complete) == (status, code, True), answer
    error = answer.json()["error"]
    return bool(error["message"]) and ("type" in error or error["code"] == status)


def test_requests_above_the_limit_are_refused_and_idle_connections_count_for_nothing(
    server: Callable[..., Server], upstream: Upstream
) -> None:
    small = server(HEADROOM_WORKERS="1", HEADROOM_LIMIT_CONCURRENCY="2")
    upstream.play(HELD, times=2, path="/v1/messages")
    with ExitStack() as open_callers:
        idle = [open_callers.enter_context(Caller(small.port)) for _ in range(50)]
        assert all(caller.ask("GET", "/livez").status == 200 for caller in idle)
        busy = [open_callers.enter_context(Caller(small.port)) for _ in range(2)]
        for caller in busy:
            caller.write(request_bytes("POST", "/v1/messages", (), b"{}"))
        begun = [caller.begin() for caller in busy]
        for target in TARGETS:
            answer = idle[0].ask("POST", target, (), b"{}")
            assert refused(answer, 503, "overloaded")
            assert answer.header("retry-after") == "1"
        for path in ("/livez", "/readyz", "/health", "/stats", "/metrics"):
            assert idle[1].ask("GET", path).status == 200
        requests = stats(small)["requests"]
        assert (requests["in_flight"], requests["refused"]) == (2, {"overloaded": len(TARGETS)})
        upstream.release("all")
        assert all(caller.finish(answer).complete for caller, answer in zip(busy, begun, strict=True))
        assert idle[0].ask("POST", "/v1/messages", (), b"{}").status == 200
    assert len(upstream.requests) == 3


@pytest.fixture
def narrow(server: Callable[..., Server]) -> Server:
    """A server that takes bodies of 2 KiB, and 3,000 bytes of them at once."""
    limits = {"HEADROOM_BODY_BYTES_MAX": "2048", "HEADROOM_BODY_BYTES_IN_FLIGHT_MAX": "3000"}
    return server(HEADROOM_WORKERS="1", **limits)


def test_bodies_have_their_bounds(narrow: Server, upstream: Upstream) -> None:
    with Caller(narrow.port) as caller:
        for target in TARGETS:
            for chunked in (False, True):
                answer = caller.ask("POST", target, (), b"x" * 2049, chunked)
                assert refused(answer, 413, "body_too_large")
            assert caller.ask("POST", target, (), b"x" * 2048).status == 200, "the connection goes on"
        # What streams through is not held, so it has no bound.
        assert caller.ask("POST", "/v1/files", (), b"x" * 100_000).status == 200
    assert {len(request.body) for request in upstream.requests} == {2048, 100_000}


def test_a_body_announced_as_too_long_is_refused_before_it_comes(narrow: Server) -> None:
    with Caller(narrow.port) as caller:
        caller.write(b"POST /v1/messages HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 99999\r\n\r\n")
        assert refused(caller.answer(), 413, "body_too_large")


def test_bodies_in_progress_have_a_bound_together(narrow: Server, upstream: Upstream) -> None:
    with Caller(narrow.port) as slow, Caller(narrow.port) as other:
        slow.write(request_bytes("POST", "/v1/messages", (), b"x" * 2000)[:-1])
        eventually(lambda: stats(narrow)["requests"]["in_flight"] == 1)
        eventually(lambda: other.ask("POST", "/v1/messages", (), b"y" * 1500).status == 503)
        assert refused(other.ask("POST", "/v1/messages", (), b"y" * 1500), 503, "overloaded")
        assert other.ask("POST", "/v1/messages", (), b"y" * 500).status == 200
        slow.write(b"x")
        assert slow.answer().status == 200
        assert other.ask("POST", "/v1/messages", (), b"y" * 2000).status == 200, "what was held is free again"
    eventually(lambda: quiet(narrow))


@pytest.mark.parametrize("kept", [0, 3])
def test_idle_upstream_connections_are_held_to_their_number(
    kept: int, server: Callable[..., Server], upstream: Upstream
) -> None:
    pooled = server(HEADROOM_WORKERS="1", HEADROOM_MAX_KEEPALIVE=str(kept))
    upstream.play(HELD, times=12)
    with ExitStack() as open_callers:
        callers = [open_callers.enter_context(Caller(pooled.port)) for _ in range(12)]
        for caller in callers:
            caller.write(request_bytes("POST", "/v1/messages", (), b"{}"))
        begun = [caller.begin() for caller in callers]
        assert upstream.open_connections == 12
        upstream.release("all")
        assert all(caller.finish(answer).complete for caller, answer in zip(callers, begun, strict=True))
        upstream.wait_until(lambda it: it.open_connections == kept)
        upstream.play(reply(), times=5)
        for caller in callers[:5]:
            assert caller.ask("POST", "/v1/messages", (), b"{}").status == 200
        upstream.wait_until(lambda it: it.open_connections == kept)
    assert len(upstream.connections) == (12 if kept else 17)


def test_compression_gives_way_before_anything_is_refused(server: Callable[..., Server], upstream: Upstream) -> None:
    small = server(HEADROOM_WORKERS="1", HEADROOM_LIMIT_CONCURRENCY="10")
    upstream.play(HELD, times=9, body=b"hold")

    def asked(caller: Caller, name: str) -> Answer:
        lines = "\\n".join(f"{line:6}→    {name}_{line} = compute_{line}(mode='fast')" for line in range(1, 80))
        result = f'{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","content":"{lines}"}}]}}'
        return caller.ask("POST", "/v1/messages", (), f'{{"messages":[{result}]}}'.encode())

    with ExitStack() as open_callers:
        callers = [open_callers.enter_context(Caller(small.port)) for _ in range(9)]
        asker = open_callers.enter_context(Caller(small.port))
        assert asked(asker, "idle").header("x-headroom-decision") == "rewritten; reason=smaller"
        for caller in callers:
            caller.write(request_bytes("POST", "/v1/messages", (), b'"hold"'))
        begun = [caller.begin() for caller in callers]
        crowded = asked(asker, "crowded")
        assert (crowded.status, crowded.header("x-headroom-decision")) == (200, "passthrough; reason=busy")
        assert asked(asker, "idle").header("x-headroom-decision") == "rewritten; reason=smaller", "as it was before"
        upstream.release("all")
        assert all(caller.finish(answer).complete for caller, answer in zip(callers, begun, strict=True))
        eventually(lambda: stats(small)["requests"]["in_flight"] == 0)
        assert asked(asker, "crowded").header("x-headroom-decision") == "passthrough; reason=busy", "and stays so"
    assert stats(small)["requests"]["refused"] == {}


def test_who_may_not_see_the_figures_is_counted_and_logged(server: Callable[..., Server]) -> None:
    running = server(HEADROOM_WORKERS="1")
    with Caller(running.port) as caller:
        caller.write(b"GET /stats?key=canary HTTP/1.1\r\nhost: evil.test\r\n\r\n")
        answer = caller.answer()
    assert (answer.status, answer.header("x-headroom-error")) == (421, "unknown_host")
    assert stats(running)["requests"]["refused"] == {"unknown_host": 1}
    request_id = answer.header("x-headroom-request-id")
    eventually(lambda: request_id in running.log.read_text())
    line = next(line for line in running.log.read_bytes().splitlines() if request_id.encode() in line)
    told = msgspec.json.decode(line)
    assert (told["level"], told["method"], told["path"], told["status"]) == ("warning", "GET", "/stats", 421)
