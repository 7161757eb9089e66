"""The head of an answer leaves with what follows, or by itself within the same turn of the loop."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from proxy_pkg.server.connection import HeadCork

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Wire:
    """A transport that notes what is written, and in how many pieces."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.writes.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> str:
        return name


def corked() -> tuple[Wire, HeadCork]:
    wire: Any = Wire()
    return wire, HeadCork(wire, asyncio.get_running_loop())


async def test_a_head_leaves_with_its_body() -> None:
    wire, cork = corked()
    cork.write(HEAD)
    assert wire.writes == []
    cork.write(b"body")
    cork.write(b"more")
    assert wire.writes == [HEAD + b"body", b"more"]
    await asyncio.sleep(0)
    assert len(wire.writes) == 2


async def test_a_head_alone_leaves_in_the_same_turn() -> None:
    wire, cork = corked()
    cork.write(HEAD)
    await asyncio.sleep(0)
    assert wire.writes == [HEAD]


async def test_two_heads_stay_in_order() -> None:
    wire, cork = corked()
    cork.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    cork.write(HEAD)
    await asyncio.sleep(0)
    assert b"".join(wire.writes) == b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD


async def test_an_empty_write_lets_the_head_go_and_is_none_itself() -> None:
    wire, cork = corked()
    cork.write(b"")
    assert wire.writes == []
    cork.write(HEAD)
    cork.write(b"")
    assert wire.writes == [HEAD]


async def test_closing_loses_nothing() -> None:
    wire, cork = corked()
    cork.write(HEAD)
    cork.close()
    assert (wire.writes, wire.closed, cork.is_closing()) == ([HEAD], True, True)
    await asyncio.sleep(0)
    assert wire.writes == [HEAD]


async def test_all_else_is_the_transports_own() -> None:
    _, cork = corked()
    assert cork.get_extra_info("peername") == "peername"


def test_every_status_of_three_digits_has_a_line() -> None:
    assert all(STATUS_LINE[status].startswith(b"HTTP/1.1 %d " % status) for status in range(100, 1000))
