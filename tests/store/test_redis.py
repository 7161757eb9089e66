"""Redis for real: paused, killed, emptied and back; several machines; Sentinel, Cluster, TLS, a socket."""

import asyncio
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from proxy_pkg.store.contract import LEASE_SECONDS_MAX, Budget, Lease, Rate, Store, StoreError
from proxy_pkg.store.embedded import Embedded
from proxy_pkg.store.fallback import Fallback
from proxy_pkg.store.redis import Redis
from tests.store.conftest import Make
from tests.store.servers import RedisServer, engine, free_port

ROOT = Path(__file__).parents[2]


async def soon(ask: Callable[[], Awaitable[bool]]) -> None:
    until = time.monotonic() + 30
    while not await ask():
        assert time.monotonic() < until
        await asyncio.sleep(0.05)


async def opened(store: Redis) -> None:
    """Call until the breaker is open."""
    for _ in range(3):
        with pytest.raises(StoreError) as caught:
            await store.acquire([Rate("a", 1, 5, 3600)])
        assert caught.value.reason in ("timeout", "unreachable")
    assert not store.reached


async def works(store: Store) -> bool:
    try:
        return (await store.acquire([Rate("works", 1, 0, 3600)])).granted
    except StoreError:
        return False


@pytest.mark.parametrize("fault", ["paused", "killed"])
async def test_out_of_reach_it_says_so_at_once_and_comes_back_by_itself(make: Make, fault: str) -> None:
    server = make()
    store = engine(server.url, timeout_ms=400)
    await store.acquire([Rate("a", 1, 5, 3600), Lease("s", "one", 5, b"note")])
    server.send(signal.SIGSTOP) if fault == "paused" else server.stop()
    await opened(store)
    for _ in range(50):
        with pytest.raises(StoreError) as caught:
            await store.acquire([Rate("a", 1, 5, 3600)])
        assert caught.value.reason == "open"
    server.send(signal.SIGCONT) if fault == "paused" else server.start()
    await soon(lambda: works(store))
    # Killed, it has forgotten everything; who is still here is told to it again.
    await soon(lambda: named(store, ["one"]))
    await store.close()


async def test_places_that_were_left_while_it_was_out_of_reach_are_free_when_it_is_back(
    make: Make, tmp_path: Path
) -> None:
    server = make()
    store = Fallback(Embedded(str(tmp_path)), engine(server.url, timeout_ms=400), 2, lambda *loss: None)
    leases = [Lease("s", f"request {number}", 4) for number in range(4)]
    for lease in leases:
        assert (await store.acquire([lease])).scope == "fleet"
    server.send(signal.SIGSTOP)
    while store.reached:
        await store.acquire([Rate("r", 1, 0, 60)])
    await store.release(leases)
    server.send(signal.SIGCONT)

    async def free() -> bool:
        acquired = await store.acquire([Lease("s", "another", 1)])
        await store.release([Lease("s", "another")])
        return acquired.scope == "fleet" and acquired.granted

    began = time.monotonic()
    await soon(free)
    assert time.monotonic() - began < LEASE_SECONDS_MAX / 2  # they end by themselves, but not so soon
    await store.close()


async def test_a_budget_stays_spent_when_it_comes_back_empty(make: Make, tmp_path: Path) -> None:
    server = make()
    store = Fallback(Embedded(str(tmp_path)), engine(server.url), 1, lambda *loss: None)
    budget = Budget("b", 5, 5, 3600)
    assert (await store.acquire([budget])).granted
    server.stop()
    assert not (await store.acquire([budget])).granted
    server.start()

    async def agreed() -> bool:
        acquired = await store.acquire([budget])
        assert not acquired.granted
        assert acquired.states[0].retry_after_ms > 0
        return acquired.scope == "fleet"

    await soon(agreed)
    await store.acquire([Budget("b", 0, 0, 3600)], force=True)
    another = engine(server.url)
    assert not (await another.acquire([budget])).granted
    for each in (store, another):
        await each.close()


