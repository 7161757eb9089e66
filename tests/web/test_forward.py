"""Between client and upstream nothing is added, dropped, mended or held back, but what belongs to one connection."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.fakes.client import HOST, Answer, Caller, Headers, ask, request_bytes
from tests.fakes.scripts import SSE, Script, chunk, head, last_chunk, reply, stream
from tests.fakes.upstream import Upstream
from tests.system.conftest import starting

OURS = {b"x-headroom-request-id", b"server-timing", b"x-headroom-decision", b"x-accel-buffering"}
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def port(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where one server listens, the same for all tests here."""
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("server")) as start:
        yield start().port


def lowered(headers: Headers) -> Counter[tuple[bytes, bytes]]:
    return Counter((name.lower(), value) for name, value in headers)


def theirs(answer: Answer) -> list[tuple[bytes, bytes]]:
    """The headers of an answer that are not ours."""
    return [(name, value) for name, value in answer.headers if name not in OURS]


# --- towards the upstream ---


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "POST", "PROPFIND"])
def test_any_method_goes_through(method: str, port: int, upstream: Upstream) -> None:
    upstream.play(reply(b"done"))
    answer = ask(port, method, "/v1/files/file-1")
    assert (answer.status, answer.body) == (200, b"done")
    got = upstream.requests[-1]
    assert (got.method, got.target, got.framing) == (method, "/v1/files/file-1", "none")


def test_head_has_the_head_and_no_body(port: int, upstream: Upstream) -> None:
    upstream.play(Script((("send", head(200, (("content-length", "12345"), ("etag", "x")))),)))
    with Caller(port) as caller:
        answer = caller.ask("HEAD", "/v1/models")
        assert theirs(answer) == [(b"content-length", b"12345"), (b"etag", b"x")]
        assert caller.ask("GET", "/v1/models").complete, "the connection goes on"


@pytest.mark.parametrize(
    "target",
    [
        "/v1/models?a=%2F&b",
        "/v1/models?q=%E2%9C%93&q=%e2%9c%93&empty=&=x&&;p=1",
        "/v1/models?u=http://a/b?c=d#no".partition("#")[0],
        "/v1/models?brackets[]=1&pipe=|&quote='%27%22&plus=+%20&at=@:",
        "/v1/files//double//slash",
        "/v1/files/./a/%2e/b..c",
        "/v1/files/%41%2f%3F%23;v=1,2",
        "/v1/files/a:b@c!$&'()*+,~",
        "/v1beta/models/gemini-3-pro:generateContent?alt=sse&%24alt=json",
        "/api/organizations/x?%zz=%",
    ],
)
def test_a_target_goes_on_as_it_is_spelled(target: str, port: int, upstream: Upstream) -> None:
    assert ask(port, "GET", target).status == 200
    assert upstream.requests[-1].target == target


def test_a_target_that_names_another_host_changes_nothing(port: int, upstream: Upstream) -> None:
    headers = ((b"x-forwarded-host", b"evil.test"), (b"forwarded", b"host=evil.test"))
    assert ask(port, "GET", "http://evil.test:1/v1/models?x=1", headers).status == 200
    got = upstream.requests[-1]
    assert got.target == "/v1/models?x=1"
    assert got.header("host") == f"127.0.0.1:{upstream.port}"


@pytest.mark.parametrize(
    "target", ["*", "/", "", "/v1@evil.test/models", "@evil.test/v1/models", "//evil.test/v1/models"]
)
def test_a_path_of_no_api_is_answered_here(target: str, port: int, upstream: Upstream) -> None:
    assert 400 <= ask(port, "OPTIONS", target).status < 500
    assert not upstream.requests


SENT = (
    (b"Authorization", b"Bearer sk-ant-oat01-x"),
    (b"X-Api-Key", b"sk-ant-1"),
    (b"anthropic-version", b"2023-06-01"),
    (b"anthropic-beta", b"context-1m-2025-08-07, not-known-yet"),
    (b"anthropic-beta", b"second-line"),
    (b"X-Claude-Code-Session-Id", b"5d0f"),
    (b"x-stainless-retry-count", b"0"),
    (b"x-codex-turn-state", b"abc=="),
    (b"session_id", b"under_score"),
    (b"chatgpt-account-id", b"a"),
    (b"User-Agent", b"claude-cli/2.0.1 (external, cli)"),
    (b"Accept", b"text/event-stream"),
    (b"Accept-Encoding", b"gzip, deflate, br, zstd"),
    (b"Cookie", b"a=b; c=d"),
    (b"cookie", b"e=f"),
    (b"Content-Type", b"application/json"),
    (b"X-Empty", b""),
    (b"X-Unicode", "grün ✓".encode()),
    (b"x-forwarded-for", b"10.0.0.1"),
)
DROPPED = (
    (b"Connection", b"keep-alive, X-Mine , x-other"),
    (b"X-Mine", b"1"),
    (b"x-other", b"2"),
    (b"Keep-Alive", b"timeout=5"),
    (b"Proxy-Authorization", b"Basic eA=="),
    (b"Proxy-Connection", b"keep-alive"),
    (b"TE", b"trailers"),
    (b"Trailer", b"x-sum"),
    (b"X-Headroom-Bypass", b"true"),
    (b"X-Headroom-Token", b"not asked for"),
)


