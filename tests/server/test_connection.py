"""The head of an answer leaves with what follows, or by itself within the same turn of the loop."""

import asyncio
from typing import Any

from uvicorn.config import Config

from proxy_pkg.server.connection import Connection, HeadCork, OpenConnections

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


async def test_whoever_shares_work_hears_that_there_is_none_left_when_a_closed_connection_has_had_its_answer() -> None:
    """Not that there was one request when the connection closed, until the next sign of life."""
    told: list[int] = []
    state = OpenConnections(lambda: told.append(len(state.connections) + len(state.tasks)))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    config = Config(app, http=Connection, interface="asgi3", lifespan="off", log_config=None)
    config.h11_max_incomplete_event_size = 1000
    config.load()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.1\r\nhost: proxy.test\r\nconnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
        async with asyncio.timeout(10):
            while state.connections or state.tasks:
                await asyncio.sleep(0)
    assert told[-1] == 0
