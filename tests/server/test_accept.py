"""Connections go to whoever has least to do, and waiting for another worker never keeps one waiting for long."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from proxy_pkg.server import accept
from proxy_pkg.server.accept import DEFER_SECONDS, DEFERRALS_MAX, Acceptor, Balancer
from proxy_pkg.server.load_table import SLOTS, LoadTable

ME, OTHER, THIRD = 0, 1, 2


@pytest.fixture
def load_table() -> LoadTable:
    made = LoadTable()
    assert [made.free(range(number)) for number in range(3)] == [ME, OTHER, THIRD]
    return made


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


class Taken(asyncio.Protocol):
    """Counts the connections that arrive."""

    count = 0

    def connection_made(self, transport: Any) -> None:
        Taken.count += 1
        transport.close()


@contextlib.contextmanager
def clients(listener: socket.socket, count: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        Taken.count = 0
        yield


async def arrived(count: int, limit_seconds: float = 2.0) -> float:
    """Seconds until so many connections were taken."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while Taken.count < count:
        assert loop.time() - began < limit_seconds
        await asyncio.sleep(0.001)
    return loop.time() - began


def balancer(load_table: LoadTable | None, load: int) -> Balancer:
    return Balancer(lambda: load, load_table, ME if load_table else -1, pid=11)


def test_a_seat_is_the_lowest_that_is_free() -> None:
    load_table = LoadTable()
    assert load_table.free([]) == 0
    assert load_table.free([0, 2]) == 1
    assert load_table.free(range(SLOTS)) == -1


@pytest.mark.parametrize(
    ("mine", "theirs", "exceeded"),
    [(1, 0, True), (1, 1, False), (2, 1, False), (3, 1, True), (16, 13, False), (16, 12, True)],
)
def test_more_than_a_fair_share_is_more_than_a_little_more(
    load_table: LoadTable, mine: int, theirs: int, exceeded: bool
) -> None:
    load_table.publish(OTHER, 22, theirs)
    assert balancer(load_table, mine).exceeded is exceeded


def test_the_dead_the_leaving_and_the_silent_are_not_waited_for(
    load_table: LoadTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = balancer(load_table, 9)
    assert not mine.exceeded
    load_table.publish(OTHER, 22, 0)
    assert mine.exceeded
    load_table.leave(OTHER)
    assert not mine.exceeded
    load_table.publish(OTHER, 22, 0)
    monkeypatch.setattr("proxy_pkg.server.load_table.FRESH_NS", 0)
    assert not mine.exceeded


def test_whoever_was_waited_for_in_vain_is_not_until_it_says_something(load_table: LoadTable) -> None:
    mine = balancer(load_table, 9)
    for slot in (OTHER, THIRD):
        load_table.publish(slot, 22, 0)
        assert mine.exceeded
        mine.waited()
        assert not mine.exceeded
    load_table.publish(OTHER, 22, 0)
    assert mine.exceeded


async def test_a_worker_alone_takes_all_at_once(listener: socket.socket) -> None:
    acceptor = Acceptor(asyncio.get_running_loop(), listener, Taken, balancer(None, 9))
    acceptor.start()
    with clients(listener, 5):
        await arrived(5)
    acceptor.stop()


async def test_what_nobody_else_takes_is_taken_after_a_short_wait(
    listener: socket.socket, load_table: LoadTable
) -> None:
    load_table.publish(OTHER, 22, 0)
    acceptor = Acceptor(asyncio.get_running_loop(), listener, Taken, balancer(load_table, 9))
    acceptor.start()
    with clients(listener, 20):
        waited = await arrived(20)
    assert waited >= DEFER_SECONDS * DEFERRALS_MAX
    acceptor.stop()


async def test_what_has_been_queued_before_the_end_is_taken(listener: socket.socket, load_table: LoadTable) -> None:
    load_table.publish(OTHER, 22, 0)
    acceptor = Acceptor(asyncio.get_running_loop(), listener, Taken, balancer(load_table, 9))
    acceptor.start()
    with clients(listener, 3):
        acceptor.stop()
        acceptor.take_all()
        assert acceptor.pending == 3
        await arrived(3)
    with clients(listener, 1):
        await asyncio.sleep(0)
        assert Taken.count == 0, "the queue is for others now"


async def test_without_descriptors_connections_wait_and_it_is_said_once(
    listener: socket.socket, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "EXHAUSTED_PAUSE_SECONDS", 0.001)

    class Poor:
        tries = 0

        def fileno(self) -> int:
            return listener.fileno()

        def accept(self) -> Any:
            self.tries += 1
            if self.tries < 4:
                raise OSError(errno.EMFILE, "Too many open files")
            return listener.accept()

    acceptor = Acceptor(asyncio.get_running_loop(), Poor(), Taken, balancer(None, 0))
    acceptor.start()
    with clients(listener, 1):
        await arrived(1)
    acceptor.stop()
    assert [record.getMessage() for record in caplog.records].count(
        "no connection can be taken for now: Too many open files"
    ) == 1
