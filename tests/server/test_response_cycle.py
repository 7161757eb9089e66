"""The head of an answer is, byte for byte, the one that uvicorn writes; what follows it is framed in the same way."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from proxy_pkg.server.response_cycle import SingleWriteCycle

Headers = Sequence[tuple[bytes, bytes]]


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def answered(
    kind: type[RequestResponseCycle], method: str, status: int, headers: Headers, body: bytes, *, keep_alive: bool
) -> tuple[bytes, bool, bool]:
    """What an answer writes, whether it is complete, and whether the connection ends."""
    wire: Any = Wire()
    scope: Any = {"method": method, "http_version": "1.1"}
    log = logging.getLogger("test")
    cycle = kind(
        scope, wire, FlowControl(wire), log, log, False, [(b"via", b"x")], asyncio.Event(), False, keep_alive, list
    )
    await cycle.send({"type": "http.response.start", "status": status, "headers": headers})
    await cycle.send({"type": "http.response.body", "body": body, "more_body": False})
    return wire.written, cycle.response_complete, wire.closed


@pytest.mark.parametrize(
    ("method", "status", "headers", "body"),
    [
        ("POST", 200, [(b"content-length", b"2"), (b"X-Name", b"a\tb \xe4")], b"ok"),
        ("POST", 200, [(b"content-type", b"text/event-stream")], b"data: 1\n\n"),
        ("POST", 200, [(b"Transfer-Encoding", b"Chunked")], b"data: 1\n\n"),
        ("POST", 599, [(b"content-length", b"0"), (b"connection", b"x, Close")], b""),
        ("POST", 200, [(b"connection", b"keep-alive"), (b"content-length", b"1")], b"1"),
        ("HEAD", 200, [(b"content-length", b"70")], b""),
        ("HEAD", 200, [], b""),
        ("GET", 204, [], b""),
        ("GET", 304, [(b"etag", b"x")], b""),
        ("GET", 200, [], b""),
    ],
)
@pytest.mark.parametrize("keep_alive", [True, False])
async def test_an_answer_is_the_one_that_uvicorn_gives(
    method: str, status: int, headers: Headers, body: bytes, keep_alive: bool
) -> None:
    ours = await answered(SingleWriteCycle, method, status, headers, body, keep_alive=keep_alive)
    assert ours == await answered(RequestResponseCycle, method, status, headers, body, keep_alive=keep_alive)
    assert ours[0].startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"\0", b"\x7f"])
async def test_a_value_that_would_be_more_than_one_is_not_written(value: bytes) -> None:
    with pytest.raises(RuntimeError, match="value"):
        await answered(SingleWriteCycle, "GET", 200, [(b"x", value)], b"", keep_alive=True)


@pytest.mark.parametrize("name", [b"a b", b"a:", b"a\r\n", b"(a)"])
async def test_a_name_that_is_none_is_not_written(name: bytes) -> None:
    with pytest.raises(RuntimeError, match="name"):
        await answered(SingleWriteCycle, "GET", 200, [(name, b"x")], b"", keep_alive=True)


async def test_a_second_head_is_an_error() -> None:
    wire: Any = Wire()
    scope: Any = {"method": "GET", "http_version": "1.1"}
    log = logging.getLogger("test")
    cycle = SingleWriteCycle(scope, wire, FlowControl(wire), log, log, False, [], asyncio.Event(), False, True, list)
    await cycle.send({"type": "http.response.start", "status": 200, "headers": []})
    with pytest.raises(RuntimeError):
        await cycle.send({"type": "http.response.start", "status": 200, "headers": []})
