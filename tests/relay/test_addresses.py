"""A name is looked up once for all who wait, remembered within bounds, and asked for again where its address fails."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec import structs
from multidict import CIMultiDict

from proxy_pkg.errors import UpstreamConnectError, UpstreamTimeoutError
from proxy_pkg.relay import dns, names
from proxy_pkg.relay import names as names_module
from proxy_pkg.relay.client import PoolLimits, open_session
from proxy_pkg.relay.dns import Found, LookupFailedError, ask
from proxy_pkg.relay.names import FAILURE_SECONDS, Names, SystemNames, has_more_sources, open_names
from proxy_pkg.relay.send import send
from tests.fakes.nameserver import NameServer, name_server
from tests.fakes.upstream import Upstream

LIMITS = PoolLimits(
    connections_max=10,
    idle_max=10,
    idle_seconds=15,
    dns_cache_seconds=600,
    connect_timeout_seconds=2,
    first_byte_timeout_seconds=2,
    gap_timeout_seconds=2,
    total_timeout_seconds=0,
)


class Directory:
    """Answers questions about names when it is let; `asked` has the questions."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Found | LookupFailedError = Found(("192.0.2.1",), 60)
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, host: str) -> Found:
        self.asked.append(host)
        await self.gate.wait()
        if isinstance(self.answer, LookupFailedError):
            raise self.answer
        return self.answer


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[NameServer]:
    with name_server({"here.test": ["127.0.0.1"], "both.test": ["::1", "127.0.0.1"]}) as running:
        yield running


@pytest.fixture
async def told() -> AsyncIterator[tuple[Names, Directory, Clock]]:
    directory, clock = Directory(), Clock()
    opened = Names(directory, 30, clock)
    yield opened, directory, clock
    await opened.close()


