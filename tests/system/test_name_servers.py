"""Name servers that do not answer, and names that move: whose requests go on, and what the others are told."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bench.processes import Server
from tests.fakes.client import Answer, ask
from tests.fakes.nameserver import NameServer, name_server
from tests.fakes.upstream import Upstream
from tests.system.conftest import Start

BODY = b'{"model": "m", "messages": []}'
LIMIT_SECONDS = 20
DEAD = 12


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def names() -> Iterator[NameServer]:
    with name_server({"good.test": ["127.0.0.1"]}) as running:
        running.silent.add("dead.test")
        yield running


def many_names(upstream: Upstream) -> str:
    """The TOML-like JSON of upstreams: a local one, one with a good name, and many whose names get no answer."""
    dead = ", ".join(f'"d{n}": {{"url": "http://n{n}.dead.test:9", "api": "openai"}}' for n in range(DEAD))
    return (
        f'{{"local": {{"url": "{upstream.url}", "api": "openai"}}, '
        f'"good": {{"url": "http://good.test:{upstream.port}", "api": "openai"}}, {dead}}}'
    )


def asked(server: Server, name: str) -> Answer:
    return ask(server.port, "POST", f"/u/{name}/v1/chat/completions", (), BODY)


def test_names_without_an_answer_keep_nobody_else_waiting(names: NameServer, upstream: Upstream, server: Start) -> None:
    place = server(
        HEADROOM_DNS_SERVERS=names.place,
        HEADROOM_UPSTREAMS=many_names(upstream),
        HEADROOM_CONNECT_TIMEOUT_SECONDS="3",
    )
    ended: list[Answer] = []
    dead = [
        threading.Thread(target=lambda n=n: ended.append(asked(place, f"d{n}")))  # type: ignore[misc]
        for n in range(DEAD)
    ]
    for thread in dead:
        thread.start()
    until(lambda: len([name for name in names.asked if name.endswith("dead.test")]) == DEAD)
    assert [asked(place, "local").status for _ in range(10)] == [200] * 10
    assert [asked(place, "good").status for _ in range(10)] == [200] * 10
    assert not ended, "a healthy upstream answered before any of the dead names was given up"
    for thread in dead:
        thread.join(LIMIT_SECONDS)
    assert [answer.status for answer in ended] == [504] * DEAD
    for answer in ended:
        assert answer.header("x-headroom-error") == "upstream_timeout"
        assert "the name server did not answer when asked for the address of the upstream /u/d" in answer.body.decode()


async def test_a_socket_is_refused_with_the_same_words(names: NameServer, upstream: Upstream, server: Start) -> None:
    place = server(
        HEADROOM_DNS_SERVERS=names.place,
        OPENAI_TARGET_API_URL="http://socket.dead.test",
        HEADROOM_CONNECT_TIMEOUT_SECONDS="0.5",
    )
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://127.0.0.1:{place.port}/v1/responses", proxy=None):
            pass
    answer = refused.value.response
    assert answer.status_code == 504
    assert b"did not answer when asked for the address of the upstream socket.dead.test:80" in (answer.body or b"")


def test_a_name_that_does_not_exist_is_said_so(names: NameServer, server: Start) -> None:
    place = server(HEADROOM_DNS_SERVERS=names.place, OPENAI_TARGET_API_URL="http://nowhere.test:81")
    answer = ask(place.port, "POST", "/v1/chat/completions", (), BODY)
    assert (answer.status, answer.header("x-headroom-error")) == (502, "upstream_failed")
    assert "the host name of the upstream nowhere.test:81 has no address" in answer.body.decode()
    until(lambda: "nowhere.test:81 has no address" in place.log.read_text())


def test_a_name_that_moved_is_found_before_anybody_is_refused(
    names: NameServer, upstream: Upstream, server: Start
) -> None:
    place = server(
        HEADROOM_WORKERS="1",
        HEADROOM_DNS_SERVERS=names.place,
        OPENAI_TARGET_API_URL=f"http://good.test:{upstream.port}",
        HEADROOM_UPSTREAM_CONNECTION_SECONDS_MAX="0.05",
    )
    assert ask(place.port, "POST", "/v1/chat/completions", (), BODY).status == 200
    names.records["good.test"] = ["127.0.0.9"]  # nothing listens there
    time.sleep(0.1)  # the connection is too old now, the address is still remembered
    assert ask(place.port, "POST", "/v1/chat/completions", (), BODY).status == 200
    assert len({request.connection for request in upstream.requests}) == 2, "an old connection is not used again"
    assert names.asked["good.test"] == 1, "an address that answers is not looked up again"
