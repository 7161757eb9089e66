"""An idle connection goes from one owner to the next, and its peer cannot tell."""

import asyncio
import contextlib
import functools
import resource
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop
from uvicorn.config import Config

from proxy_pkg.server.accept import Acceptor, Balancer
from proxy_pkg.server.connection import Connection, OpenConnections
from proxy_pkg.server.handover import Handover

REQUEST = b"POST / HTTP/1.1\r\nhost: proxy.test\r\ncontent-length: 2\r\n\r\nhi"
EARLY = b"GET /early HTTP/1.1\r\nhost: proxy.test\r\n\r\n"


def on_uvloop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run on the loop that workers have: what a closing transport does to a shared connection is its own affair."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        uvloop.run(test(**fixtures))

    return run


@pytest.fixture
def handover() -> Iterator[Handover]:
    with contextlib.closing(Handover()) as made:
        yield made


@contextlib.contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's end and the server's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=10)
        server, _ = listener.accept()
    with client, server:
        server.setblocking(False)
        yield client, server


class Worker:
    """As much of a worker as connections see. Answers wait for `answers`; the body of `/early` is not waited for."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.answers = asyncio.Event()
        self.answers.set()
        self.state = OpenConnections(lambda: None)
        self.config = Config(self.app, http=Connection, interface="asgi3", log_config=None)
        self.config.h11_max_incomplete_event_size = 1000  # the bound on a head
        self.config.load()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        more = scope["path"] != "/early"
        while more:
            more = (await receive())["more_body"]
        await self.answers.wait()
        head = [(b"content-length", b"%d" % len(self.name))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": self.name})

    def protocol(self) -> Connection:
        return Connection(config=self.config, server_state=self.state, app_state={})

    async def own(self, server: socket.socket) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.connect_accepted_socket(self.protocol, server.dup())
        assert isinstance(connection, Connection)
        return connection


@contextlib.asynccontextmanager
async def taking(handover: Handover, worker: Worker) -> AsyncIterator[None]:
    acceptor = Acceptor(asyncio.get_running_loop(), handover, worker.protocol, Balancer(lambda: 0))
    acceptor.start()
    yield
    acceptor.stop()


async def said(client: socket.socket, end: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    client.setblocking(False)
    data = b""
    async with asyncio.timeout(10):
        while not data.endswith(end):
            part = await loop.sock_recv(client, 1000)
            assert part, "the connection was closed"
            data += part
    return data


@on_uvloop
async def test_a_client_is_served_on_by_the_next_owner(handover: Handover) -> None:
    old, new = Worker(b"old"), Worker(b"new")
    with connected() as (client, server):
        connection = await old.own(server)
        server.close()
        client.sendall(REQUEST)
        await said(client, b"old")
        assert connection.is_idle
        connection.hand_over(handover)
        client.sendall(REQUEST)
        await asyncio.sleep(0.01)
        assert not old.state.connections
        async with taking(handover, new):
            assert b"connection: close" not in await said(client, b"new")
            client.sendall(REQUEST)
            await said(client, b"new")


@on_uvloop
async def test_a_client_that_has_asked_nothing_yet_is_too(handover: Handover) -> None:
    old, new = Worker(b"old"), Worker(b"new")
    with connected() as (client, server):
        connection = await old.own(server)
        server.close()
        connection.hand_over(handover)
        async with taking(handover, new):
            client.sendall(REQUEST)
            await said(client, b"new")


@pytest.mark.parametrize(
    "sent",
    [REQUEST[:9], REQUEST[:-1], REQUEST, EARLY + REQUEST[:20], EARLY[:-2] + b"content-length: 3\r\n\r\nno"],
    ids=["within a head", "within a body", "before the answer", "within the next head", "body behind its answer"],
)
@on_uvloop
async def test_what_has_begun_stays_where_it_is(sent: bytes) -> None:
    worker = Worker(b"old")
    with connected() as (client, server):
        connection = await worker.own(server)
        if not sent.startswith(EARLY[:9]):
            worker.answers.clear()
        client.sendall(sent)
        if sent.startswith(EARLY[:9]):
            await said(client, b"old")
        await asyncio.sleep(0.01)
        assert not connection.is_idle
        connection.transport.close()
        assert not connection.is_idle


@on_uvloop
async def test_an_answer_that_the_client_has_not_read_yet_stays_where_it_is() -> None:
    worker = Worker(bytes(50_000_000))
    with connected() as (client, server):
        connection = await worker.own(server)
        client.sendall(REQUEST)
        async with asyncio.timeout(10):
            while connection.cycle is None or not connection.cycle.response_complete:
                await asyncio.sleep(0.01)
        assert not connection.is_idle
        connection.transport.abort()


@on_uvloop
async def test_without_room_a_connection_stays_and_is_served(handover: Handover) -> None:
    worker = Worker(b"old")
    with connected() as (client, server):
        connection = await worker.own(server)
        while handover.give(server.fileno()):
            pass
        connection.hand_over(handover)
        client.sendall(REQUEST)
        await said(client, b"old")
        assert connection.is_idle


@on_uvloop
async def test_a_handed_on_connection_that_stays_silent_is_closed_in_time(handover: Handover) -> None:
    old, new = Worker(b"old"), Worker(b"new")
    new.config.timeout_keep_alive = 0
    with connected() as (client, server):
        connection = await old.own(server)
        server.close()
        connection.hand_over(handover)
        async with taking(handover, new), asyncio.timeout(10):
            client.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(client, 1) == b""


def test_an_empty_queue_says_so(handover: Handover) -> None:
    with pytest.raises(BlockingIOError):
        handover.accept()


def test_without_a_free_descriptor_connections_wait_in_the_queue(handover: Handover) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with connected() as (_, server):
        assert handover.give(server.fileno())
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # standard streams and no more
        try:
            with pytest.raises(OSError, match="Too many open files"):
                handover.accept()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        taken, _ = handover.accept()
        with taken:
            assert taken.getpeername() == server.getpeername()
            assert not taken.get_inheritable()
