"""What workers show of their requests: those that last, and the last ones."""

import asyncio
from time import monotonic_ns
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from proxy_pkg.limits.callers import Callers
from proxy_pkg.protocols import anthropic
from proxy_pkg.protocols.table import Match
from proxy_pkg.stats.record import RequestRecord, UsageRecord
from proxy_pkg.store.contract import NOTE_BYTES_MAX, LeaseHolder, StoreError
from proxy_pkg.store.fallback import Fallback
from proxy_pkg.telemetry import shared_publisher
from proxy_pkg.telemetry.live import LIVE_MS, SHOWN, SHOWN_PER_WORKER, Live
from proxy_pkg.telemetry.outcome import Ended
from proxy_pkg.telemetry.recent import GATHERED_MAX, HELD_SECONDS, Recent
from tests.store.memory import Memory

OLD_NS = 2 * LIVE_MS * 1_000_000


def opened(name: str, age_ns: int = OLD_NS, **fields: Any) -> Any:
    return SimpleNamespace(
        id=name,
        matched=Match(anthropic.MESSAGES, "messages", "", "m" * 500),
        record=RequestRecord(protocol="anthropic_messages", route="messages"),
        scope={"headers": [(b"x-api-key", b"canary-secret")], "query_string": b"key=canary-secret", "path": "/canary"},
        began_ns=monotonic_ns() - age_ns,
        **{"phase": "waiting"} | fields,
    )


def lasting() -> tuple[Memory, Live]:
    store = Memory(lambda: 1.0)
    return store, Live(store, Callers())


async def test_what_lasts_is_shown_until_it_ends() -> None:
    store, live = lasting()
    long, short = opened("long"), opened("short", 0)
    live.enter(long)
    live.enter(short)
    await live.publish()
    assert [note["id"] for note in await live.newest()] == ["long"]
    live.leave(long)
    await live.publish()
    assert await store.leases("live") == []


async def test_a_note_changes_with_the_phase_and_only_then() -> None:
    store, live = lasting()
    one = opened("one")
    live.enter(one)
    await live.publish()
    calls = store.calls
    await live.publish()
    assert store.calls == calls
    one.phase = "answering"
    await live.publish()
    assert [note["phase"] for note in await live.newest()] == ["answering"]


async def test_notes_hold_no_credential() -> None:
    store, live = lasting()
    live.enter(opened("one"))
    await live.publish()
    assert b"canary" not in (await store.leases("live"))[0].note


async def test_a_worker_shows_a_bounded_number() -> None:
    store, live = lasting()
    for number in range(SHOWN_PER_WORKER * 3):
        live.enter(opened(str(number)))
    await live.publish()
    await live.publish()
    assert len(await store.leases("live")) == SHOWN_PER_WORKER
    assert len(await live.newest()) <= SHOWN


async def test_one_that_ends_while_others_are_published_does_no_harm() -> None:
    store, live = lasting()
    one, two = opened("one"), opened("two")
    live.enter(one)
    live.enter(two)
    await live.publish()
    live.leave(one)
    release = store.release

    async def slowly(leases: Any) -> None:
        live.leave(two)
        await release(leases)

    store.release = slowly  # type: ignore[method-assign]
    await live.publish()
    await live.publish()
    assert await store.leases("live") == []


async def test_a_note_that_makes_no_sense_is_left_out() -> None:
    store, live = lasting()

    async def leases(_: str) -> list[LeaseHolder]:
        return [LeaseHolder("a", b'{"id":'), LeaseHolder("b", b'{"id":"b"}')]

    store.leases = leases  # type: ignore[method-assign]
    assert await live.newest() == [{"id": "b"}]


def ended(name: str, record: RequestRecord) -> Ended:
    return Ended(name, "POST", "/canary", 200, record, "", 1.0, 1_000_000)


def noting() -> tuple[Memory, Recent, list[tuple[str, str]]]:
    store, lost = Memory(lambda: 1.0), list[tuple[str, str]]()
    return store, Recent(store, lambda *why: lost.append(why), clock=lambda: 1.0), lost


