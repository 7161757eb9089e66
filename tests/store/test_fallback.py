"""What a worker holds: it never raises, keeps to its share, and pays in what it owes."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from proxy_pkg.store.contract import Acquisition, Budget, Claim, Lease, LeaseHolder, Rate, StoreError
from proxy_pkg.store.fallback import Fallback
from proxy_pkg.store.write_behind import WriteBehind
from tests.store.memory import Memory

DOWN = StoreError("out of reach", "open")


class Fleet:
    """Two machines with one shared store, on a clock that stands still."""

    def __init__(self, servers: int = 2) -> None:
        self.shared = Memory(lambda: 1000.0)
        self.locals = [Memory(lambda: 1000.0) for _ in range(2)]
        self.losses: list[tuple[str, str]] = []
        self.one, self.two = (
            Fallback(local, self.shared, servers, lambda *loss: self.losses.append(loss)) for local in self.locals
        )


async def settled(condition: Callable[[], bool]) -> None:
    for _ in range(100):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come to that")


async def count(store: Fallback, claim: Rate | Budget, attempts: int = 100) -> int:
    return sum([(await store.acquire([claim])).granted for _ in range(attempts)])


async def test_two_machines_are_one() -> None:
    fleet = Fleet()
    claim = Rate("a", 1, 10, 60)
    assert await count(fleet.one, claim, 6) + await count(fleet.two, claim, 6) == 10
    assert [local.calls for local in fleet.locals] == [0, 0]
    assert fleet.losses == []


async def test_without_the_fleet_each_machine_keeps_to_its_share() -> None:
    fleet = Fleet()
    fleet.shared.failing = DOWN
    for store in (fleet.one, fleet.two):
        assert await count(store, Rate("a", 1, 10, 60)) == 5
        assert await count(store, Budget("b", 1, 7, 60)) == 3
        assert [(await store.acquire([Lease("s", str(n), 4)])).granted for n in range(3)] == [True, True, False]
    assert set(fleet.losses) == {("acquire", "open")}
    assert not fleet.one.reached


async def test_a_share_is_never_nothing() -> None:
    fleet = Fleet(servers=50)
    fleet.shared.failing = DOWN
    assert await count(fleet.one, Rate("a", 1, 10, 60)) == 1


async def test_a_budget_goes_on_from_what_the_fleet_had_spent() -> None:
    fleet = Fleet(servers=2)
    await fleet.two.acquire([Budget("b", 90, 100, 60)])
    assert (await fleet.one.acquire([Budget("b", 0, 100, 60)])).granted
    fleet.shared.failing = DOWN
    acquired = await fleet.one.acquire([Budget("b", 2, 100, 60)])
    assert acquired.states[0].used == 92
    assert acquired.scope == "machine"
    assert await count(fleet.one, Budget("b", 1, 100, 60)) == 3


async def test_a_budget_that_is_spent_stays_spent_without_the_fleet() -> None:
    fleet = Fleet()
    await fleet.one.acquire([Budget("b", 100, 100, 60)])
    fleet.shared.failing = DOWN
    refused = await fleet.one.acquire([Budget("b", 1, 100, 60)])
    assert not refused.granted
    assert refused.states[0].retry_after_ms > 0


async def test_a_store_that_comes_back_empty_is_told_what_was_spent() -> None:
    fleet = Fleet()
    await fleet.two.acquire([Budget("b", 60, 100, 60)])
    await fleet.one.acquire([Budget("b", 30, 100, 60)])
    fleet.shared.failing = DOWN
    await fleet.one.acquire([Budget("b", 3, 0, 60)], force=True)
    fleet.shared.failing = None
    fleet.shared.empty()
    assert (await fleet.two.acquire([Budget("b", 0, 100, 60)])).states[0].used == 60  # it had not seen more
    await fleet.one.recent("r", 1)
    for _ in range(50):
        await asyncio.sleep(0)
    assert (await fleet.two.acquire([Budget("b", 0, 100, 60)])).states[0].used == 93
    assert not (await fleet.two.acquire([Budget("b", 8, 100, 60)])).granted


async def test_what_was_seen_of_a_budget_ends_with_it() -> None:
    now = [1000.0]
    shared, write_behind = Memory(lambda: now[0]), WriteBehind(lambda: now[0])
    claims = [Budget("b", 5, 5, 60)]
    write_behind.saw(claims, (await shared.acquire(claims)).states)
    assert write_behind.spent(claims[0]) == 5
    now[0] += 61
    assert write_behind.spent(claims[0]) == 0
    assert (await shared.acquire(write_behind.reminding(claims))).granted


async def test_what_was_spent_meanwhile_is_paid_in() -> None:
    fleet = Fleet()
    budget = Budget("b", 4, 0, 60)
    await fleet.one.acquire([budget], force=True)
    fleet.shared.failing = DOWN
    for _ in range(5):
        await fleet.one.acquire([budget], force=True)
    fleet.shared.failing = None
    await fleet.one.acquire([budget], force=True)

    async def spent(store: Memory) -> int:
        return (await store.acquire([Budget("b", 0, 0, 60)], force=True)).states[0].used

    for _ in range(50):
        await asyncio.sleep(0)
    assert await spent(fleet.shared) == 7 * 4
    assert await spent(fleet.locals[0]) == 0
    assert fleet.one.reached


async def test_what_is_owed_waits_if_the_fleet_is_gone_again() -> None:
    fleet = Fleet()
    fleet.shared.failing = DOWN
    for number in range(40):
        await fleet.one.acquire([Budget(f"b{number}", 1, 0, 60)], force=True)
    fleet.shared.failing = None
    await fleet.one.recent("r", 1)
    fleet.shared.failing = DOWN
    await settled(lambda: ("flush", "open") in fleet.losses)
    fleet.shared.failing = None
    await fleet.one.recent("r", 1)
    for _ in range(100):
        await asyncio.sleep(0)
    for number in range(40):
        acquired = await fleet.shared.acquire([Budget(f"b{number}", 0, 0, 60)], force=True)
        assert acquired.states[0].used == 1


async def test_totals_never_fall_and_are_paid_in() -> None:
    fleet = Fleet()
    await fleet.two.add("t", {"n": 5}, 60)
    await fleet.one.add("t", {"n": 1}, 60)
    assert await fleet.one.totals("t") == {"n": 6}
    fleet.shared.failing = DOWN
    await fleet.one.add("t", {"n": 2, "m": 1}, 60)
    assert await fleet.one.totals("t") == {"n": 8, "m": 1}
    fleet.shared.failing = None
    await fleet.one.add("t", {"n": 1}, 60)
    for _ in range(50):
        await asyncio.sleep(0)
    assert await fleet.two.totals("t") == {"n": 9, "m": 1}
    assert await fleet.one.totals("t") == {"n": 9, "m": 1}


async def test_stays_end_where_they_began() -> None:
    fleet = Fleet()
    before, during = Lease("s", "before", 9), Lease("s", "during", 9)
    await fleet.one.acquire([before])
    fleet.shared.failing = DOWN
    await fleet.one.acquire([during])
    assert [here.name for here in await fleet.one.leases("s")] == ["during"]
    fleet.shared.failing = None
    assert [here.name for here in await fleet.one.leases("s")] == ["before"]
    await fleet.one.release([before, during])
    assert await fleet.one.leases("s") == []
    assert await fleet.locals[0].leases("s") == []


async def test_those_who_left_in_an_outage_hold_no_places_after_it() -> None:
    fleet = Fleet()
    leases = [Lease("s", f"request {number}", 3) for number in range(3)]
    for lease in leases:
        assert (await fleet.one.acquire([lease])).granted
    fleet.shared.failing = DOWN
    await fleet.one.release(leases)
    fleet.shared.failing = None
    await fleet.one.recent("r", 1)
    for _ in range(10):
        await asyncio.sleep(0)
    assert await fleet.shared.leases("s") == []


async def test_a_stay_that_is_renewed_in_an_outage_ends_in_the_fleet_too() -> None:
    fleet = Fleet()
    lease = Lease("live", "request", 0, b"waiting")
    await fleet.one.acquire([lease])
    fleet.shared.failing = DOWN
    await fleet.one.acquire([Lease("live", "request", 0, b"answering")], force=True)
    fleet.shared.failing = None
    await fleet.one.release([lease])
    assert await fleet.shared.leases("live") == []
    assert await fleet.locals[0].leases("live") == []


async def test_a_stay_ends_where_a_call_was_done_after_it_was_given_up() -> None:
    class Late(Memory):
        async def acquire(self, claims: Sequence[Claim], *, force: bool = False) -> Acquisition:
            await super().acquire(claims, force=force)
            raise StoreError("too late", "timeout")

    late = Late(lambda: 1000.0)
    store = Fallback(Memory(lambda: 1000.0), late, 2, lambda *loss: None)
    lease = Lease("s", "request", 3)
    assert (await store.acquire([lease])).granted
    await store.release([lease])
    assert await late.leases("s") == []


async def test_a_fleet_that_answers_late_keeps_no_places_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(servers=1)
    fleet.shared.failing = DOWN
    assert (await fleet.one.acquire([Lease("s", "first", 1)])).granted
    late, found = asyncio.Event(), []

    async def release(leases: Sequence[Lease]) -> None:
        await late.wait()
        found.append([lease.name for lease in leases])

    monkeypatch.setattr(fleet.shared, "release", release)
    leaving = [asyncio.create_task(fleet.one.release([Lease("s", "first")]))]
    for name in ("second", "third"):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (await fleet.one.acquire([Lease("s", name, 1)])).granted, name
        leaving.append(asyncio.create_task(fleet.one.release([Lease("s", name)])))
    late.set()
    await asyncio.gather(*leaving)
    assert found == [["first"], ["second", "third"]]
    assert not fleet.one._here, "what has ended is not remembered for good"


async def test_many_values_are_not_looked_for_on_this_machine() -> None:
    fleet = Fleet()
    fleet.shared.failing = DOWN
    assert await fleet.one.put_many({"k": b"v"}, 60, keep=True) == {"k": b"v"}
    assert await fleet.one.get_many(["k"]) == {}
    fleet.shared.failing = None
    assert await fleet.one.get_many(["k"]) == {}
    assert [local.calls for local in fleet.locals] == [0, 0]


async def test_values_of_an_outage_are_found_on_their_machine() -> None:
    fleet = Fleet()
    await fleet.one.put("old", b"fleet", 60)
    fleet.shared.failing = DOWN
    assert await fleet.one.put("new", b"machine", 60) == b"machine"
    assert await fleet.one.get("new") == b"machine"
    fleet.shared.failing = None
    assert await fleet.one.get("new") == b"machine"
    assert await fleet.one.get("old") == b"fleet"
    await fleet.one.delete("new")
    assert await fleet.one.get("new") is None


async def test_rings_of_an_outage_are_the_machines_own() -> None:
    fleet = Fleet()
    await fleet.one.append("r", [b"fleet"])
    fleet.shared.failing = DOWN
    await fleet.one.append("r", [b"machine"])
    assert await fleet.one.recent("r", 9) == [b"machine"]
    fleet.shared.failing = None
    assert await fleet.one.recent("r", 9) == [b"fleet"]


@pytest.mark.parametrize("machines", ["one machine", "a fleet"])
async def test_when_nothing_answers_requests_go_on_and_losses_are_told(machines: str) -> None:
    local, shared = Memory(lambda: 0.0), Memory(lambda: 0.0)
    local.failing = shared.failing = StoreError("no", "full")
    losses: list[str] = []
    store = Fallback(
        local, shared if machines == "a fleet" else None, 2, lambda operation, reason: losses.append(operation)
    )
    acquired = await store.acquire([Rate("a", 1, 1, 60), Lease("s", "one", 1)])
    assert isinstance(acquired, Acquisition)
    assert (acquired.granted, acquired.scope, len(acquired.states)) == (True, "none", 2)
    await store.release([Lease("s", "one")])
    assert await store.leases("s") == list[LeaseHolder]()
    await store.append("r", [b"x"])
    assert await store.recent("r", 3) == []
    await store.add("t", {"n": 1}, 60)
    assert await store.totals("t") == ({"n": 1} if machines == "a fleet" else {})
    assert await store.put("k", b"v", 60) == b"v"
    assert await store.get("k") is None
    await store.delete("k")
    await store.close()
    assert {"acquire", "release", "leases", "append", "recent", "add", "totals", "put", "get", "close"} <= set(losses)


async def test_a_fault_of_the_caller_does_not_count_as_an_outage() -> None:
    fleet = Fleet()
    fleet.shared.failing = StoreError("too long", "size")
    await fleet.one.append("r", [b"x"])
    assert fleet.one.reached
