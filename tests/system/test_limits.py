"""Limits on the real gunicorn: exact over workers and servers, given back by who dies, and no harm without Redis."""

import asyncio
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import pytest
from websockets.asyncio.client import connect

from bench.processes import Server
from tests.fakes.client import Answer, Caller, Headers, ask
from tests.fakes.scripts import Script, reply
from tests.fakes.upstream import Upstream
from tests.fakes.websocket import PeerLeft, Socket, Sockets, listen
from tests.store.servers import RedisServer
from tests.system.patience import LIMIT_SECONDS, eventually, stats

BODY = b'{"model":"claude-test","messages":[]}'
REQUEST = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\ncontent-length: 2\r\n\r\n{}"
LIMIT = 600
ASK = '{"type":"response.create","model":"gpt-5","input":"hi"}'
DONE = '{"type":"response.completed","response":{"id":"resp_1"}}'


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.stop()


def asked(server: Server, key: bytes = b"k", path: str = "/v1/messages", body: bytes = BODY) -> Answer:
    return ask(server.port, "POST", path, ((b"x-api-key", key), (b"content-type", b"application/json")), body)


class Load:
    """Clients that ask the servers in turn until told to stop, or for a number of requests each."""

    def __init__(self, ports: list[int], clients: int = 4, requests: int = 10**9, headers: Headers = ()) -> None:
        self.statuses: Counter[int] = Counter()
        self.refusals: set[bytes] = set()
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(ports[n % len(ports)], requests, headers)) for n in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, port: int, requests: int, headers: Headers) -> None:
        with Caller(port) as caller:
            for _ in range(requests):
                if self.stopped.is_set():
                    return
                answer = caller.ask("POST", "/v1/messages", headers, BODY)
                with self._lock:
                    self.statuses[answer.status if answer.complete else 0] += 1
                    if answer.status != 200:
                        self.refusals.add(answer.body)

    @property
    def total(self) -> int:
        return sum(self.statuses.values())

    def wait(self) -> Counter[int]:
        for thread in self._threads:
            thread.join()
        return self.statuses


def test_four_workers_let_in_what_the_limit_says(server: Callable[..., Server], upstream: Upstream) -> None:
    upstream.answer = lambda _: reply()
    started = server(HEADROOM_WORKERS="4", HEADROOM_RPM=str(LIMIT))
    statuses = Load([started.port], clients=8, requests=LIMIT // 8 + 20, headers=((b"x-api-key", b"k"),)).wait()
    assert set(statuses) == {200, 429}
    assert LIMIT * 0.99 <= statuses[200] <= LIMIT
    told = stats(started)["requests"]
    assert told["refused"] == {"rate_limited": statuses[429]}
    assert asked(started, b"another").status == 200


def test_two_servers_with_one_redis_share_the_limit(
    server: Callable[..., Server], upstream: Upstream, redis: RedisServer
) -> None:
    upstream.answer = lambda _: reply()
    settings = {"HEADROOM_REDIS_URL": redis.url, "HEADROOM_RPM": str(LIMIT), "HEADROOM_REDIS_TIMEOUT_MS": "2000"}
    servers = [server(**settings), server(**settings)]
    statuses = Load([one.port for one in servers], clients=8, requests=LIMIT // 8 + 20).wait()
    assert set(statuses) == {200, 429}
    assert LIMIT * 0.99 <= statuses[200] <= LIMIT
    assert stats(servers[0])["store"]["workers_by_scope"] == {"fleet": 2}


@pytest.mark.parametrize("trouble", ["stopped", "paused"])
def test_no_request_fails_while_redis_does(
    trouble: str, server: Callable[..., Server], upstream: Upstream, redis: RedisServer
) -> None:
    upstream.answer = lambda _: reply()
    started = server(
        HEADROOM_REDIS_URL=redis.url,
        HEADROOM_RPM="1000000",
        HEADROOM_TPM="100000000",
        HEADROOM_CALLER_CONCURRENCY="100",
    )
    load = Load([started.port])
    try:
        eventually(lambda: load.total > 50)
        redis.stop() if trouble == "stopped" else redis.send(signal.SIGSTOP)
        eventually(lambda: stats(started)["store"]["workers_by_scope"] == {"machine": 2})
        goal = load.total + 100
        eventually(lambda: load.total > goal)
        redis.start() if trouble == "stopped" else redis.send(signal.SIGCONT)
        eventually(lambda: stats(started)["store"]["workers_by_scope"] == {"fleet": 2})
        goal = load.total + 50
        eventually(lambda: load.total > goal)
    finally:
        load.stopped.set()
        load.wait()
    assert set(load.statuses) == {200}, load.refusals
    assert stats(started)["store"]["lost"]["acquire"]


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1", "redis+cluster://127.0.0.1:1", "redis+sentinel://127.0.0.1:1/x"]
)
def test_a_server_starts_without_the_redis_it_is_told_of(
    url: str, server: Callable[..., Server], upstream: Upstream
) -> None:
    upstream.answer = lambda _: reply()
    started = server(HEADROOM_REDIS_URL=url, HEADROOM_RPM="2")
    assert [asked(started).status for _ in range(3)] == [200, 200, 429]


def test_places_of_a_killed_worker_are_free_again(server: Callable[..., Server], upstream: Upstream) -> None:
    started = server(HEADROOM_CALLER_CONCURRENCY="2")
    upstream.answer = lambda _: Script((("stall",),))
    with Caller(started.port) as one, Caller(started.port) as two:
        one.write(REQUEST)
        two.write(REQUEST)
        eventually(lambda: len(upstream.requests) == 2)
        refused = asked(started)
        assert (refused.status, refused.header("x-headroom-error")) == (429, "concurrency_limited")
        upstream.answer = lambda _: reply()
        for pid in started.worker_pids:
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(started.worker_pids) == 2 and ask(started.port, "GET", "/readyz").status == 200)
    eventually(lambda: asked(started).status == 200)


