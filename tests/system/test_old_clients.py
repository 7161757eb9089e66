"""Clients of HTTP/1.0, and headers in other codings than UTF-8: what few send still arrives as it left."""

import socket

import pytest

from bench.processes import Server
from tests.fakes.client import Caller, ask
from tests.fakes.scripts import Script, begin, byte_by_byte, head, reply
from tests.fakes.upstream import Upstream

EVENT = b'event: ping\ndata: {"type": "ping"}\n\n'


def old(port: int, target: str, method: str = "POST", *more: str) -> tuple[bytes, bytes, bool]:
    """Head and body of the answer to a request in HTTP/1.0, and whether it ended without a reset."""
    lines = [f"{method} {target} HTTP/1.0", "host: x", "content-length: 2", *more]
    with Caller(port) as caller:
        caller.write("\r\n".join(lines).encode() + b"\r\n\r\n{}")
        data, ended = bytearray(), True
        try:
            while part := caller.socket.recv(65536):
                data += part
        except ConnectionResetError:
            ended = False
    got, _, body = bytes(data).partition(b"\r\n\r\n")
    return got, body, ended


@pytest.mark.parametrize("more", [(), ("connection: keep-alive",)], ids=["plain", "keep-alive"])
def test_a_stream_ends_with_the_connection(more: tuple[str, ...], shared_server: Server, upstream: Upstream) -> None:
    upstream.play(byte_by_byte(EVENT))
    got, body, ended = old(shared_server.port, "/v1/messages", "POST", *more)
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"transfer-encoding" not in got
    assert b"connection: close" in got
    assert (body, ended) == (EVENT, True)


def test_an_answer_of_known_length_keeps_it(shared_server: Server, upstream: Upstream) -> None:
    upstream.play(reply(b'{"a":1}'))
    got, body, ended = old(shared_server.port, "/v1/messages")
    assert b"content-length: 7" in got
    assert b"connection: close" in got
    assert (body, ended) == (b'{"a":1}', True)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 204), ("POST", 304)])
def test_an_answer_without_a_body_has_none(method: str, status: int, shared_server: Server, upstream: Upstream) -> None:
    upstream.play(Script((("send", head(status, ())), ("close",))))
    got, body, ended = old(shared_server.port, "/v1/files", method)
    assert got.startswith(b"HTTP/1.1 %d" % status)
    assert b"transfer-encoding" not in got
    assert (body, ended) == (b"", True)


def test_an_answer_that_breaks_off_is_no_proper_end(shared_server: Server, upstream: Upstream) -> None:
    upstream.play(begin([EVENT], ("close",)))
    _, body, ended = old(shared_server.port, "/v1/messages")
    assert EVENT.startswith(body)
    assert not ended


VALUES = [b"gr\xfcn", bytes(range(0x80, 0x100)), "grün ✓".encode(), b"\xc3\xa9\xff", b"tab\there"]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("target", ["/v1/messages", "/v1/files"])
def test_header_bytes_arrive_as_they_left_both_ways(
    target: str, value: bytes, shared_server: Server, upstream: Upstream
) -> None:
    start, _, rest = head(200, (("content-length", "2"),)).partition(b"\r\n")
    upstream.play(Script((("send", start + b"\r\nX-Back: " + value + b"\r\n" + rest + b"{}"),)))
    answer = ask(shared_server.port, "POST", target, [(b"x-there", value)], b"{}")
    assert (b"x-there", value) in upstream.requests[-1].headers
    assert (b"x-back", value) in answer.headers


def test_header_bytes_arrive_as_they_left_in_a_handshake(shared_server: Server, upstream: Upstream) -> None:
    handshake = (
        b"GET /v1/responses HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\nx-there: gr\xfcn\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", shared_server.port), 10) as peer:
        peer.sendall(handshake)
        assert peer.recv(65536)
    assert (b"x-there", b"gr\xfcn") in upstream.requests[-1].headers
