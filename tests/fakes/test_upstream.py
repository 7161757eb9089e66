"""The fake upstream does what its scripts say: tests that rest on it see real faults."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest

from tests.fakes import scripts
from tests.fakes.scripts import SSE, Script, begin, byte_by_byte, head, reply, stream
from tests.fakes.upstream import Upstream

POST = b"POST /v1/messages HTTP/1.1\r\nHost: h\r\nX-Odd-CASE: a\r\nx-odd-case:  b \r\ncontent-length: 4\r\n\r\nbody"


@pytest.fixture
def peer(upstream: Upstream) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", upstream.port), timeout=5) as connection:
        yield connection


def to_the_end(peer: socket.socket) -> bytes:
    """Everything until the other side ends the connection. Raises ConnectionResetError if it does so by RST."""
    data = b""
    while part := peer.recv(65536):
        data += part
    return data


def one_answer(peer: socket.socket) -> bytes:
    data = b""
    while not data.endswith((b"0\r\n\r\n", b"}")):
        data += peer.recv(65536)
    return data


def test_a_request_is_recorded_as_its_raw_bytes(upstream: Upstream, peer: socket.socket) -> None:
    for half in (POST[:30], POST[30:]):
        peer.sendall(half)
    assert one_answer(peer).startswith(b"HTTP/1.1 200 OK\r\n")
    request = upstream.requests[0]
    assert request.head + request.body == POST
    assert request.headers[1:3] == [(b"X-Odd-CASE", b"a"), (b"x-odd-case", b"b")]
    assert (request.header("X-ODD-case"), request.framing, request.complete) == ("a, b", "length", True)


def test_a_chunked_body_is_recorded_with_and_without_its_framing(upstream: Upstream, peer: socket.socket) -> None:
    wire = b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n"
    peer.sendall(b"PUT /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + wire)
    assert b"\r\n\r\nabcde" in peer.recv(65536)
    request = upstream.requests[0]
    assert (request.body, request.wire_body, request.trailers) == (b"abcde", wire, b"X-Trailer: t\r\n")
    assert (request.framing, request.chunk_sizes) == ("chunked", [3, 2])


def test_connections_and_their_requests_are_counted(upstream: Upstream, peer: socket.socket) -> None:
    for _ in range(3):
        peer.sendall(POST)
        one_answer(peer)
    assert [(request.connection, request.number) for request in upstream.requests] == [(1, 1), (1, 2), (1, 3)]
    assert upstream.open_connections == 1
    peer.close()
    upstream.wait_until(lambda self: self.open_connections == 0)
    assert upstream.connections[0].peer_left_at is not None


def test_rules_choose_by_path_body_and_header_and_wear_out(upstream: Upstream, peer: socket.socket) -> None:
    upstream.play(reply(b'{"n":1}'), path="/other")
    upstream.play(reply(b'{"n":2}'), body=b"not in it")
    upstream.play(reply(b'{"n":3}'), reply(b'{"n":4}'), path="/v1", body=b"bod", header=b"x-ODD-case: A", method="POST")
    answers = []
    for _ in range(3):
        peer.sendall(POST)
        answers.append(one_answer(peer).rpartition(b"\r\n\r\n")[2])
    assert answers[:2] == [b'{"n":3}', b'{"n":4}']
    assert b'"type":"message"' in answers[2]


def test_a_reset_on_connect_is_a_reset(upstream: Upstream) -> None:
    upstream.play(scripts.RESET_ON_CONNECT)
    with (
        pytest.raises(ConnectionError),
        socket.create_connection(("127.0.0.1", upstream.port), timeout=5) as peer,
    ):
        to_the_end(peer)


@pytest.mark.parametrize("script", [scripts.RESET_AFTER_HEAD, scripts.RESET_AFTER_BODY], ids=["head", "body"])
def test_a_reset_comes_before_any_answer(script: Script, upstream: Upstream, peer: socket.socket) -> None:
    upstream.play(script)
    peer.sendall(POST)
    with pytest.raises(ConnectionResetError):
        peer.recv(1)
    upstream.wait_until(lambda self: self.open_connections == 0)
    assert upstream.connections[0].peer_left_at is None
    assert upstream.requests[0].body == (b"" if script.when == "head" else b"body")


def test_a_reset_in_the_middle_follows_what_was_sent(upstream: Upstream, peer: socket.socket) -> None:
    upstream.play(begin([b"event: a\n"], then=("hold", "seen")), method="POST")
    upstream.play(Script((*begin([b"data: {"], then=("hold", "seen")).steps, ("reset",))))
    peer.sendall(POST)
    seen = b""
    while b"event: a\n" not in seen:
        seen += peer.recv(65536)
    peer.sendall(POST)
    upstream.release("seen")
    with pytest.raises(ConnectionResetError):
        to_the_end(peer)


def test_an_idle_connection_is_reset_when_released(upstream: Upstream, peer: socket.socket) -> None:
    upstream.play(scripts.RESET_WHEN_IDLE)
    peer.sendall(POST)
    assert one_answer(peer).endswith(b"{}")
    upstream.release("idle")
    with pytest.raises(ConnectionResetError):
        peer.recv(1)


def test_a_peer_that_leaves_a_stall_is_noticed_at_once(upstream: Upstream, peer: socket.socket) -> None:
    upstream.play(begin([b"data: 1\n\n"], then=("stall",)))
    peer.sendall(POST)
    assert peer.recv(65536)
    assert upstream.open_connections == 1
    peer.close()
    upstream.wait_until(lambda self: self.open_connections == 0)


def test_a_cut_answer_ends_early_and_without_a_reset(upstream: Upstream, peer: socket.socket) -> None:
    upstream.play(scripts.CUT_SHORT)
    peer.sendall(POST)
    answer = to_the_end(peer)
    assert b"content-length: 1000\r\n" in answer
    assert answer.endswith(b'{"cut":')


def test_a_half_closed_connection_still_reads(upstream: Upstream, peer: socket.socket) -> None:
    upstream.play(Script((*reply().steps, ("half_close",))))
    peer.sendall(POST)
    assert to_the_end(peer).endswith(b"{}")
    peer.sendall(POST)
    upstream.wait_until(lambda self: len(self.requests) == 2)


def test_an_answer_byte_by_byte_is_one_chunk_for_each(upstream: Upstream, peer: socket.socket) -> None:
    upstream.play(byte_by_byte("dätä".encode()))
    peer.sendall(POST)
    chunks = one_answer(peer).partition(b"\r\n\r\n")[2]
    assert chunks == b"".join(b"1\r\n%c\r\n" % byte for byte in "dätä".encode()) + b"0\r\n\r\n"


def test_trailers_and_large_headers_are_sent_as_given(upstream: Upstream, peer: socket.socket) -> None:
    upstream.play(stream([b"x"], headers=(*SSE, ("X-Large", "v" * 65536)), trailers=(("X-End", "1"),)))
    peer.sendall(POST)
    answer = b""
    while not answer.endswith(b"0\r\nX-End: 1\r\n\r\n"):
        answer += peer.recv(65536)
    assert b"X-Large: " + b"v" * 65536 + b"\r\n" in answer


def test_an_expected_100_comes_before_the_body_is_read(upstream: Upstream, peer: socket.socket) -> None:
    first, body = POST[:-4].replace(b"Host", b"Expect: 100-continue\r\nHost"), POST[-4:]
    peer.sendall(first)
    assert peer.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
    peer.sendall(body)
    assert one_answer(peer).startswith(b"HTTP/1.1 200")


def test_an_answer_may_come_before_the_body(upstream: Upstream, peer: socket.socket) -> None:
    upstream.play(Script((("send", head(413, (("content-length", "0"),))), ("close",)), when="head"))
    peer.sendall(POST[:-4])
    assert to_the_end(peer).startswith(b"HTTP/1.1 413 ")


def test_a_deaf_upstream_makes_the_sender_wait(upstream: Upstream, peer: socket.socket) -> None:
    upstream.play(Script((("deaf",), ("stall",)), when="head"))
    peer.sendall(POST.replace(b"length: 4", b"length: 99999999"))
    upstream.wait_until(lambda self: len(self.requests) == 1)
    peer.settimeout(0.2)
    with pytest.raises(TimeoutError):
        peer.sendall(b"x" * 50_000_000)


def test_head_gets_the_head_alone(upstream: Upstream, peer: socket.socket) -> None:
    peer.sendall(b"HEAD /v1/models HTTP/1.1\r\nconnection: close\r\n\r\n")
    answer = to_the_end(peer)
    assert answer.endswith(b"\r\n\r\n")
    assert b"content-length: 0" not in answer


@pytest.mark.parametrize("framing", [b"transfer-encoding: chunked\r\n\r\nzz\r\n", b"content-length: -1\r\n\r\n"])
def test_broken_framing_is_refused(framing: bytes, upstream: Upstream, peer: socket.socket) -> None:
    peer.sendall(b"POST /x HTTP/1.1\r\n" + framing)
    assert to_the_end(peer).startswith(b"HTTP/1.1 400 ")


def test_as_a_process_it_tells_what_it_saw_and_forgets_on_demand() -> None:
    arguments = [sys.executable, "-m", "tests.fakes.upstream", "--port", "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            port = int(process.stdout.readline())
            with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
                peer.sendall(POST)
                one_answer(peer)
                peer.sendall(b"DELETE /__control HTTP/1.1\r\n\r\n")
                assert peer.recv(65536).endswith(b"\r\n\r\n[]")
                peer.sendall(POST)
                one_answer(peer)
                peer.sendall(b"GET /__control HTTP/1.1\r\nconnection: close\r\n\r\n")
                seen = msgspec.json.decode(to_the_end(peer).partition(b"\r\n\r\n")[2])
        finally:
            process.terminate()
    assert [each["head"] + each["body"] for each in seen] == [POST.decode()]