def test_a_place_is_free_again_however_a_request_ends(server: Callable[..., Server], upstream: Upstream) -> None:
    started = server(HEADROOM_TOTAL_CONCURRENCY="1", HEADROOM_BODY_BYTES_MAX="1024")
    upstream.answer = lambda _: Script((("reset",),))
    assert asked(started).status == 502
    assert asked(started, body=b" " * 2000).status == 413
    upstream.answer = lambda _: Script((("stall",),))
    caller = Caller(started.port)
    caller.write(REQUEST)
    eventually(lambda: len(upstream.requests) == 2)
    caller.reset()
    upstream.answer = lambda _: reply()
    eventually(lambda: asked(started).status == 200)
    assert [asked(started).status for _ in range(20)] == [200] * 20


def test_what_the_provider_tells_is_what_counts(server: Callable[..., Server], upstream: Upstream) -> None:
    usage = b'{"model":"claude-test","usage":{"input_tokens":700,"output_tokens":300}}'
    upstream.answer = lambda _: reply(usage)
    started = server(HEADROOM_TPM="1500")
    assert asked(started).status == 200
    eventually(lambda: asked(started).status == 429)
    assert len(upstream.requests) < 10  # by its estimate alone, 150 such requests fit


def test_an_answer_without_usage_counts_for_its_length(server: Callable[..., Server], upstream: Upstream) -> None:
    upstream.answer = lambda _: reply(b'{"text":"%s"}' % (b"x" * 1989))
    started = server(HEADROOM_TOTAL_TPM="100000")

    def used() -> int:
        return int(stats(started)["limits"][0]["used"])

    for number in range(1, 11):
        assert asked(started).status == 200
        least = number * 500  # the answer's 2,000 bytes; what was asked has a few tokens
        eventually(lambda least=least: least < used() <= least * 1.04)


def test_an_upstream_that_refuses_costs_no_tokens(server: Callable[..., Server], upstream: Upstream) -> None:
    upstream.answer = lambda _: reply(b"{}", status=529)
    started = server(HEADROOM_TPM="100", HEADROOM_WORKERS="1")
    assert {asked(started, body=b'{"messages":[' + b" " * 300 + b"]}").status for _ in range(5)} == {529}


def test_a_spent_budget_refuses_after_a_restart_too(
    server: Callable[..., Server], upstream: Upstream, tmp_path: Path
) -> None:
    body = b'{"model":"claude-sonnet-4-5","messages":[]}'
    usage = b'{"model":"claude-sonnet-4-5","usage":{"input_tokens":1000000,"output_tokens":0}}'
    upstream.answer = lambda _: reply(usage)
    place = tmp_path / "kept"
    settings = {"HEADROOM_BUDGET": "0.5", "HEADROOM_STATE_DIR": str(place)}
    started = server(**settings)
    assert asked(started, body=body).status == 200
    eventually(lambda: asked(started, body=body).status == 429)
    started.process.terminate()
    started.process.wait()
    again = server(**settings)
    refused = asked(again, body=body)
    assert (refused.status, refused.header("x-headroom-error")) == (429, "budget_spent")
    assert refused.header("x-should-retry") == "false"