@pytest.mark.parametrize("target", ["/v1/messages", "/v1/images/edits"])
def test_the_upstream_gets_the_clients_headers_and_no_other(target: str, port: int, upstream: Upstream) -> None:
    body = b'{"messages":[{"role":"user","content":"hi"}]}'
    ask(port, "POST", target, (*SENT, *DROPPED), body)
    framing = ((b"host", b"127.0.0.1:%d" % upstream.port), (b"content-length", b"%d" % len(body)))
    assert lowered(upstream.requests[-1].headers) == lowered((*SENT, *framing))


def test_a_request_without_headers_gets_none(port: int, upstream: Upstream) -> None:
    ask(port, "GET", "/v1/models")
    assert upstream.requests[-1].headers == [(b"Host", b"127.0.0.1:%d" % upstream.port)]


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_arrives_while_it_is_still_being_sent(chunked: bool, port: int, upstream: Upstream) -> None:
    data = bytes(range(256)) * (5 * MEGABYTE // 256)
    wire = request_bytes("POST", "/v1/files", (), data, chunked)
    with Caller(port) as caller:
        caller.write(wire[:-100_000])
        upstream.wait_until(lambda it: bool(it.requests))
        assert not upstream.requests[0].complete
        caller.write(wire[-100_000:])
        answer = caller.answer()
    assert answer.status == 200
    got = upstream.requests[0]
    assert got.body == data
    assert got.framing == ("chunked" if chunked else "length")


def test_an_empty_body_stays_an_empty_body(port: int, upstream: Upstream) -> None:
    ask(port, "POST", "/v1/files", (), b"")
    assert upstream.requests[-1].headers[-1] == (b"Content-Length", b"0")
    assert ask(port, "POST", "/v1/files", (), b"", chunked=True).status == 200
    assert upstream.requests[-1].body == b""


def test_expect_100_is_met_by_us_and_the_body_comes_through(port: int, upstream: Upstream) -> None:
    for target in ("/v1/files", "/v1/messages"):
        upstream.play(reply())
        with Caller(port) as caller:
            wire = request_bytes("POST", target, ((b"expect", b"100-continue"),), b'{"messages":[]}')
            caller.write(wire[:-15])
            assert caller.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            caller.write(wire[-15:])
            assert caller.answer().status == 200
        assert upstream.requests[-1].body == b'{"messages":[]}'
        assert upstream.requests[-1].header("expect") == ""


def test_pipelined_requests_are_answered_in_order(port: int, upstream: Upstream) -> None:
    with Caller(port) as caller:
        caller.write(b"".join(request_bytes("GET", f"/v1/files/{n}") for n in range(5)))
        assert [caller.answer().header("x-echo") for _ in range(5)] == [f"GET /v1/files/{n}" for n in range(5)]


@pytest.mark.parametrize(
    "wire",
    [
        b"POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-length: -3\r\n\r\nabc",
        b"POST /v1/files HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        b"POST /v1/files HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"GET /v1/files HTTP/1.1\r\nhost: a\r\nx y: 1\r\n\r\n",
        b"GET /v1/files HTTP/1.1\r\nhost: a\r\n folded: 1\r\n\r\n",
        b"GET /v1/\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_broken_framing_is_refused_and_the_connection_closed(wire: bytes, port: int, upstream: Upstream) -> None:
    with Caller(port) as caller:
        caller.write(wire)
        assert caller.answer().status == 400
        assert caller.more() == b""
    assert not any(request.complete for request in upstream.requests)


# --- towards the client ---


def test_the_client_gets_the_upstreams_headers_in_order_and_ours_beside_them(port: int, upstream: Upstream) -> None:
    headers = (
        ("Date", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("Server", "theirs"),
        ("Set-Cookie", "a=1; Path=/"),
        ("Set-Cookie", "b=2"),
        ("request-id", "req_1"),
        ("anthropic-ratelimit-requests-remaining", "0"),
        ("x-codex-primary-used-percent", "12.5"),
        ("Location", "http://elsewhere.test/"),
        ("Vary", "a"),
        ("vary", "b"),
        ("server-timing", "up;dur=1"),
        ("x-empty", ""),
        ("content-length", "2"),
    )
    hop = (
        ("Connection", "x-hop, keep-alive"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=9"),
        ("Proxy-Authenticate", "B"),
    )
    upstream.play(reply(b"{}", headers=(*headers, *hop)))
    answer = ask(port, "GET", "/v1/models")
    got = [pair for pair in answer.headers if pair[0] not in OURS or pair[1] == b"up;dur=1"]
    assert got == [(name.lower().encode(), value.encode()) for name, value in headers]
    assert len(answer.all("server-timing")) == 2


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "made-up"])
def test_coded_answers_are_not_touched(coding: str, port: int, upstream: Upstream) -> None:
    data = bytes(range(256)) * 40
    headers = (("content-type", "application/json"), ("content-encoding", coding))
    for script in (reply(data, headers=headers), stream([data[:5], data[5:]], headers)):
        upstream.play(script)
        answer = ask(port, "GET", "/v1/models")
        assert answer.complete
        assert (answer.body, answer.header("content-encoding")) == (data, coding)


@pytest.mark.parametrize(
    ("status", "headers"),
    [(204, ()), (304, (("etag", '"x"'), ("content-length", "500"))), (304, ()), (204, (("x", "y"),))],
)
def test_answers_without_a_body_stay_so_and_the_connection_goes_on(
    status: int, headers: tuple[tuple[str, str], ...], port: int, upstream: Upstream
) -> None:
    upstream.play(Script((("send", head(status, headers)),)))
    with Caller(port) as caller:
        answer = caller.ask("GET", "/v1/models")
        assert answer.status == status
        length_less = [pair for pair in headers if pair[0] != "content-length"]
        assert theirs(answer) == [(name.encode(), value.encode()) for name, value in length_less]
        assert caller.ask("GET", "/v1/models").status == 200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_the_clients_to_follow(status: int, port: int, upstream: Upstream) -> None:
    upstream.play(reply(b"go", status, (("location", f"{upstream.url}/v1/elsewhere"),)))
    answer = ask(port, "POST", "/v1/messages", (), b"{}")
    assert (answer.status, answer.header("location")) == (status, f"{upstream.url}/v1/elsewhere")
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("status", [200, 201, 400, 401, 403, 404, 413, 429, 500, 502, 503, 529, 599])
def test_every_status_comes_back(status: int, port: int, upstream: Upstream) -> None:
    upstream.play(reply(b"why", status, (("retry-after", "7"),)))
    answer = ask(port, "POST", "/v1/messages", (), b"{}")
    assert (answer.status, answer.body, answer.header("retry-after")) == (status, b"why", "7")
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD"])
@pytest.mark.parametrize("status", ["000", "099", "101", "600", "799", "999"])
def test_a_status_that_means_nothing_is_a_failure_of_the_upstream(
    status: str, method: str, port: int, upstream: Upstream
) -> None:
    head = f"HTTP/1.1 {status} What\r\nconnection: Upgrade\r\nupgrade: h2c\r\ncontent-length: 3\r\n\r\nwhy"
    upstream.play(Script((("send", head.encode()),)))
    body = b"{}" if method == "POST" else None
    with Caller(port) as caller:
        answer = caller.ask(method, "/v1/messages" if body else "/v1/models", (), body)
        assert (answer.status, answer.header("x-headroom-error")) == (502, "upstream_failed")
        if method != "HEAD":
            assert answer.json()["error"]["message"].count(status) == 1
        assert caller.ask("GET", "/v1/models").status == 200, "and the connection goes on"
    assert len(upstream.requests) == 2


def test_interim_answers_of_any_look_do_not_disturb(port: int, upstream: Upstream) -> None:
    early = b"".join(
        b"HTTP/1.1 %d Wait\r\nlink: </a>\r\ncontent-length: 5\r\nset-cookie: a\r\n\r\n" % status
        for status in (100, 103, 102, 103)
    )
    upstream.play(Script((("drip", early, 7, 0.0), *reply(b"final").steps)))
    with Caller(port) as caller:
        answer = caller.ask("POST", "/v1/messages", (), b"{}")
        assert (answer.status, answer.body, answer.header("set-cookie")) == (200, b"final", "")
        assert caller.ask("GET", "/v1/models").status == 200


def test_interim_answers_do_not_disturb(port: int, upstream: Upstream) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    upstream.play(Script((("send", early), *reply(b"final").steps)))
    assert ask(port, "POST", "/v1/messages", (), b"{}").body == b"final"


def test_an_answer_that_ends_with_its_connection_is_whole(port: int, upstream: Upstream) -> None:
    upstream.play(Script((("send", b"HTTP/1.1 200 OK\r\n\r\nall of it"), ("close",))))
    answer = ask(port, "POST", "/v1/messages", (), b"{}")
    assert (answer.body, answer.complete) == (b"all of it", True)
    upstream.play(Script((("send", b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nold"), ("close",))))
    assert ask(port, "GET", "/v1/models").body == b"old"


def test_64_kib_of_headers_come_back(port: int, upstream: Upstream) -> None:
    headers = (("x-long", "a" * 60_000), *((f"x-{n}", "v" * 20) for n in range(200)))
    upstream.play(reply(b"{}", headers=headers))
    answer = ask(port, "GET", "/v1/models")
    assert answer.header("x-long") == "a" * 60_000
    assert answer.header("x-199") == "v" * 20


def test_a_control_character_in_a_header_becomes_a_space(port: int, upstream: Upstream) -> None:
    upstream.play(reply(b"{}", headers=(("x", "a\x01b\x7fc\td"), ("y", "\xe9"))))
    answer = ask(port, "GET", "/v1/models")
    assert (answer.body, answer.header("x"), answer.header("y")) == (b"{}", "a b c\td", "\xe9")


@pytest.mark.parametrize("headers", [SSE, (("content-type", "application/json"),)])
def test_each_chunk_leaves_when_it_comes(headers: tuple[tuple[str, str], ...], port: int, upstream: Upstream) -> None:
    parts = [b"event: ping\ndata: {}\n\n", b"d", b"ata: \xf0\x9f", b"\x99\x82\r\n\r\n"]
    steps = [("send", head(200, (*headers, ("transfer-encoding", "chunked"))))]
    for number, part in enumerate(parts):
        steps += [("send", chunk(part)), ("hold", f"part {number}")]
    upstream.play(Script((*steps, ("send", last_chunk()))))
    with Caller(port) as caller:
        caller.write(request_bytes("POST", "/v1/messages", (), b'{"stream":true}'))
        assert caller.begin().status == 200
        for number, part in enumerate(parts):
            assert caller.chunk() == part  # the upstream holds the rest until we have it
            upstream.release(f"part {number}")
        assert caller.chunk() == b""


def test_the_head_of_a_stream_does_not_wait_for_its_first_chunk(port: int, upstream: Upstream) -> None:
    begun = ("send", head(200, (*SSE, ("transfer-encoding", "chunked"))))
    upstream.play(Script((begun, ("hold", "rest"), ("send", chunk(b"data: 1\n\n") + last_chunk()))))
    with Caller(port) as caller:
        caller.write(request_bytes("POST", "/v1/messages", (), b'{"stream":true}'))
        answer = caller.begin()
        assert answer.header("x-accel-buffering") == "no"
        upstream.release("rest")
        assert caller.finish(answer).body == b"data: 1\n\n"


def test_a_last_event_that_comes_with_the_end_of_the_connection_is_delivered(port: int, upstream: Upstream) -> None:
    whole = head(200, SSE) + b'data: {"a":1}\n\ndata: [DONE]\n\n'
    upstream.play(Script((("send", whole), ("close",))))
    answer = ask(port, "POST", "/v1/chat/completions", (), b"{}")
    assert answer.complete
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_a_large_answer_comes_whole(port: int, upstream: Upstream) -> None:
    data = bytes(range(256)) * (6 * MEGABYTE // 256)
    upstream.play(reply(data))
    with Caller(port) as caller:
        answer = caller.ask("GET", "/v1/files/f/content")
    assert answer.body == data


def test_a_request_of_http_1_0_is_answered_and_its_connection_closed(port: int, upstream: Upstream) -> None:
    upstream.play(reply(b"one"))
    with Caller(port) as caller:
        caller.write(b"GET /v1/models HTTP/1.0\r\n\r\n")
        answer = caller.answer()
        assert (answer.body, answer.header("connection"), caller.more()) == (b"one", "close", b"")


def test_an_idle_client_connection_can_be_used_again(port: int, upstream: Upstream) -> None:
    with Caller(port) as caller:
        for _ in range(20):
            assert caller.ask("GET", "/v1/models").status == 200
    assert HOST[1] not in upstream.requests[-1].head
