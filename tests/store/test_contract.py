"""What every engine promises, and the double with them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from proxy_pkg.store.contract import (
    CLAIMS_MAX,
    MANY_MAX,
    NEVER,
    NOTE_BYTES_MAX,
    RING_NOTES_MAX,
    VALUE_BYTES_MAX,
    Budget,
    Claim,
    Lease,
    Rate,
    Store,
    StoreError,
)
from proxy_pkg.store.embedded import Embedded
from proxy_pkg.store.fallback import Fallback
from tests.store.memory import Memory


async def granted(store: Store, *claims: Claim) -> bool:
    return (await store.acquire(claims)).granted


async def used(store: Store, claim: Claim) -> int:
    return (await store.acquire([claim], force=True)).states[0].used


@pytest.fixture
def keeps_values(store: Store) -> None:
    if isinstance(store, Embedded) and store.scope == "worker":
        pytest.skip("without a directory there is no place for values")


async def test_a_rate_grants_its_limit_and_no_more(store: Store) -> None:
    answers = [await store.acquire([Rate("a", 1, 5, 3600)]) for _ in range(8)]
    assert [answer.granted for answer in answers] == [True] * 5 + [False] * 3
    assert [answer.states[0].remaining for answer in answers] == [4, 3, 2, 1, 0, 0, 0, 0]
    last = answers[-1]
    assert last.refused == 0
    assert 3_500_000 < last.states[0].retry_after_ms <= 3_600_000 + 3_600_000 // 256 + 1


async def test_units_are_counted_by_cost(store: Store) -> None:
    assert await granted(store, Rate("tokens", 900, 1000, 60))
    assert not await granted(store, Rate("tokens", 101, 1000, 60))
    assert await granted(store, Rate("tokens", 100, 1000, 60))


async def held(store: Store, key: str = "money") -> tuple[int, int]:
    """What is used and what is reserved of a budget."""
    state = (await store.acquire([Budget(key, 0, 0, 3600)], force=True)).states[0]
    return state.used, state.reserved


async def test_what_is_reserved_keeps_out_others_until_it_is_freed(store: Store) -> None:
    assert await granted(store, Budget("money", 0, 100, 3600, hold=60, name="one"))
    assert not await granted(store, Budget("money", 0, 100, 3600, hold=41, name="two"))
    assert await granted(store, Budget("money", 0, 100, 3600, hold=40, name="three"))
    assert await held(store) == (0, 100)
    await store.acquire([Budget("money", 25, 100, 3600, freed=("one",))], force=True)
    assert await held(store) == (25, 40)
    assert not await granted(store, Budget("money", 0, 100, 3600, hold=36, name="two"))
    assert await granted(store, Budget("money", 0, 100, 3600, hold=35, name="two"))
    await store.acquire([Budget("money", 0, 100, 3600, freed=("two", "three", "unknown"))], force=True)
    await store.acquire([Budget("money", 0, 100, 3600, freed=("two",))], force=True)  # a second time does no harm
    assert await held(store) == (25, 0)


async def test_one_that_is_larger_than_what_is_left_goes_alone(store: Store) -> None:
    assert await granted(store, Budget("money", 99, 100, 3600))
    assert await granted(store, Budget("money", 0, 100, 3600, hold=5000, name="large"))
    assert not await granted(store, Budget("money", 0, 100, 3600, hold=1, name="small"))
    assert await granted(store, Budget("money", 0, 100, 3600))  # what costs nothing is not kept out
    await store.acquire([Budget("money", 1, 100, 3600, freed=("large",))], force=True)
    assert not await granted(store, Budget("money", 0, 100, 3600, hold=1, name="small"))


async def test_a_hold_is_taken_with_all_other_claims_or_not_at_all(store: Store) -> None:
    hold = Budget("money", 0, 100, 3600, hold=10, name="one")
    assert await granted(store, Rate("a", 1, 1, 60), hold)
    assert not await granted(store, Rate("a", 1, 1, 60), Budget("money", 0, 100, 3600, hold=10, name="two"))
    assert await held(store) == (0, 10)


async def test_all_claims_are_taken_or_none(store: Store) -> None:
    roomy, tight = Rate("roomy", 1, 10, 60), Budget("tight", 5, 8, 60)
    assert await granted(store, roomy, tight, Lease("room", "one", 1))
    acquired = await store.acquire([roomy, tight, Lease("other room", "two", 1)])
    assert (acquired.granted, acquired.refused) == (False, 1)
    assert await used(store, Rate("roomy", 0, 0, 60)) == 1
    assert await used(store, Budget("tight", 0, 0, 60)) == 5
    assert await store.leases("other room") == []


async def test_the_first_claim_in_the_way_is_named(store: Store) -> None:
    assert await granted(store, Rate("one", 1, 1, 60), Rate("two", 1, 1, 60))
    acquired = await store.acquire([Rate("free", 1, 9, 60), Rate("two", 1, 1, 60), Rate("one", 1, 1, 60)])
    assert acquired.refused == 1
    assert [state.retry_after_ms > 0 for state in acquired.states] == [False, True, True]


async def test_force_takes_beyond_a_limit_and_gives_back(store: Store) -> None:
    claims = [Rate("a", 7, 5, 60), Budget("b", 7, 5, 60)]
    acquired = await store.acquire(claims, force=True)
    assert acquired.granted and [state.used for state in acquired.states] == [7, 7]
    assert not await granted(store, Rate("a", 1, 5, 60))
    back = await store.acquire([Rate("a", -3, 5, 60), Budget("b", -3, 5, 60)], force=True)
    assert [state.used for state in back.states] == [4, 4]
    assert await granted(store, Rate("a", 1, 5, 60), Budget("b", 1, 5, 60))


async def test_what_is_given_back_late_is_not_taken_from_others(store: Store) -> None:
    """An answer that outlasts the window gives back nothing, since its units are free already."""
    began = time.monotonic()
    await store.acquire([Rate("a", 5, 0, 2)])
    await asyncio.sleep(2.1)
    await store.acquire([Rate("a", 4, 0, 2)])
    age_ms = round((time.monotonic() - began) * 1000)
    back = await store.acquire([Rate("a", -5, 0, 2, age_ms)], force=True)
    assert back.states[0].used == 4


async def test_what_is_given_back_was_taken_when_it_was(store: Store) -> None:
    """The rest is free when it would be without the units that were given back, which were older."""
    await store.acquire([Rate("a", 5, 0, 60)])
    began = time.monotonic()
    await asyncio.sleep(1.5)
    await store.acquire([Rate("a", 4, 0, 60), Rate("control", 4, 0, 60)])
    age_ms = round((time.monotonic() - began) * 1000)
    await store.acquire([Rate("a", -5, 0, 60, age_ms)], force=True)
    asked = await store.acquire([Rate("a", 6, 9, 60), Rate("control", 6, 9, 60)])
    assert [state.used for state in asked.states] == [4, 4]
    assert asked.states[0].retry_after_ms == asked.states[1].retry_after_ms


async def test_what_is_used_never_falls_below_zero(store: Store) -> None:
    await store.acquire([Rate("a", 2, 0, 60), Budget("b", 2, 0, 60)], force=True)
    await store.acquire([Rate("a", -9, 0, 60), Budget("b", -9, 0, 60)], force=True)
    after = await store.acquire([Rate("a", 1, 0, 60), Budget("b", 1, 0, 60)], force=True)
    assert [state.used for state in after.states] == [1, 1]


async def test_giving_back_what_was_never_taken_changes_nothing(store: Store) -> None:
    acquired = await store.acquire([Rate("a", -1, 3, 60), Budget("b", -1, 3, 60)], force=True)
    assert [state.used for state in acquired.states] == [0, 0]


async def test_a_cost_of_nothing_asks_whether_one_more_would_fit(store: Store) -> None:
    assert await granted(store, Budget("b", 0, 3, 60))
    await store.acquire([Budget("b", 3, 0, 60)], force=True)
    assert not await granted(store, Budget("b", 0, 3, 60))
    assert await used(store, Budget("b", 0, 3, 60)) == 3


async def test_a_cost_above_the_limit_is_never_granted(store: Store) -> None:
    acquired = await store.acquire([Rate("a", 6, 5, 60), Budget("b", 6, 5, 60)])
    assert not acquired.granted
    assert [state.retry_after_ms for state in acquired.states] == [NEVER, NEVER]


async def test_a_limit_of_nothing_counts_and_never_refuses(store: Store) -> None:
    for number in range(3):
        assert await granted(store, Rate("a", 5, 0, 60), Budget("b", 5, 0, 60), Lease("s", str(number)))
    assert await used(store, Rate("a", 0, 0, 60)) == 15


async def test_a_stay_and_a_budget_of_one_key_leave_each_other_alone(store: Store) -> None:
    assert await granted(store, Lease("a", "one", 2, b"note"))
    assert await granted(store, Budget("a", 1, 9, 3600, hold=3, name="request"))
    assert [(here.name, here.note) for here in await store.leases("a")] == [("one", b"note")]
    assert await granted(store, Lease("a", "two", 2, b"another"))
    acquired = await store.acquire([Budget("a", 0, 9, 3600)], force=True)
    assert (acquired.states[0].used, acquired.states[0].reserved) == (1, 3)


async def test_stays_are_bounded_until_one_leaves(store: Store) -> None:
    one, two, three = (Lease("room", name, 2) for name in ("one", "two", "three"))
    assert await granted(store, one)
    assert await granted(store, two)
    refused = await store.acquire([three])
    assert not refused.granted and refused.states[0].used == 2
    await store.release([one])
    assert await granted(store, three)
    assert sorted(here.name for here in await store.leases("room")) == ["three", "two"]


async def test_a_stay_counts_once_and_shows_its_latest_note(store: Store) -> None:
    assert await granted(store, Lease("room", "one", 1, b"first"))
    assert await granted(store, Lease("room", "one", 1, b"second"))
    assert [(here.name, here.note) for here in await store.leases("room")] == [("one", b"second")]
    await store.release([Lease("room", "one")])
    assert await store.leases("room") == []


async def test_leaving_twice_makes_no_more_room(store: Store) -> None:
    assert await granted(store, Lease("room", "one", 2))
    assert await granted(store, Lease("room", "two", 2))
    await store.release([Lease("room", "one"), Lease("room", "one"), Lease("room", "stranger")])
    await store.release([Lease("room", "one")])
    assert await granted(store, Lease("room", "three", 2))
    assert not await granted(store, Lease("room", "four", 2))


async def test_rooms_do_not_see_each_other(store: Store) -> None:
    assert await granted(store, Lease("a", "one", 1), Lease("b", "one", 1))
    assert not await granted(store, Lease("a", "two", 1))
    await store.release([Lease("a", "one")])
    assert [here.name for here in await store.leases("b")] == ["one"]


async def test_a_ring_keeps_the_last_notes(store: Store) -> None:
    await store.append("r", [b"1", b"2"])
    await store.append("r", [b"3"])
    assert await store.recent("r", 2) == [b"3", b"2"]
    for start in range(0, RING_NOTES_MAX, 64):
        await store.append("r", [b"%d" % number for number in range(start, start + 64)])
    notes = await store.recent("r", 10_000)
    assert notes == [b"%d" % number for number in reversed(range(RING_NOTES_MAX))]


async def test_rings_are_apart_and_an_unknown_one_is_empty(store: Store) -> None:
    await store.append("one", [b"x"])
    assert await store.recent("two", 5) == []
    assert await store.recent("one", 0) == []


async def test_bounds_are_kept_without_damage(store: Store) -> None:
    too_long = b"x" * (NOTE_BYTES_MAX + 1)
    quiet = not isinstance(store, Fallback)
    for call in (
        lambda: store.append("r", [too_long]),
        lambda: store.acquire([Lease("room", "one", 1, too_long)]),
        lambda: store.acquire([Rate(str(number), 1, 1, 60) for number in range(CLAIMS_MAX + 1)]),
    ):
        if quiet:
            with pytest.raises(StoreError) as caught:
                await call()
            assert caught.value.reason == "size"
    assert await store.leases("room") == []
    assert await granted(store, Lease("room", "one", 1, too_long[:-1]))
    assert (await store.leases("room"))[0].note == too_long[:-1]


@pytest.mark.usefixtures("keeps_values")
async def test_totals_grow_together(store: Store) -> None:
    assert await store.totals("t") == {}
    await store.add("t", {"requests": 2, "money": -5}, 3600)
    await store.add("t", {"requests": 1, "bytes": 2**40}, 3600)
    assert await store.totals("t") == {"requests": 3, "money": -5, "bytes": 2**40}


@pytest.mark.usefixtures("keeps_values")
async def test_a_value_is_what_was_put_last(store: Store) -> None:
    assert await store.get("k") is None
    assert await store.put("k", b"\x00first\xff", 60) == b"\x00first\xff"
    await store.put("k", b"second", 60)
    assert await store.get("k") == b"second"
    await store.delete("k")
    assert await store.get("k") is None


@pytest.mark.usefixtures("keeps_values")
async def test_of_several_writers_that_keep_the_first_wins(store: Store) -> None:
    held = await asyncio.gather(*(store.put("k", b"%d" % number, 60, keep=True) for number in range(8)))
    assert len(set(held)) == 1
    assert await store.get("k") == held[0]


async def soon(ask: Callable[[], Awaitable[bool]]) -> None:
    until = time.monotonic() + 30
    while not await ask():
        assert time.monotonic() < until
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("store", ["embedded", "redis"], indirect=True)
async def test_what_has_a_time_ends_with_it(store: Store) -> None:
    rate, budget = Rate("a", 2, 2, 1), Budget("b", 5, 5, 1)
    assert await granted(store, rate, budget)
    refused = await store.acquire([rate, budget])
    assert all(0 < state.retry_after_ms <= 2001 for state in refused.states)
    await store.put("k", b"v", 1)

    async def gone() -> bool:
        return await store.get("k") is None

    await asyncio.gather(soon(lambda: granted(store, rate)), soon(lambda: granted(store, budget)), soon(gone))
    assert await store.put("k", b"new", 60, keep=True) == b"new"


async def test_absurd_numbers_do_no_harm(store: Store) -> None:
    absurd = 2**70
    acquired = await store.acquire([Rate("a", absurd, 0, 60), Budget("b", absurd, 0, 60)], force=True)
    assert all(state.used >= 2**31 - 1 for state in acquired.states) or isinstance(store, Memory)
    await store.acquire([Rate("a", -absurd, 0, 60), Budget("b", -absurd, 0, 60)], force=True)
    after = await store.acquire([Rate("a", 1, 5, 60), Budget("b", 1, 5, 60)])
    assert [state.used for state in after.states] == [1, 1]


async def test_keys_and_names_may_be_any_text(store: Store) -> None:
    odd = ["", "ä{x}:\n\0", "k" * 3000, "*"]
    for key in odd:
        lease = Lease(key, "name", 1, b"note")
        assert await granted(store, Rate(key, 1, 1, 60), Budget(key, 1, 1, 60), lease)
        assert [here.note for here in await store.leases(key)] == [b"note"]
    for key in odd:
        assert not await granted(store, Rate(key, 1, 1, 60))


async def test_what_is_no_text_is_refused_or_works_and_nothing_else(store: Store) -> None:
    if isinstance(store, Fallback):
        pytest.skip("it would tell the loss")
    for call in (
        lambda: store.acquire([Rate("\ud800", 1, 1, 60)]),
        lambda: store.acquire([Lease("s", "\ud800", 1)]),
        lambda: store.put("\ud800", b"v", 60),
        lambda: store.add("t", {"\ud800": 1}, 60),
    ):
        with suppress(StoreError):
            await call()


@pytest.mark.usefixtures("keeps_values")
async def test_many_values_are_put_and_found_in_one_call(store: Store) -> None:
    items = {f"many/{{{number % 7}}}/{number}": b"%d\xff" % number for number in range(100)}
    assert await store.put_many(items, 60) == items
    assert await store.get_many([*items, "unknown"]) == items
    assert await store.get("many/{3}/3") == b"3\xff"
    assert await store.put_many({"many/{3}/3": b"new"}, 60) == {"many/{3}/3": b"new"}
    assert await store.get_many(["many/{3}/3"], 60) == {"many/{3}/3": b"new"}
    assert await store.put_many({}, 60) == {}
    assert await store.get_many([]) == {}


@pytest.mark.usefixtures("keeps_values")
async def test_of_many_values_that_are_kept_the_first_win_each(store: Store) -> None:
    await store.put_many({"a": b"1", "b": b"1"}, 60, keep=True)
    assert await store.put_many({"b": b"2", "c": b"2"}, 60, keep=True) == {"b": b"1", "c": b"2"}
    assert await store.get_many(["a", "b", "c"]) == {"a": b"1", "b": b"1", "c": b"2"}


@pytest.mark.parametrize("store", ["embedded", "redis", "memory"], indirect=True)
async def test_too_many_values_at_once_are_refused_whole(store: Store) -> None:
    too_many = {str(number): b"" for number in range(MANY_MAX + 1)}
    for call in (
        lambda: store.put_many(too_many, 60),
        lambda: store.get_many(list(too_many)),
        lambda: store.put_many({"a": bytes(VALUE_BYTES_MAX), "b": b"1"}, 60),
    ):
        with pytest.raises(StoreError) as caught:
            await call()
        assert caught.value.reason == "size"
    assert await store.get_many(["0", "a", "b"]) == {}


@pytest.mark.parametrize("store", ["embedded", "redis"], indirect=True)
async def test_values_that_are_asked_for_may_live_on(store: Store) -> None:
    await store.put_many({"asked": b"1", "kept": b"1", "left": b"1"}, 1)

    async def left_is_gone() -> bool:
        await store.put_many({"kept": b"2"}, 2, keep=True)
        return (await store.get_many(["asked"], 2)) == {"asked": b"1"} and not await store.get_many(["left"])

    await soon(left_is_gone)
    assert await store.get_many(["asked", "kept", "left"]) == {"asked": b"1", "kept": b"1"}
