"""No letter that ends a line, or gives orders to a terminal, reaches the log of a server raw, whoever sent it."""

import re

import msgspec
import pytest

from tests.fakes.client import Caller, ask, request_bytes
from tests.fakes.scripts import Script, reply
from tests.fakes.upstream import Upstream
from tests.system.conftest import Start
from tests.system.patience import eventually

LETTERS = "\x07\x1b[31m\t\r\n\x7f\x85\x9b\u2028\u2029\u202e\ufeff"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
ENCODED = "".join(f"%{byte:02X}" for byte in LETTERS.encode())
SOCKET = (
    (b"connection", b"upgrade"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", b"AAAAAAAAAAAAAAAAAAAAAA=="),
)


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_control_letter_of_a_client_or_an_upstream_reaches_the_log_raw(
    form: str, server: Start, upstream: Upstream
) -> None:
    running = server(HEADROOM_WORKERS="1", HEADROOM_LOG_FORMAT=form, HEADROOM_LOG_LEVEL="debug")
    high = b"\x85\x9b\x8d\xe2\x80\xa8"
    fields = ((b"user-agent", b"canary/" + high), (b"x-canary", high), (b"content-type", b"application/json"))
    body = msgspec.json.encode({"model": "canary" + LETTERS, "messages": [], "user": LETTERS})
    answers = [
        ask(running.port, "GET", f"/canary-unknown/{ENCODED}", fields),
        ask(running.port, "GET", f"/v1/files/canary-file/{ENCODED}", fields),
        ask(running.port, "POST", f"/v1/../canary-climb{ENCODED}", fields, body),
        ask(running.port, "POST", "/v1/messages", fields, body),
        ask(running.port, "GET", f"/canary-socket/{ENCODED}", (*fields, *SOCKET)),
        ask(running.port, "POST", "/v1/compress", fields, body),
    ]
    reasons = (
        b"HTTP/1.1 500 canary\x1b[31m\xc2\x85\r\ncontent-length: 0\r\n\r\n",
        b"\x1b[31mcanary\xe2\x80\xa8\r\n\r\n",
    )
    for reason in (*reasons, b"HTTP/1.1 200 OK\r\ncontent-length: canary\xe2\x80\xa8\r\n\r\n"):
        upstream.play(Script((("send", reason), ("close",))))
        answers.append(ask(running.port, "POST", "/v1/messages", fields, body))
    upstream.play(reply(b"\x1b\xe2\x80\xa8", 401, (("content-type", "\x85"), ("www-authenticate", "\x9b"))))
    answers.append(ask(running.port, "POST", "/v1/messages", fields, body))
    for wire in (
        b"canary\x1b \xe2\x80\xa8\r\n\r\n",
        b"GET /canary\x1b HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: \x9b\r\n\r\n",
    ):
        with Caller(running.port) as caller:
            caller.write(wire)
            answers.append(caller.answer())
    assert all(answer.status for answer in answers)
    with Caller(running.port) as caller:
        caller.write(request_bytes("GET", "/v1/models?canary=last", ((b"x", b"y"),)))
        last = caller.answer().header("x-headroom-request-id")
    eventually(lambda: last in running.log.read_text())
    lines = running.log.read_bytes().decode().split("\n")
    raw = [line for line in lines if CONTROL.search(line)]
    assert not raw, raw
    for name in ("canary-unknown", "canary-file", "canary-climb", "canary-socket"):
        assert any(name in line for line in lines), name
    if form == "json":
        assert all(isinstance(msgspec.json.decode(line), dict) for line in lines if line.startswith("{"))
        assert not [line for line in lines if line and not line.startswith("{")]
