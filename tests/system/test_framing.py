"""Heads stay within their bound, and no request can be read as two or as another one."""

from collections.abc import Iterator

import pytest

from bench.processes import Server
from tests.fakes.client import Caller, ask, request_bytes
from tests.fakes.scripts import Script, reply
from tests.fakes.upstream import Upstream
from tests.system.conftest import Start, starting
from tests.system.own_answers import own_answers_only
from tests.system.patience import eventually, stats

LIMIT = 8192
BODY = b'{"model": "m", "messages": []}'
POST = b"POST /v1/messages HTTP/1.1\r\nhost: a\r\n"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def place(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("framing")) as start:
        yield start(HEADROOM_WORKERS="1", HEADROOM_HEADER_BYTES_MAX=str(LIMIT))


def refused(port: int, wire: bytes) -> int:
    """The status with which `wire` is refused; the connection must end after it."""
    with Caller(port) as caller:
        caller.write(wire)
        answer = caller.answer()
        assert caller.more() == b"", "the connection is closed"
        error = answer.json()["error"]
        assert error["message"]
        assert error["code"] == "headroom_" + answer.header("x-headroom-error")
        return answer.status


LONG_HEADS = {
    "one header": [(b"x-long", b"a" * LIMIT)],
    "many headers": [(b"x-%d" % number, b"a" * 40) for number in range(LIMIT // 40)],
    "a long name": [(b"x-" + b"a" * LIMIT, b"1")],
    "empty headers": [(b"x", b"")] * (LIMIT // 4),
}


@pytest.mark.parametrize("name", LONG_HEADS)
def test_a_head_that_is_too_long_is_refused(name: str, place: Server, upstream: Upstream) -> None:
    assert refused(place.port, request_bytes("POST", "/v1/messages", LONG_HEADS[name], BODY)) == 431
    assert not upstream.requests


def test_a_target_that_is_too_long_is_refused(place: Server, upstream: Upstream) -> None:
    assert refused(place.port, request_bytes("GET", "/v1/models?" + "a" * LIMIT)) == 431
    assert not upstream.requests


def test_a_head_below_the_limit_goes_through_whole(place: Server, upstream: Upstream) -> None:
    headers = [(b"x-%d" % number, b"a" * 400) for number in range(17)]
    for _ in range(3):
        assert ask(place.port, "POST", "/v1/messages", headers, BODY).status == 200
    assert all(upstream.requests[-1].header(f"x-{number}") == "a" * 400 for number in range(17))


def test_by_default_heads_of_60_kib_go_through(shared_server: Server, upstream: Upstream) -> None:
    assert ask(shared_server.port, "GET", "/v1/models", [(b"x-long", b"a" * 60_000)]).status == 200
    assert upstream.requests[-1].header("x-long") == "a" * 60_000


@pytest.mark.parametrize("part", [b"a: b\r\n", b"a"], ids=["headers", "one value"])
def test_a_head_without_end_is_refused_while_it_comes(part: bytes, place: Server) -> None:
    with Caller(place.port) as caller:
        caller.write(b"GET /v1/models HTTP/1.1\r\nx: ")
        sent = 0
        try:
            while sent < (64 << 20):
                caller.write(part * 10_000)
                sent += len(part) * 10_000
        except ConnectionError:
            pass
        assert sent < (16 << 20)


@pytest.mark.parametrize(
    "tail",
    [b"0\r\n" + b"x: y\r\n", b"0\r\nx: " + b"a", b"3;" + b"a"],
    ids=["trailers", "one trailer", "chunk extension"],
)
def test_what_follows_a_body_without_end_is_refused_while_it_comes(tail: bytes, place: Server) -> None:
    with Caller(place.port) as caller:
        caller.write(POST + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n" + tail)
        sent = 0
        repeated = b"x: y\r\n" if tail.endswith(b"\n") else b"a"
        try:
            while sent < (64 << 20):
                caller.write(repeated * 10_000)
                sent += len(repeated) * 10_000
        except ConnectionError:
            pass
        assert sent < (16 << 20)


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (POST + b"transfer-encoding: gzip, chunked\r\n\r\n" + CHUNKS, 501),
        (POST + b"transfer-encoding: xchunked\r\n\r\n" + CHUNKS, 501),
        (POST + b"transfer-encoding: identity\r\n\r\n" + CHUNKS, 501),
        (POST.replace(b"1.1", b"1.0") + b"transfer-encoding: chunked\r\n\r\n" + CHUNKS, 400),
        (POST.replace(b"1.1", b"2.0") + b"content-length: 3\r\n\r\nabc", 400),
        (POST + b"transfer-encoding : chunked\r\n\r\n" + CHUNKS, 400),
        (POST + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n" + CHUNKS, 400),
        (POST + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n" + CHUNKS, 400),
        (POST + b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc", 400),
        (POST + b"content-length: 3, 3\r\n\r\nabc", 400),
        (POST + b"content-length: +3\r\n\r\nabc", 400),
        (POST + b"content-length: 99999999999999999999\r\n\r\nabc", 400),
        (POST + b"transfer-encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n", 400),
        (POST + b"transfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", 400),
        (POST + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n", 400),
        (POST + b"transfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400),
        (POST + b"transfer-encoding: chunked\r\n\r\n3\nabc\n0\n\n", 400),
        (POST.replace(b"\r", b"") + b"content-length: 3\n\nabc", 400),
        (POST + b"x: a\x00b\r\n\r\n", 400),
        (POST + b"x: a\rb\r\n\r\n", 400),
    ],
)
def test_framing_that_could_be_read_in_two_ways_is_refused(
    wire: bytes, status: int, place: Server, upstream: Upstream
) -> None:
    behind = request_bytes("GET", "/v1/files/smuggled")
    assert refused(place.port, wire + behind) == status
    assert not any(request.complete or "smuggled" in request.target for request in upstream.requests)


UNREADABLE = {
    "bad_request": POST + b"content-length: +3\r\n\r\nabc",
    "head_too_large": request_bytes("GET", "/v1/models", [(b"x", b"a" * LIMIT)]),
    "unknown_transfer_coding": POST + b"transfer-encoding: gzip, chunked\r\n\r\n" + CHUNKS,
}


@pytest.mark.parametrize("code", UNREADABLE)
def test_what_cannot_be_read_is_counted_and_logged_by_its_reason(code: str, place: Server) -> None:
    before = stats(place)["requests"]
    with Caller(place.port) as caller:
        caller.write(UNREADABLE[code])
        answer = caller.answer()
    assert answer.header("x-headroom-error") == code
    after = stats(place)["requests"]
    assert after["refused"][code] == before["refused"].get(code, 0) + 1
    assert after["by_outcome"]["refused"] == before["by_outcome"].get("refused", 0) + 1
    assert after["in_flight"] == before["in_flight"]
    eventually(lambda: answer.header("x-headroom-request-id") in place.log.read_text())


@pytest.mark.parametrize("target", ["/v1/messages", "/v1/files"])
def test_a_body_that_cannot_be_read_is_counted_once_and_as_refused(
    target: str, place: Server, upstream: Upstream
) -> None:
    before = stats(place)["requests"]
    with Caller(place.port) as caller:
        caller.write(b"POST %b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n" % target.encode())
        if target == "/v1/files":
            upstream.wait_until(lambda self: len(self.requests) == 1)
        caller.write(b"zz\r\n")
        assert caller.answer("POST").status == 400
    eventually(lambda: stats(place)["requests"]["in_flight"] == 0)
    after = stats(place)["requests"]
    assert after["refused"]["bad_request"] == before["refused"].get("bad_request", 0) + 1
    assert after["by_outcome"].get("client_gone", 0) == before["by_outcome"].get("client_gone", 0)


@pytest.mark.parametrize("target", ["/v1/messages", "/v1/files"])
def test_fields_behind_a_body_never_become_headers(target: str, place: Server, upstream: Upstream) -> None:
    head = b"POST %b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" % target.encode()
    trailers = b"authorization: Bearer theirs\r\nx-headroom-bypass: true\r\ncontent-encoding: gzip\r\n"
    with Caller(place.port) as caller:
        caller.write(head + b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY) + trailers + b"\r\n")
        assert caller.answer("POST").status == 200
        got = upstream.requests[-1]
        assert got.body == BODY
        assert not {"authorization", "x-headroom-bypass", "content-encoding"} & {
            line.split(b":")[0].decode().lower() for line in got.head.split(b"\r\n")
        }
        assert caller.ask("GET", "/v1/models", [(b"x-next", b"1")]).status == 200, "the connection goes on"
        assert upstream.requests[-1].header("x-next") == "1"


def test_a_long_upload_that_was_answered_early_is_no_endless_head(place: Server, upstream: Upstream) -> None:
    with Caller(place.port) as caller:
        caller.write(b"POST /nowhere HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n")
        assert caller.answer("POST").status == 404
        caller.write(b"x" * 1_000_000)
        assert caller.ask("GET", "/v1/models").status == 200


def test_a_body_that_breaks_on_its_way_ends_the_request_upstream_too(place: Server, upstream: Upstream) -> None:
    head = b"POST /v1/files HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    with Caller(place.port) as caller:
        caller.write(head + b"3\r\nabc\r\n")
        upstream.wait_until(lambda self: len(self.requests) == 1)
        caller.write(b"zz\r\n")
        assert caller.answer("POST").status == 400
        assert caller.more() == b""
    upstream.wait_until(lambda self: self.open_connections == 0)
    assert not upstream.requests[-1].complete


OFFER = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: %b\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"


@pytest.mark.parametrize("offer", [b"h2c", b"websocket", b"TLS/1.0"])
@pytest.mark.parametrize("target", [b"/v1/messages", b"/v1/files"])
def test_an_upgrade_beside_a_body_is_ignored_and_the_body_read(
    target: bytes, offer: bytes, place: Server, upstream: Upstream
) -> None:
    hidden = b'{"model":"m","messages":[]}' if target == b"/v1/messages" else request_bytes("GET", "/v1/files/smuggled")
    head = b"POST %b HTTP/1.1\r\nhost: a\r\n" % target + OFFER % offer + b"content-length: %d\r\n\r\n" % len(hidden)
    with Caller(place.port) as caller:
        caller.write((head + hidden) * 2 + request_bytes("GET", "/v1/models"))
        assert [caller.answer(method).status for method in ("POST", "POST", "GET")] == [200, 200, 200]
        assert caller.ask("GET", "/v1/models").status == 200
    assert [(got.target, got.body) for got in upstream.requests] == [
        (target.decode(), hidden),
        (target.decode(), hidden),
        ("/v1/models", b""),
        ("/v1/models", b""),
    ]
    names = {name.lower() for name, _ in upstream.requests[0].headers}
    assert not names & {"connection", "upgrade", "http2-settings"}


def test_many_clients_that_offer_h2c_get_their_own_answers(server: Start, upstream: Upstream) -> None:
    """What Java's HTTP client sends to http:// addresses, over two workers."""
    own_answers_only(server().port, upstream)


@pytest.mark.parametrize(
    ("wire", "status", "code"),
    [
        (b"CONNECT api.test:443 HTTP/1.1\r\nhost: api.test:443\r\n\r\n", 501, "method_not_relayed"),
        (b"CONNECT / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc", 501, "method_not_relayed"),
        (b"TRACE /v1/models HTTP/1.1\r\nhost: a\r\n\r\n", 501, "method_not_relayed"),
        (b"DESCRIBE /v1/models RTSP/1.0\r\nhost: a\r\n\r\n", 501, "method_not_relayed"),
        (b"GET /v1/models HTTP/1.1\r\n\r\n", 400, "bad_host"),
        (b"GET /v1/models HTTP/1.1\r\nhost: a\r\nHost: a\r\n\r\n", 400, "bad_host"),
        (b"GET /v1/models HTTP/1.0\r\nhost: a\r\nHost: b\r\n\r\n", 400, "bad_host"),
        (b"GET /v1/models HTTP/1.1\r\nhost: a b\r\n\r\n", 400, "bad_host"),
        (b"GET /v1/models HTTP/1.1\r\nhost: a/b\r\n\r\n", 400, "bad_host"),
        (b"GET /v1/models HTTP/1.1\r\nhost: user@a\r\n\r\n", 400, "bad_host"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad_request"),
        (b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n", 404, "unknown_path"),
    ],
)
def test_methods_and_hosts_that_mean_another_server_are_refused(
    wire: bytes, status: int, code: str, place: Server, upstream: Upstream
) -> None:
    before = stats(place)["requests"]["refused"].get(code, 0)
    with Caller(place.port) as caller:
        caller.write(wire + (request_bytes("GET", "/v1/files/smuggled") if status in (400, 501) else b""))
        answer = caller.answer()
        assert (answer.status, answer.header("x-headroom-error")) == (status, code)
        if status in (400, 501):
            assert answer.json()["error"]["message"]
            assert caller.more() == b"", "the connection is closed"
            assert not upstream.requests
    if code:
        assert stats(place)["requests"]["refused"][code] == before + 1
        eventually(lambda: place.log.read_text().count(answer.header("x-headroom-request-id")) == 1)


@pytest.mark.parametrize(
    "host", [b"a", b"a:80", b"[::1]:8787", b"127.0.0.1", b"", b"a_b.test", b"xn--bcher-kva.test:1"]
)
def test_proper_hosts_go_through(host: bytes, place: Server, upstream: Upstream) -> None:
    with Caller(place.port) as caller:
        caller.write(b"GET /v1/models HTTP/1.1\r\nhost: %b\r\n\r\n" % host)
        assert caller.answer().status == 200
    assert len(upstream.requests) == 1


def test_an_earlier_request_gets_its_answer_before_the_refusal(place: Server, upstream: Upstream) -> None:
    upstream.play(Script((("hold", "first"), *reply().steps)))
    with Caller(place.port) as caller:
        caller.write(request_bytes("POST", "/v1/messages", (), BODY) + b"TRACE / HTTP/1.1\r\nhost: a\r\n\r\n")
        upstream.wait_until(lambda self: len(self.requests) == 1)
        upstream.release("first")
        assert caller.answer("POST").status == 200
        assert (caller.answer().status, caller.more()) == (501, b"")


def test_an_absolute_target_goes_to_the_upstream_of_the_settings(place: Server, upstream: Upstream) -> None:
    with Caller(place.port) as caller:
        caller.write(b"GET http://evil.test/v1/models?x=1 HTTP/1.1\r\nhost: other.test\r\n\r\n")
        assert caller.answer().status == 200
    assert upstream.requests[-1].target == "/v1/models?x=1"
    assert upstream.requests[-1].header("host").startswith("127.0.0.1")