GREETINGS = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"SSH-2.0-OpenSSH_9\r\n",
    b"\x15\x03\x01\x00\x02\x02F",
    b"+OK\r\n",
    b":1\r\n",
    b"$-1\r\n",
    b"$abc\r\n",
    b"*-7\r\n",
    b"*1\r\n*1\r\n:1\r\n",
    b"-MOVED 3 nohost\r\n",
    b"-\xff\r\n",
    b"",
]
OPERATIONS: dict[str, Callable[[Redis], Awaitable[object]]] = {
    "acquire": lambda store: store.acquire([Rate("a", 1, 5, 60), Lease("s", "one", 5)]),
    "release": lambda store: store.release([Lease("s", "one")]),
    "leases": lambda store: store.leases("s"),
    "recent": lambda store: store.recent("r", 5),
    "totals": lambda store: store.totals("t"),
    "keep": lambda store: store.put("k", b"v", 60, keep=True),
    "get": lambda store: store.get("k"),
    "put_many": lambda store: store.put_many({"a": b"1", "b": b"2"}, 60),
    "get_many": lambda store: store.get_many(["a", "b"]),
    "probe": lambda store: store._probe(),
}


@pytest.mark.parametrize("kind", ["redis", "redis+cluster", "redis+sentinel"])
async def test_what_answers_and_is_no_redis_raises_nothing_but_our_error(kind: str) -> None:
    for greeting in GREETINGS:

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, words: bytes = greeting) -> None:
            with suppress(OSError):
                while words and await reader.read(65536):
                    writer.write(words)
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            for operation in OPERATIONS.values():
                store = engine(f"{kind}://127.0.0.1:{port}{'/main' * ('sentinel' in kind)}", timeout_ms=200)
                with suppress(StoreError):
                    await operation(store)
                await store.close()


@pytest.mark.parametrize("kind", ["redis", "redis+cluster", "redis+sentinel"])
async def test_nothing_at_its_address_is_out_of_reach(kind: str, tmp_path: Path) -> None:
    losses: list[tuple[str, str]] = []
    shared = engine(f"{kind}://127.0.0.1:{free_port()}{'/main' * ('sentinel' in kind)}")
    store = Fallback(Embedded(str(tmp_path)), shared, 2, lambda *loss: losses.append(loss))
    assert {(await store.acquire([Rate("a", 1, 10, 60)])).scope for _ in range(5)} == {"machine"}
    assert losses == [("acquire", "unreachable")] * 3 + [("acquire", "open")] * 2
    await store.close()


async def test_a_whole_cluster_may_go_and_come_back(make: Make, tmp_path: Path) -> None:
    node = make("--cluster-enabled", "yes")
    admin = engine(node.url)
    await admin._client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    store = Fallback(Embedded(str(tmp_path)), engine(f"redis+cluster://127.0.0.1:{node.port}"), 2, lambda *loss: None)

    async def agreed() -> bool:
        return (await store.acquire([Rate("a", 1, 0, 60)])).scope == "fleet"

    await soon(agreed)
    node.stop()
    assert {(await store.acquire([Rate("a", 1, 0, 60)])).scope for _ in range(20)} == {"machine"}
    node.start()
    await soon(agreed)
    for each in (store, admin):
        await each.close()


async def named(store: Store, names: list[str]) -> bool:
    return [here.name for here in await store.leases("s")] == names


async def test_answers_never_get_mixed_up_after_timeouts(make: Make, closing: list[Redis]) -> None:
    server = make()
    store = engine(server.url, timeout_ms=300)
    closing.append(store)
    rights = [b"%d" % number for number in range(20)]
    for number, right in enumerate(rights):
        await soon(lambda number=number, right=right: kept(store, f"k{number}", right))  # type: ignore[misc]
    server.send(signal.SIGSTOP)
    with suppress(StoreError):
        asked = (store.get_many([f"k{number}", f"k{number + 1}"]) for number in range(0, 20, 2))
        await asyncio.gather(*(store.get(f"k{number}") for number in range(20)), *asked)
    server.send(signal.SIGCONT)

    async def all_right() -> bool:
        calls = (store.get(f"k{number}") for number in range(20))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert all(
            answer == right or isinstance(answer, StoreError) for answer, right in zip(answers, rights, strict=True)
        )
        return answers == rights

    for _ in range(5):
        await soon(all_right)


async def kept(store: Store, key: str, value: bytes) -> bool:
    try:
        return await store.put(key, value, 3600) == value
    except StoreError:
        return False


async def test_requests_go_on_through_an_outage_and_what_they_spent_is_paid_in(make: Make, tmp_path: Path) -> None:
    server = make()
    losses: list[tuple[str, str]] = []
    store = Fallback(Embedded(str(tmp_path)), engine(server.url, timeout_ms=400), 2, lambda *loss: losses.append(loss))
    claims = [Rate("r", 1, 10_000, 3600), Budget("money", 3, 100_000, 3600)]
    for _ in range(10):
        assert (await store.acquire(claims)).scope == "fleet"
    server.send(signal.SIGSTOP)
    scopes = {(await store.acquire(claims)).scope for _ in range(40)}
    assert scopes == {"machine"}
    assert len(losses) == 40
    assert {reason for _, reason in losses} == {"timeout", "open"}
    server.send(signal.SIGCONT)

    async def back() -> bool:
        return (await store.acquire([Rate("r", 0, 0, 3600)])).scope == "fleet"

    await soon(back)

    async def paid() -> bool:
        money = (await store.acquire([Budget("money", 0, 0, 3600)], force=True)).states[0].used
        # A call that ran into its timeout may have been done: at most those three count twice.
        return 150 <= money <= 159

    await soon(paid)
    await store.close()


