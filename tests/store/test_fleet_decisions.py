"""Ways: what one server sent first, the others learn; nobody waits for it, and nothing that fails stops anybody."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from proxy_pkg.store import fleet_decisions
from proxy_pkg.store.contract import StoreError
from proxy_pkg.store.decision_table import DecisionTable, group_of, key_of
from proxy_pkg.store.fallback import Fallback
from proxy_pkg.store.fleet_decisions import FleetDecisions
from tests.store.memory import Memory

A, B = key_of(b"one", b"a"), key_of(b"one", b"b")


class Servers:
    """Servers with marks of their own and one store. `losses` is what they lost."""

    def __init__(self) -> None:
        self.store = Memory(lambda: 0.0)
        self.losses: list[tuple[str, str]] = []
        self.now = 1000.0
        self.opened: list[FleetDecisions] = []

    def server(self, decisions: DecisionTable | None = None) -> FleetDecisions:
        lost: Callable[[str, str], None] = lambda *loss: self.losses.append(loss)  # noqa: E731
        store = Fallback(Memory(lambda: 0.0), self.store, 2, lost)
        self.opened.append(FleetDecisions(decisions or DecisionTable(), DecisionTable(), store, lost, lambda: self.now))
        return self.opened[-1]


@pytest.fixture
async def fleet() -> AsyncIterator[Servers]:
    servers = Servers()
    yield servers
    for each in servers.opened:
        await each.close()


async def found(server: FleetDecisions) -> None:
    for _ in range(1000):
        if server.waiting == 0:
            await asyncio.sleep(0)
            return
        await asyncio.sleep(0)
    raise AssertionError("nothing was told")


async def test_what_one_server_sent_first_the_other_learns(fleet: Servers) -> None:
    one, other = fleet.server(), fleet.server()
    one.first(A, 1)
    one.first(B, 0)
    await found(one)
    assert other.get(A) is None
    assert not other.knows(A)
    await other.learn([A, B])
    assert [other.get(A), other.get(B)] == [1, 0]
    assert other.knows(A)
    assert fleet.losses == []


async def test_many_marks_are_told_in_few_calls(fleet: Servers) -> None:
    one, other = fleet.server(), fleet.server()
    keys = [key_of(b"one", b"%d" % number) for number in range(3 * fleet_decisions.MANY_MAX // 2)]
    for number, key in enumerate(keys):
        one.first(key, number % 2)
    await found(one)
    assert fleet.store.calls <= len(keys) / fleet_decisions.BATCH_MAX + 1
    before = fleet.store.calls
    await other.learn(keys)
    assert fleet.store.calls - before == 2
    assert [other.get(key) for key in keys] == [number % 2 for number in range(len(keys))]


async def test_a_text_is_asked_for_once_and_what_was_sent_from_here_never(fleet: Servers) -> None:
    server = fleet.server()
    await server.learn([A])
    server.own([B])
    assert server.knows(A) and server.knows(B)
    assert server.get(A) is server.get(B) is None


async def test_the_way_of_the_first_holds_on_all_servers(fleet: Servers) -> None:
    one, other = fleet.server(), fleet.server()
    one.first(A, 0)
    await found(one)
    assert other.first(A, 1) == 1
    await found(other)
    assert other.get(A) == 0
    assert other.was_overruled() and not other.was_overruled()
    other.first(B, 1)
    await found(other)
    assert not other.was_overruled()


async def test_a_worker_forgets_at_most_now_and_then(fleet: Servers) -> None:
    one, other = fleet.server(), fleet.server()
    for key in (A, B):
        one.first(key, 0)
        await found(one)
        other.first(key, 1)
        await found(other)
        assert other.was_overruled() is (key == A)
    fleet.now += fleet_decisions.FORGET_SECONDS
    assert other.was_overruled()


async def test_while_the_store_is_away_nothing_waits_and_afterwards_all_is_told(
    fleet: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_decisions, "RETRY_SECONDS", 0.001)
    one, other = fleet.server(), fleet.server()
    fleet.store.failing = StoreError("out of reach", "open")
    one.first(A, 1)
    await other.learn([A])
    assert other.get(A) is None
    assert not other.knows(A), "it was not answered, and is asked for again"
    while ("get_many", "open") not in fleet.losses or ("put_many", "open") not in fleet.losses:
        await asyncio.sleep(0.001)
    assert one.waiting == 1
    fleet.store.failing = None
    while one.waiting:
        await asyncio.sleep(0.001)
    await other.learn([A])
    assert other.get(A) == 1


async def test_what_waits_is_bounded_and_losses_are_counted(fleet: Servers) -> None:
    server = fleet.server()
    for number in range(fleet_decisions.QUEUE_MAX + 5):
        server.first(key_of(b"one", b"%d" % number), 1)
    assert server.waiting == fleet_decisions.QUEUE_MAX
    assert fleet.losses == [("decisions", "full")] * 5


async def test_a_mark_that_is_seen_again_is_told_again(fleet: Servers) -> None:
    decisions = DecisionTable()
    decisions.first(A, 1)  # by another worker, long ago; the store has forgotten it
    one, other = fleet.server(decisions), fleet.server()
    assert one.knows(A)
    await found(one)
    await other.learn([A])
    assert other.get(A) == 1


async def test_close_tells_what_is_left(fleet: Servers) -> None:
    one, other = fleet.server(), fleet.server()
    one.first(A, 1)
    await one.close()
    await other.learn([A])
    assert other.get(A) == 1


async def test_values_that_mean_nothing_do_no_harm(fleet: Servers) -> None:
    server = fleet.server()
    await fleet.store.put(f"ways/{{{group_of(A):05x}}}/{A:016x}", b"\xff odd", 60)
    await server.learn([A])
    assert server.get(A) == 0


def test_keys_of_one_conversation_lie_together() -> None:
    groups = {group_of(key_of(b"one", b"%d" % number)) for number in range(50)}
    assert len(groups) == 1
    assert len({group_of(key_of(b"%d" % number)) for number in range(50)}) > 40
