"""A request goes up once; only an upstream that says it is too busy is asked again, and only if settings allow it."""

from collections.abc import Iterator

import pytest

from bench.processes import Server
from tests.fakes.client import Caller, ask, request_bytes
from tests.fakes.scripts import CLOSE_AFTER_BODY, JSON, RESET_AFTER_BODY, reply
from tests.fakes.upstream import Upstream
from tests.system.conftest import starting
from tests.system.patience import eventually, quiet, stats

BODY = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
NOW = (*JSON, ("retry-after", "0"), ("request-id", "req_1"))
BUSY = reply(b'{"error": "busy"}', 429, NOW)


@pytest.fixture(scope="module")
def patient(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker that asks again up to twice, and has saved up for it."""
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("patient")) as start:
        yield start(HEADROOM_WORKERS="1", HEADROOM_RETRY_ATTEMPTS_MAX="2", HEADROOM_RETRY_DELAY_SECONDS_MAX="0.5")


def save_up(server: Server, upstream: Upstream) -> None:
    """Enough requests that went well for two retries."""
    for _ in range(20):
        ask(server.port, "POST", "/v1/messages", (), BODY)
    upstream.requests.clear()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("fault", [RESET_AFTER_BODY, CLOSE_AFTER_BODY], ids=["reset", "closed"])
def test_no_method_goes_up_twice_after_a_fault(
    method: str, fault: object, shared_server: Server, upstream: Upstream
) -> None:
    with Caller(shared_server.port) as caller:
        assert caller.ask(method, "/v1/files/f").status == 200
        upstream.requests.clear()
        upstream.play(fault, times=None)  # type: ignore[arg-type]
        assert caller.ask(method, "/v1/files/f").status == 502
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("fault", [RESET_AFTER_BODY, CLOSE_AFTER_BODY], ids=["reset", "closed"])
def test_a_handshake_does_not_go_up_twice_after_a_fault(
    fault: object, shared_server: Server, upstream: Upstream
) -> None:
    upgrade = ((b"connection", b"upgrade"), (b"upgrade", b"websocket"), (b"sec-websocket-version", b"13"))
    key = (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==")
    with Caller(shared_server.port) as caller:
        assert caller.ask("GET", "/v1/models").status == 200
    upstream.requests.clear()
    upstream.play(fault, times=None)  # type: ignore[arg-type]
    assert ask(shared_server.port, "GET", "/v1/responses", (*upgrade, key)).status == 502
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("status", [429, 529])
def test_by_default_a_refusal_is_relayed_at_once(status: int, shared_server: Server, upstream: Upstream) -> None:
    upstream.play(reply(b'{"error": "busy"}', status, NOW), times=None)
    answer = ask(shared_server.port, "POST", "/v1/messages", (), BODY)
    assert (answer.status, answer.body, answer.header("retry-after")) == (status, b'{"error": "busy"}', "0")
    assert len(upstream.requests) == 1


def test_a_busy_upstream_is_asked_again_with_the_same_bytes(patient: Server, upstream: Upstream) -> None:
    save_up(patient, upstream)
    before = stats(patient)["requests"]["total"]
    upstream.play(BUSY, BUSY, reply(b'{"fine": 1}'))
    answer = ask(patient.port, "POST", "/v1/messages", (), BODY)
    assert (answer.status, answer.body) == (200, b'{"fine": 1}')
    assert [request.body for request in upstream.requests] == [BODY] * 3
    assert len({request.head for request in upstream.requests}) == 1
    assert len({request.connection for request in upstream.requests}) == 1, "a refusal holds no connection"
    assert stats(patient)["requests"]["total"] == before + 1


def test_in_the_end_the_upstreams_own_answer_comes_back(patient: Server, upstream: Upstream) -> None:
    save_up(patient, upstream)
    last = reply(b'{"error": "still busy"}', 529, (*NOW, ("x-ratelimit-reset", "9")))
    upstream.play(BUSY, BUSY, last, BUSY)
    answer = ask(patient.port, "POST", "/v1/messages", (), BODY)
    assert (answer.status, answer.body) == (529, b'{"error": "still busy"}')
    assert (answer.header("x-ratelimit-reset"), answer.header("request-id")) == ("9", "req_1")
    assert len(upstream.requests) == 3


@pytest.mark.parametrize("fault", [RESET_AFTER_BODY, CLOSE_AFTER_BODY], ids=["reset", "closed"])
def test_what_the_upstream_said_stands_if_asking_again_fails(
    fault: object, patient: Server, upstream: Upstream
) -> None:
    save_up(patient, upstream)
    upstream.play(BUSY, fault, BUSY)  # type: ignore[arg-type]
    answer = ask(patient.port, "POST", "/v1/messages", (), BODY)
    assert (answer.status, answer.body, answer.complete) == (429, b'{"error": "busy"}', True)
    assert len(upstream.requests) == 2


def test_a_pause_that_is_too_long_is_left_to_the_client(patient: Server, upstream: Upstream) -> None:
    save_up(patient, upstream)
    upstream.play(reply(b"{}", 429, (*JSON, ("retry-after", "30"))), times=None)
    assert ask(patient.port, "POST", "/v1/messages", (), BODY).header("retry-after") == "30"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("target", ["/v1/images/edits", "/v1/files"])
def test_an_upload_that_was_not_kept_is_not_sent_again(target: str, patient: Server, upstream: Upstream) -> None:
    save_up(patient, upstream)
    upstream.play(BUSY, times=None)
    assert ask(patient.port, "POST", target, (), b"x" * 1000).status == 429
    assert len(upstream.requests) == 1


def test_a_client_that_leaves_during_the_pause_is_noticed(patient: Server, upstream: Upstream) -> None:
    save_up(patient, upstream)
    upstream.play(reply(b"{}", 429, (*JSON, ("retry-after", "0.5"))), times=None)
    with Caller(patient.port) as caller:
        caller.write(request_bytes("POST", "/v1/messages", (), BODY))
        upstream.wait_until(lambda self: len(self.requests) == 1)
    eventually(lambda: quiet(patient))
    assert len(upstream.requests) == 1