async def test_a_server_that_forgot_the_scripts_is_told_them_again(make: Make) -> None:
    server = make()
    store = engine(server.url)
    await store.acquire([Rate("a", 1, 5, 3600)])
    await store._client.script_flush()
    assert (await store.acquire([Rate("a", 1, 5, 3600)])).states[0].used == 2
    await store.close()


async def test_a_full_server_and_a_replica_refuse_and_nothing_breaks(make: Make) -> None:
    store = engine(make("--maxmemory", "1mb", "--maxmemory-policy", "noeviction").url)
    with pytest.raises(StoreError) as caught:
        for _ in range(50):
            await store.put("k", bytes(900_000), 60)
    assert caught.value.reason == "full"
    await store.close()
    replica = engine(make("--replicaof", "127.0.0.1 1").url)
    with pytest.raises(StoreError) as caught:
        await replica.put("k", b"v", 60)
    assert caught.value.reason in ("refused", "unreachable")
    await replica.close()


async def test_prefixes_keep_fleets_apart_on_one_server(redis_server: RedisServer) -> None:
    one, two = engine(redis_server.url, "apart1:"), engine(redis_server.url, "apart2:")
    await one.acquire([Budget("b", 5, 0, 3600), Lease("s", "one")])
    await one.put("k", b"v", 60)
    assert (await two.acquire([Budget("b", 0, 0, 3600)], force=True)).states[0].used == 0
    assert await two.leases("s") == []
    assert await two.get("k") is None
    keys = await one._client.execute_command("KEYS", "*")
    assert {key.split(b":")[0] for key in keys} >= {b"apart1"}
    for store in (one, two):
        await store.close()


async def test_everything_under_the_prefix_ends_by_itself(make: Make) -> None:
    server = make()
    store = engine(server.url)
    await store.acquire([Rate("a", 1, 5, 60), Budget("b", 1, 5, 60), Lease("s", "one")])
    await store.append("r", [b"x"])
    await store.add("t", {"n": 1}, 60)
    await store.put("k", b"v", 60)
    await store.put("kept", b"v", 60, keep=True)
    keys = await store._client.execute_command("KEYS", "*")
    assert len(keys) == 8
    for key in keys:
        assert 0 < await store._client.execute_command("PTTL", key) <= 8 * 86_400_000
    await store.close()


async def test_a_stay_of_a_dead_worker_ends_after_a_while(redis_server: RedisServer) -> None:
    store, reader = engine(redis_server.url, "dead:"), engine(redis_server.url, "dead:")
    await store.acquire([Lease("s", "one", 1)])
    places = "dead:{claims}:lease:s"
    # As if its worker had not renewed it for so long.
    await reader._client.execute_command("ZADD", places, int(time.time() * 1000) - 1, "one")
    assert (await reader.acquire([Lease("s", "two", 1)])).granted
    assert [here.name for here in await reader.leases("s")] == ["two"]
    for each in (store, reader):
        await each.close()


async def test_a_server_clock_that_goes_back_locks_nobody_out(redis_server: RedisServer) -> None:
    store = engine(redis_server.url, "clock:")
    claim = Rate("a", 5, 5, 60)
    assert (await store.acquire([claim])).granted
    key = "clock:{claims}:rate:a"
    newest = int(await store._client.execute_command("HGET", key, "n"))
    await store._client.execute_command("HSET", key, "n", newest + 10**6, "t", newest + 10**6)
    assert (await store.acquire([claim])).granted
    assert not (await store.acquire([claim])).granted
    await store.close()


TAKER = """
import asyncio, sys
from proxy_pkg.store.contract import Rate
from tests.store.servers import engine

async def main():
    store = engine(sys.argv[1], "takers:", 5000)
    granted = 0
    for _ in range(8):
        taken = await asyncio.gather(*(store.acquire([Rate("all", 1, 600, 3600)]) for _ in range(30)))
        granted += sum(each.granted for each in taken)
    print(granted)
    await store.close()

asyncio.run(main())
"""