async def test_one_lookup_serves_all_who_wait_and_outlives_those_who_leave(
    told: tuple[Names, Directory, Clock],
) -> None:
    opened, directory, _ = told
    directory.gate.clear()
    waiting = [asyncio.ensure_future(opened.addresses("API.example")) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    directory.gate.set()
    answers = await asyncio.gather(*waiting[1:])
    assert answers == [(("192.0.2.1",), False)] * 4
    assert await opened.addresses("api.example") == (("192.0.2.1",), True)
    assert directory.asked == ["api.example"]


async def test_an_address_is_never_looked_up(told: tuple[Names, Directory, Clock]) -> None:
    opened, directory, _ = told
    for address in ("127.0.0.1", "::1", "fe80::1%eth0"):
        assert await opened.addresses(address) == ((address,), False)
    assert not directory.asked


@pytest.mark.parametrize(("ttl", "seconds"), [(5, 5), (600, 30), (0, 1)])
async def test_an_answer_stands_as_long_as_its_owner_and_the_settings_let_it(
    ttl: int, seconds: int, told: tuple[Names, Directory, Clock]
) -> None:
    opened, directory, clock = told
    directory.answer = Found(("192.0.2.1",), ttl)
    await opened.addresses("a.test")
    clock.now += seconds - 0.1
    await opened.addresses("a.test")
    assert len(directory.asked) == 1
    clock.now += 0.2
    await opened.addresses("a.test")
    assert len(directory.asked) == 2


async def test_a_failure_is_remembered_for_a_moment(told: tuple[Names, Directory, Clock]) -> None:
    opened, directory, clock = told
    directory.answer = LookupFailedError("a.test", "unknown", "not found")
    for _ in range(5):
        with pytest.raises(LookupFailedError):
            await opened.addresses("a.test")
    assert len(directory.asked) == 1
    clock.now += FAILURE_SECONDS + 0.1
    directory.answer = Found(("192.0.2.7",), 60)
    assert (await opened.addresses("a.test"))[0] == ("192.0.2.7",)


@pytest.mark.parametrize(("fault", "is_kept"), [("unanswered", True), ("refused", True), ("unknown", False)])
async def test_the_last_addresses_stay_where_name_servers_say_nothing(
    fault: Any, is_kept: bool, told: tuple[Names, Directory, Clock]
) -> None:
    opened, directory, clock = told
    await opened.addresses("a.test")
    clock.now += 31
    directory.answer = LookupFailedError("a.test", fault, "")
    if is_kept:
        assert await opened.addresses("a.test") == (("192.0.2.1",), True)
        clock.now += names_module.STALE_SECONDS_MAX
    with pytest.raises(LookupFailedError):
        await opened.addresses("a.test")


async def test_a_slow_name_server_does_not_keep_a_known_name_waiting(
    told: tuple[Names, Directory, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names_module, "STALE_AFTER_SECONDS", 0.01)
    opened, directory, clock = told
    await opened.addresses("a.test")
    clock.now += 31
    directory.gate.clear()
    assert await opened.addresses("a.test") == (("192.0.2.1",), True)


async def test_lookups_under_way_have_a_bound(
    told: tuple[Names, Directory, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names_module, "LOOKUPS_MAX", 2)
    opened, directory, _ = told
    directory.gate.clear()
    waiting = [asyncio.ensure_future(opened.addresses(f"{n}.test")) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(LookupFailedError) as refused:
        await opened.addresses("2.test")
    assert refused.value.fault == "busy"
    directory.gate.set()
    await asyncio.gather(*waiting)
    assert await opened.addresses("2.test")


async def test_addresses_of_one_kind_take_turns_and_kinds_keep_their_order(
    told: tuple[Names, Directory, Clock],
) -> None:
    opened, directory, _ = told
    directory.answer = Found(("::1", "::2", "192.0.2.1"), 60)
    first = [(await opened.addresses("a.test"))[0] for _ in range(4)]
    assert {addresses[0] for addresses in first} == {"::1", "::2"}
    assert {addresses[2] for addresses in first} == {"192.0.2.1"}


async def test_names_are_asked_for_by_dns(server: NameServer) -> None:
    assert (await ask("here.test", [server.place])).addresses == ("127.0.0.1",)
    assert set((await ask("both.test", [server.place])).addresses) == {"::1", "127.0.0.1"}
    assert (await ask("here.test", [server.place])).seconds == 60
    server.broken.add("broken.test")
    for name, fault in (("gone.test", "unknown"), ("a..b", "unknown"), ("broken.test", "refused")):
        with pytest.raises(LookupFailedError) as failed:
            await ask(name, [server.place])
        assert (failed.value.fault, failed.value.host) == (fault, name)
    assert (await ask("localhost", [server.place])).addresses, "it knows that one itself"


async def test_the_second_name_server_is_asked_where_the_first_is_not_there(server: NameServer) -> None:
    silent = NameServer({})  # bound, and nobody reads
    with contextlib.closing(silent.socket):
        found = await ask("here.test", [silent.place, server.place])
    assert found.addresses == ("127.0.0.1",)


async def test_a_name_server_that_is_slow_each_time_is_heard(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slower than every try waits for: an answer that comes after its try is an answer all the same."""
    server.records["slow.test"] = ["127.0.0.1"]
    server.slow["slow.test"] = 2.5
    monkeypatch.setattr(dns, "_FIRST_TRY_SECONDS", 0.2)
    monkeypatch.setattr(dns, "_SLOW_AFTER_SECONDS", 0.1)
    async with asyncio.timeout(20):
        assert (await ask("slow.test", [server.place])).addresses == ("127.0.0.1",)


async def test_silence_beside_a_late_refusal_is_no_answer(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.slow["gone.test"] = 2.5
    monkeypatch.setattr(dns, "_FIRST_TRY_SECONDS", 0.2)
    monkeypatch.setattr(dns, "_TRIES", 1)
    monkeypatch.setattr(dns, "_SLOW_AFTER_SECONDS", 0.1)
    with pytest.raises(LookupFailedError) as failed:
        async with asyncio.timeout(20):
            await ask("gone.test", [server.place])
    assert failed.value.fault == "unknown"


async def test_this_machine_is_known_with_a_dot_behind_its_name_too(server: NameServer) -> None:
    for name in ("localhost", "localhost.", "LOCALHOST.", "a.localhost"):
        assert set((await ask(name, [server.place])).addresses) <= {"127.0.0.1", "::1"}
    assert not server.asked


async def test_a_lookup_that_is_given_up_leaves_nothing_behind(server: NameServer) -> None:
    server.silent.add("dead.test")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await ask("dead.test", [server.place])
    assert (await ask("here.test", [server.place])).addresses == ("127.0.0.1",)


async def test_the_system_is_asked_in_few_threads_one_for_each_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    gate = threading.Event()

    def looked_up(host: str) -> Found:
        gate.wait(10)
        return Found((host,))

    monkeypatch.setattr(names, "_looked_up", looked_up)
    monkeypatch.setattr(names, "THREADS_MAX", 2)
    system = SystemNames()
    first = [asyncio.ensure_future(system.ask(name)) for name in ("a", "b")]
    await asyncio.sleep(0)
    for name, fault in (("a", "unanswered"), ("c", "busy")):
        with pytest.raises(LookupFailedError) as refused:
            await system.ask(name)
        assert refused.value.fault == fault
    gate.set()
    assert [found.addresses for found in await asyncio.gather(*first)] == [("a",), ("b",)]


@pytest.mark.parametrize(
    ("line", "more"),
    [
        ("hosts: files dns", False),
        ("hosts:  dns [!UNAVAIL=return] files # mdns", False),
        ("hosts: files mdns4_minimal [NOTFOUND=return] dns", True),
        ("hosts: files myhostname dns", True),
        ("passwd: files sss", False),
    ],
)
def test_other_sources_of_names_are_seen(line: str, more: bool, tmp_path: Path) -> None:
    (tmp_path / "nsswitch.conf").write_text(f"# x\n{line}\n")
    assert has_more_sources(tmp_path / "nsswitch.conf") is more
    assert not has_more_sources(tmp_path / "absent")


async def post(session: aiohttp.ClientSession, url: str) -> int:
    answer = await send(session, "POST", url, CIMultiDict(), b"{}", 5)
    async with answer:
        await answer.read()
    return answer.status


async def test_a_remembered_address_that_refuses_is_looked_up_again(server: NameServer, upstream: Upstream) -> None:
    session, connector = open_session(LIMITS, names=open_names([server.place], 600))
    url = f"http://here.test:{upstream.port}/v1/x"
    async with session:
        server.records["here.test"] = ["127.0.0.2"]  # the upstream listens on 127.0.0.1 alone
        with pytest.raises(UpstreamConnectError, match=r"the upstream here\.test:\d+ refused the connection"):
            await post(session, url)
        assert server.asked["here.test"] == 1, "an answer that has just come is not asked for again"
        server.records["here.test"] = ["127.0.0.1"]
        assert await post(session, url) == 200
        assert server.asked["here.test"] == 2
        assert connector.idle_count == 1
    assert len(upstream.requests) == 1


async def test_a_remembered_address_that_is_silent_is_looked_up_again(server: NameServer, upstream: Upstream) -> None:
    """192.0.2.0/24 is nobody's: it refuses, or it swallows what is sent."""
    limits = structs.replace(LIMITS, connect_timeout_seconds=1.0)
    session, _ = open_session(limits, names=open_names([server.place], 600))
    url = f"http://here.test:{upstream.port}/v1/x"
    async with session:
        server.records["here.test"] = ["192.0.2.1"]
        with pytest.raises((UpstreamConnectError, UpstreamTimeoutError)):
            await post(session, url)
        server.records["here.test"] = ["127.0.0.1"]
        assert await post(session, url) == 200


async def test_a_connection_that_is_too_old_is_not_used_again(upstream: Upstream) -> None:
    session, connector = open_session(structs.replace(LIMITS, connection_seconds_max=600.0))
    async with session:
        for _ in range(3):
            assert await post(session, upstream.url + "/v1/x") == 200
        assert len(upstream.connections) == 1
        for idle in connector._conns.values():
            for protocol, _ in idle:
                protocol._ends_at = 0.0  # type: ignore[attr-defined]
        assert await post(session, upstream.url + "/v1/x") == 200
        assert len(upstream.connections) == 2


async def test_looking_up_connecting_and_tls_share_one_limit(server: NameServer) -> None:
    server.silent.add("dead.test")
    limits = structs.replace(LIMITS, connect_timeout_seconds=0.3)
    session, _ = open_session(limits, names=open_names([server.place], 600))
    async with session:
        with pytest.raises(UpstreamTimeoutError, match=r"name server did not answer .* upstream x\.dead\.test:443"):
            await post(session, "https://x.dead.test/v1/x")
