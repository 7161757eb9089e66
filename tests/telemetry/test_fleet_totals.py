"""What several servers counted, added up: never twice, never less, whoever is out of reach."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from proxy_pkg.stats.counters import Counters, open_counters, private_counters
from proxy_pkg.stats.directory import prepare
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.stats.snapshot import Server, read_lifetimes
from proxy_pkg.store.contract import StoreError
from proxy_pkg.store.fallback import Fallback
from proxy_pkg.telemetry.fleet_totals import Fleet
from proxy_pkg.telemetry.publishing import Publish, Publisher
from tests.store.memory import Memory

AWAY = StoreError("it is away", "unreachable")


@contextmanager
def serving(state_dir: Path, requests: int) -> Iterator[tuple[str, Counters]]:
    server = prepare(str(state_dir))
    worker = open_counters(str(state_dir), 1)
    for _ in range(requests):
        count(worker)
    yield str(state_dir), worker
    worker.close()
    server.close()


def count(worker: Counters) -> None:
    worker.finished(RequestRecord(protocol="anthropic", decision="rewritten", tokens_before=9, tokens_after=4))


def fleet_of(shared: Memory) -> Fleet:
    return Fleet(Fallback(Memory(time.monotonic), shared, 1, lambda *_: None))


async def report(fleet: Fleet, state_dir: str) -> dict[str, object]:
    return await fleet.section(read_lifetimes(state_dir))


async def test_every_server_tells_the_same_sum(tmp_path: Path) -> None:
    shared = Memory(time.monotonic)
    with ExitStack() as stack:
        places = [stack.enter_context(serving(tmp_path / str(n), n))[0] for n in (1, 2, 3)]
        fleets = [fleet_of(shared) for _ in places]
        for _ in range(3):  # said again, it is as true as before
            for fleet, place in zip(fleets, places, strict=True):
                await fleet.publish(read_lifetimes(place))
        for fleet, place in zip(fleets, places, strict=True):
            section = await report(fleet, place)
            assert (section["requests"], section["tokens_saved"], section["scope"]) == (6, 30, "fleet")
            assert section["servers_live"] == 3


async def test_a_restart_and_a_kill_count_nothing_twice_and_lose_nothing(tmp_path: Path) -> None:
    shared = Memory(time.monotonic)
    with serving(tmp_path / "other", 5) as (place, _):
        await fleet_of(shared).publish(read_lifetimes(place))
    for run in range(1, 4):
        with serving(tmp_path / "this", 2) as (place, worker):
            fleet = fleet_of(shared)
            assert (await report(fleet, place))["requests"] == 5 + 2 * run
            await fleet.publish(read_lifetimes(place))
            if run == 2:
                worker._slot.close()  # as the kernel does after kill -9


async def test_a_store_that_is_away_takes_nothing_from_what_was_heard(tmp_path: Path) -> None:
    shared = Memory(time.monotonic)
    with serving(tmp_path / "a", 1) as (here, _), serving(tmp_path / "b", 4) as (there, worker):
        fleet, other = fleet_of(shared), fleet_of(shared)
        await other.publish(read_lifetimes(there))
        assert (await report(fleet, here))["requests"] == 5
        shared.failing = AWAY
        count(worker)
        await other.publish(read_lifetimes(there))
        section = await report(fleet, here)
        assert (section["requests"], section["scope"]) == (5, "last known")
        shared.failing = None
        await other.publish(read_lifetimes(there))
        assert (await report(fleet, here))["requests"] == 6


async def test_sums_for_scrapes_are_those_of_all_servers_or_none(tmp_path: Path) -> None:
    shared = Memory(time.monotonic)
    with serving(tmp_path / "a", 1) as (here, _), serving(tmp_path / "b", 4) as (there, _):
        fleet, other = fleet_of(shared), fleet_of(shared)
        await other.publish(read_lifetimes(there))
        sums = await fleet.figures(read_lifetimes(here))
        assert sums is not None
        assert (sums["requests"], sums["tokens_before"]) == (5, 45)
        shared.failing = AWAY
        assert await fleet.figures(read_lifetimes(here)) is None
        shared.failing = None
        assert await fleet.figures(read_lifetimes(here)) == sums


async def test_many_servers_are_heard_in_two_calls(tmp_path: Path) -> None:
    shared = Memory(time.monotonic)
    names = [f"{number:016x}" for number in range(900)]
    for name in names:
        await shared.put(f"fleet/server/{name}", b'{"at_ms":0,"figures":{"requests":2}}', 60)
    await shared.add("fleet/servers", dict.fromkeys(names, 1), 60)
    with serving(tmp_path / "a", 1) as (here, _):
        before = shared.calls
        section = await report(fleet_of(shared), here)
        assert shared.calls == before + 2
    assert (section["requests"], section["servers_live"]) == (1801, 1)


async def test_a_store_that_forgot_is_told_again(tmp_path: Path) -> None:
    with serving(tmp_path / "a", 2) as (here, _), serving(tmp_path / "b", 3) as (there, _):
        await fleet_of(Memory(time.monotonic)).publish(read_lifetimes(there))
        emptied = Memory(time.monotonic)
        await fleet_of(emptied).publish(read_lifetimes(there))
        assert (await report(fleet_of(emptied), here))["requests"] == 5


async def test_what_another_version_said_in_another_form_is_left_out(tmp_path: Path) -> None:
    shared = Memory(time.monotonic)
    await shared.put("fleet/server/odd", b'{"other": "form"}', 60)
    await shared.add("fleet/servers", {"odd": 1}, 60)
    with serving(tmp_path / "a", 2) as (here, _):
        assert (await report(fleet_of(shared), here))["requests"] == 2


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[str, Counters]]:
    with serving(tmp_path / "state", 1) as made:
        yield made


async def test_one_worker_speaks_and_another_takes_over(place: tuple[str, Counters]) -> None:
    state_dir, first = place
    received: list[tuple[str, int]] = []

    def tell(name: str) -> Publish:
        async def publish(server: Server) -> None:
            received.append((name, server.runs))

        return publish

    second = open_counters(state_dir, 2)
    one, two = Publisher(first, [tell("one")], 0.005), Publisher(second, [tell("two")], 0.005)
    while not (one.speaks or two.speaks) or len(received) < 5:
        await asyncio.sleep(0.005)
    assert len({name for name, _ in received}) == 1
    speaker, silent = (one, two) if one.speaks else (two, one)
    spoken = len(received)
    await speaker.close()
    assert len(received) > spoken, "the last word"
    while not silent.speaks:
        await asyncio.sleep(0.005)
    await silent.close()
    second.close()


async def test_nobody_speaks_for_a_worker_that_counts_alone(tmp_path: Path) -> None:
    received: list[Server] = []

    async def publish(server: Server) -> None:
        received.append(server)

    publisher = Publisher(private_counters(str(tmp_path)), [publish], 0.001)
    await asyncio.sleep(0.02)
    await publisher.close()
    assert received == []