def test_workers_of_several_machines_admit_exactly_the_limit(redis_server: RedisServer) -> None:
    takers = [
        subprocess.Popen([sys.executable, "-c", TAKER, redis_server.url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert sum(int(taker.communicate()[0]) for taker in takers) == 600


async def all_kinds(store: Redis) -> None:
    """One of everything, over more than one hash slot."""
    claims = [Rate("a", 1, 2, 60), Budget("b", 1, 2, 60), Lease("s", "one", 2, b"note")]
    await soon(lambda: works(store))
    assert (await store.acquire(claims)).granted
    assert [here.note for here in await store.leases("s")] == [b"note"]
    await store.release([Lease("s", "one")])
    for number in range(20):
        await store.put(f"k{number}", b"%d" % number, 60, keep=True)
        assert await store.get(f"k{number}") == b"%d" % number
    many = {f"many/{{{number % 30}}}/{number}": b"%d" % number for number in range(90)}
    assert await store.put_many(many, 60, keep=True) == many
    assert await store.get_many([*many, "unknown"], 60) == many
    await store.append("r", [b"x", b"y"])
    assert await store.recent("r", 2) == [b"y", b"x"]
    await store.add("t", {"n": 1}, 60)
    assert await store.totals("t") == {"n": 1}
    await store.delete("k1")


async def test_a_cluster_serves(make: Make, closing: list[Redis]) -> None:
    nodes = [make("--cluster-enabled", "yes", "--cluster-node-timeout", "2000") for _ in range(2)]
    halves = [("0", "8191"), ("8192", "16383")]
    for node, half in zip(nodes, halves, strict=True):
        admin = engine(node.url)
        closing.append(admin)
        await admin._client.execute_command("CLUSTER", "ADDSLOTSRANGE", *half)
        await admin._client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)

    async def whole() -> bool:
        states = [await admin._client.execute_command("CLUSTER", "INFO") for admin in closing[:2]]
        return all("ok" in str(state["cluster_state"] if isinstance(state, dict) else state) for state in states)

    await soon(whole)
    store = engine(f"redis+cluster://127.0.0.1:{nodes[0].port}", timeout_ms=2000)
    closing.append(store)
    await all_kinds(store)


async def test_the_primary_that_a_sentinel_names_serves(make: Make, tmp_path: Path, closing: list[Redis]) -> None:
    primary = make()
    port = free_port()
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(f"port {port}\nsentinel monitor main 127.0.0.1 {primary.port} 1\n")
    make(str(configuration), "--sentinel", port=port, plain=False)
    # The first Sentinel is away; the second one is asked.
    store = engine(f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{port}/main", timeout_ms=2000)
    closing.append(store)
    await all_kinds(store)


async def test_a_socket_serves(make: Make, tmp_path: Path, closing: list[Redis]) -> None:
    make("--unixsocket", str(tmp_path / "r.sock"))
    store = engine(f"unix://{tmp_path}/r.sock")
    closing.append(store)
    await all_kinds(store)


async def test_tls_and_a_password_serve_and_a_stranger_is_refused(
    make: Make, tmp_path: Path, closing: list[Redis]
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = ["openssl", "req", "-x509", *curve, "-keyout", key, "-out", certificate, *names]
    subprocess.run(command, check=True, capture_output=True)
    port = free_port()
    files = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(certificate)]
    make(
        *("--tls-port", str(port), "--port", "0", "--tls-auth-clients", "no", "--requirepass", "s3 cret", *files),
        port=port,
        plain=False,
    )
    store = engine(f"rediss://:s3%20cret@localhost:{port}?ssl_ca_certs={certificate}")
    closing.append(store)
    await all_kinds(store)
    for url in (
        f"rediss://:s3%20cret@localhost:{port}",
        f"rediss://:wrong@localhost:{port}?ssl_ca_certs={certificate}",
    ):
        stranger = engine(url)
        closing.append(stranger)
        with pytest.raises(StoreError):
            await stranger.get("k")


def test_without_a_url_nothing_of_redis_is_imported() -> None:
    script = (
        "import asyncio, sys, tempfile\n"
        "from proxy_pkg.store.open_store import StoreOptions, open_store\n"
        "async def main():\n"
        "    store, problem = open_store(StoreOptions(sys.argv[1], 2**20), print)\n"
        "    assert problem == '', problem\n"
        "    await store.close()\n"
        "with tempfile.TemporaryDirectory() as directory:\n"
        "    sys.argv[1:] = [directory]\n"
        "    asyncio.run(main())\n"
        "assert 'redis' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