DEAR = b'{"model":"claude-sonnet-4-5","max_tokens":30000,"messages":[]}'
DEAR_USD = 0.45  # 30,000 tokens of output at 15 USD for a million
DEAR_ANSWER = b'{"model":"claude-sonnet-4-5","usage":{"input_tokens":0,"output_tokens":30000}}'


def slow(answer: bytes) -> Callable[[object], Script]:
    whole = reply(answer)
    return lambda _: Script((("wait", 0.3), *whole.steps))


def at_once(servers: list[Server], requests: int, body: bytes) -> Counter[int]:
    """What so many clients are answered that ask at the same moment, each by a connection of its own."""
    statuses: Counter[int] = Counter()
    lock, begin = threading.Lock(), threading.Barrier(requests)

    def one(server: Server) -> None:
        begin.wait()
        status = asked(server, body=body).status
        with lock:
            statuses[status] += 1

    threads = [threading.Thread(target=one, args=(servers[n % len(servers)],)) for n in range(requests)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def budget(server: Server) -> tuple[float, float]:
    """What is spent and what is reserved."""
    limit = next(limit for limit in stats(server)["limits"] if limit["setting"] == "HEADROOM_BUDGET_DAY_USD")
    return limit["used"], limit["reserved"]


def test_forty_requests_at_once_do_not_pass_a_budget(server: Callable[..., Server], upstream: Upstream) -> None:
    upstream.answer = slow(DEAR_ANSWER)
    started = server(HEADROOM_BUDGET_DAY_USD="1")
    statuses = at_once([started], 40, DEAR)
    assert set(statuses) == {200, 429}
    eventually(lambda: budget(started)[1] == 0)
    assert budget(started)[0] == pytest.approx(DEAR_USD * statuses[200])
    assert 1 <= statuses[200] <= 3  # two fit, and one more while anything is left
    while asked(started, body=DEAR).status == 200:
        eventually(lambda: budget(started)[1] == 0)
    assert len(upstream.requests) == 3
    assert budget(started) == (pytest.approx(3 * DEAR_USD), 0)


def test_forty_requests_at_once_do_not_pass_a_budget_of_two_servers(
    server: Callable[..., Server], upstream: Upstream, redis: RedisServer
) -> None:
    upstream.answer = slow(DEAR_ANSWER)
    settings = {
        "HEADROOM_REDIS_URL": redis.url,
        "HEADROOM_BUDGET_DAY_USD": "1",
        "HEADROOM_REDIS_TIMEOUT_MS": "2000",
    }
    servers = [server(**settings), server(**settings)]
    statuses = at_once(servers, 40, DEAR)
    assert set(statuses) == {200, 429}
    assert 1 <= statuses[200] <= 3
    eventually(lambda: budget(servers[0]) == (pytest.approx(DEAR_USD * statuses[200]), 0))


def test_what_the_upstream_refuses_is_no_longer_reserved(server: Callable[..., Server], upstream: Upstream) -> None:
    started = server(HEADROOM_BUDGET_DAY_USD="1")
    for ending in (reply(b"{}", status=529), Script((("reset",),)), reply(b"{}", status=400)):
        upstream.answer = lambda _, ending=ending: ending
        assert asked(started, body=DEAR).status != 429
    eventually(lambda: budget(started) == (0, 0))


def test_what_a_killed_worker_had_reserved_is_free_again(server: Callable[..., Server], upstream: Upstream) -> None:
    started = server(HEADROOM_BUDGET_DAY_USD="1")
    upstream.answer = lambda _: Script((("stall",),))
    body = DEAR.replace(b"30000", b"60000")
    request = REQUEST.replace(b"content-length: 2\r\n\r\n{}", b"content-length: %d\r\n\r\n" % len(body)) + body
    with Caller(started.port) as one:
        one.write(request)
        eventually(lambda: len(upstream.requests) == 1)
        refused = asked(started, body=body)
        assert (refused.status, refused.header("x-headroom-error")) == (429, "budget_spent")
        assert int(refused.header("retry-after")) <= 5
        assert not refused.header("x-should-retry")  # it is worth while: nothing is spent yet
        upstream.answer = lambda _: reply()
        for pid in started.worker_pids:
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(started.worker_pids) == 2 and ask(started.port, "GET", "/readyz").status == 200)
    eventually(lambda: asked(started, body=body).status == 200)