async def test_the_last_requests_are_noted_newest_first_in_one_call() -> None:
    store, recent, lost = noting()
    record = RequestRecord(protocol="p", route="r", decision="rewritten", decision_reason="smaller", plan_ns=2_500_000)
    for number in range(3):
        recent.add(ended(f"r{number}", record))
    await recent.publish()
    assert store.calls == 1
    notes = [msgspec.json.decode(note) for note in await recent.newest()]
    assert [note["id"] for note in notes] == ["r2", "r1", "r0"]
    assert (notes[0]["reason"], notes[0]["ms"]["plan"], notes[0]["status"]) == ("smaller", 2.5, 200)
    assert not lost


async def test_a_note_waits_a_little_for_what_the_answer_cost() -> None:
    store, recent, _ = noting()
    record = RequestRecord(awaits_usage=True)
    recent.add(ended("dear", record))
    recent.add(ended("free", RequestRecord()))
    await recent.publish()
    before = [msgspec.json.decode(note) for note in await recent.newest()]
    assert [(note["id"], note["usage"]) for note in before] == [("dear", None), ("free", None)]
    record.awaits_usage = False
    record.usage = UsageRecord(
        model="m", input=1, cache_read=2, cache_write=3, output=4, cost_microdollars=50, loss_microdollars=7
    )
    await recent.publish()
    (told, _) = [msgspec.json.decode(note) for note in await recent.newest()]
    tokens = {"model": "m", "input": 1, "cache_read": 2, "cache_write": 3, "output": 4}
    assert told["usage"] == tokens | {"cost_usd": 5e-05, "gross_saving_usd": 0.0, "net_saving_usd": -7e-06}
    assert len(await store.recent("recent", 9)) == 2


async def test_a_note_waits_no_longer_than_that_and_the_last_ones_not_at_all() -> None:
    store, recent, _ = noting()
    recent.add(ended("last", RequestRecord(awaits_usage=True)))
    await recent.publish(is_last=True)
    assert len(await store.recent("recent", 9)) == 1
    late = Recent(store, lambda *_: None, clock=lambda: 1.0 + HELD_SECONDS)
    late.add(ended("late", RequestRecord(awaits_usage=True)))
    await late.publish()
    assert len(await store.recent("recent", 9)) == 2
    late.add(ended("told", RequestRecord(usage=UsageRecord(missing="truncated"))))
    await late.publish()
    assert msgspec.json.decode((await late.newest())[0])["usage"] == {"missing": "truncated"}


async def test_what_does_not_fit_is_left_out_and_counted() -> None:
    _, recent, lost = noting()
    for number in range(GATHERED_MAX + 5):
        recent.add(ended(f"r{number}", RequestRecord()))
    recent.add(ended("long", RequestRecord(client="c" * NOTE_BYTES_MAX)))
    await recent.publish()
    assert len(await recent.newest()) == GATHERED_MAX - 1
    assert lost == [("recent", "queue_full")]


async def test_without_requests_the_store_is_left_alone() -> None:
    store, recent, _ = noting()
    await recent.publish()
    assert store.calls == 0


async def test_callers_are_agreed_on_as_soon_as_the_fleet_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_publisher, "PUBLISH_SECONDS", 0.0)
    monkeypatch.setattr(shared_publisher, "_AGREE_TURNS", 1 << 60)
    local, shared, callers = Memory(lambda: 1.0), Memory(lambda: 1.0), Callers()
    await shared.put("callers", bytes(32), 60)
    shared.failing = StoreError("away", "open")

    def told(*_: object) -> None: ...

    store = Fallback(local, shared, 2, told)
    one = shared_publisher.SharedPublisher(store, callers, told, told)
    await one.begin()
    assert not callers.have_agreed
    shared.failing = None
    await store.recent("r", 1)
    async with asyncio.timeout(10):
        while not callers.have_agreed:
            await asyncio.sleep(0)
    await one.close()
