"""The sockets of both sides send small writes at once, and notice peers that vanish."""

import asyncio
import socket
from typing import Any

import uvloop
from uvicorn.config import Config

from proxy_pkg.config.load import load
from proxy_pkg.relay.client import PoolLimits, open_session
from proxy_pkg.server.connection import Connection, OpenConnections
from proxy_pkg.server.worker import uvicorn_options

OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
)
WANTED = [1, 1, 60]
LIMITS = PoolLimits(1, 1, 5, 5, 5, 5, 5, 0)


def options(transport: Any) -> list[int]:
    own: socket.socket = transport.get_extra_info("socket")
    return [own.getsockopt(level, option) for level, option in OPTIONS]


async def both_sides() -> tuple[list[int], list[int]]:
    """The options of a connection as the server accepted it, and as the session made it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    config = Config(**uvicorn_options(load({}).settings) | {"app": app, "lifespan": "off"})
    config.load()
    accepted: list[Connection] = []

    def connection() -> Connection:
        accepted.append(Connection(config=config, server_state=OpenConnections(lambda: None), app_state={}))
        return accepted[-1]

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    session, connector = open_session(LIMITS)
    try:
        async with session.get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/") as response:
            assert response.status == 200
        assert connector.idle_count == 1
        (idle,) = next(iter(connector._conns.values()))
        return options(accepted[0].transport), options(idle[0].transport)
    finally:
        await session.close()
        server.close()


def test_small_writes_leave_at_once_and_dead_peers_are_noticed_on_both_sides() -> None:
    assert uvloop.run(both_sides()) == (WANTED, WANTED)