def test_an_unknown_price_is_open_or_closed(server: Callable[..., Server], upstream: Upstream) -> None:
    upstream.answer = lambda _: reply(b'{"model":"mystery-1","usage":{"input_tokens":1,"output_tokens":1}}')
    body = b'{"model":"mystery-1","messages":[]}'
    opened, closed = (server(HEADROOM_BUDGET_DAY_USD="1", HEADROOM_UNKNOWN_PRICE=way) for way in ("open", "closed"))
    unlimited = server(HEADROOM_UNKNOWN_PRICE="closed")
    assert [asked(each, body=body).status for each in (opened, unlimited)] == [200, 200]
    refused = asked(closed, body=body)
    assert (refused.status, refused.header("x-headroom-error")) == (403, "price_unknown")
    assert b"HEADROOM_PRICES" in refused.body


def test_proxy_keys_are_callers_with_names(server: Callable[..., Server], upstream: Upstream) -> None:
    upstream.answer = lambda _: reply()
    keys = {"a": b"token-of-a-0123456789", "b": b"token-of-b-0123456789"}
    given = ",".join(f"{name}:{token.decode()}" for name, token in keys.items())
    started = server("/livez", HEADROOM_PROXY_KEYS=given, HEADROOM_RPM="1")

    def status(token: bytes, credential: bytes) -> int:
        headers = ((b"x-headroom-token", token), (b"x-api-key", credential))
        return ask(started.port, "POST", "/v1/messages", headers, BODY).status

    eventually(lambda: ask(started.port, "GET", "/readyz", ((b"x-headroom-token", keys["a"]),)).status == 200)
    assert status(b"wrong", b"1") == 403
    assert status(keys["a"], b"1") == 200
    assert status(keys["a"], b"2") == 429
    assert status(keys["b"], b"1") == 200
    assert all(b"x-headroom-token" not in dict(request.headers) for request in upstream.requests)


def test_the_sdk_sees_a_rate_limit_of_its_own_api(server: Callable[..., Server], upstream: Upstream) -> None:
    upstream.answer = lambda _: reply()
    started = server(HEADROOM_RPM="1")
    assert asked(started, b"sk-ant-test").status == 200
    client = anthropic.Anthropic(api_key="sk-ant-test", base_url=f"http://127.0.0.1:{started.port}", max_retries=0)
    with client, pytest.raises(anthropic.RateLimitError) as caught:
        client.messages.create(model="claude-test", max_tokens=1, messages=[{"role": "user", "content": "hi"}])
    assert caught.value.type == "rate_limit_error"
    assert int(caught.value.response.headers["retry-after"]) <= 61


# --- WebSockets ---


async def talk(socket: Socket) -> None:
    """Answers each request at once."""
    try:
        while True:
            await socket.receive()
            await socket.send(DONE)
    except PeerLeft:
        return


def opened(server: Server, path: str = "/v1/responses") -> Any:
    return connect(f"ws://127.0.0.1:{server.port}{path}", proxy=None, ping_interval=None)


async def test_each_request_on_a_socket_counts_and_a_refusal_leaves_it_open(
    server: Callable[..., Server], upstream: Upstream
) -> None:
    sockets = Sockets(upstream, talk)
    started = server(HEADROOM_RPM="3", HEADROOM_CALLER_CONCURRENCY="1")
    async with asyncio.timeout(LIMIT_SECONDS), opened(started) as client:
        for _ in range(3):
            await client.send(ASK)
            assert await client.recv() == DONE
        for hidden in (ASK, ASK.replace("response.create", "response\\u002ecreate"), ASK.encode()):
            await client.send(hidden)
            refusal = msgspec.json.decode(await client.recv())
            assert (refusal["type"], refusal["status"]) == ("error", 429)
            assert refusal["error"]["code"] == "headroom_rate_limited"
            assert int(refusal["headers"]["retry-after"]) <= 61
        await client.send('{"type":"response.cancel"}')
        assert await client.recv() == DONE
    assert len(sockets.opened[0].received) == 4
    eventually(lambda: stats(started)["requests"]["refused"] == {"rate_limited": 3})


async def test_a_socket_holds_a_place_only_while_an_answer_is_due(
    server: Callable[..., Server], upstream: Upstream
) -> None:
    sockets = Sockets(upstream, listen)
    started = server(HEADROOM_TOTAL_CONCURRENCY="1")
    async with asyncio.timeout(LIMIT_SECONDS), opened(started) as idle:
        async with opened(started) as busy:
            await busy.send(ASK)
            while not any(socket.received for socket in sockets.opened):
                await asyncio.sleep(0.01)
            await idle.send(ASK)
            assert msgspec.json.decode(await idle.recv())["error"]["code"] == "headroom_concurrency_limited"
        upstream.answer = lambda _: reply()
        while (await asyncio.to_thread(asked, started)).status != 200:
            await asyncio.sleep(0.05)
