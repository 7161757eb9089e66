"""Whatever is asked for, in whatever order, the engines answer as the double does."""

import asyncio
import secrets
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.store.contract import Budget, Claim, Lease, Rate, Store
from proxy_pkg.store.embedded import Embedded
from tests.store.memory import Memory
from tests.store.servers import RedisServer, engine

HOUR = 3600
KEYS = st.sampled_from(["a", "b"])
COSTS, LIMITS = st.integers(0, 5), st.integers(0, 9)

CLAIM: st.SearchStrategy[Claim] = (
    st.builds(Rate, KEYS, COSTS, LIMITS, st.just(HOUR))
    | st.builds(Budget, KEYS, COSTS, LIMITS, st.just(HOUR), COSTS)
    | st.builds(Lease, KEYS, st.sampled_from(["one", "two", "three"]), st.integers(0, 3), st.binary(max_size=3))
)
FORCED: st.SearchStrategy[Claim] = st.builds(Rate, KEYS, st.integers(-9, 9), LIMITS, st.just(HOUR)) | st.builds(
    Budget, KEYS, st.integers(-9, 9), LIMITS, st.just(HOUR)
)
TOGETHER = {"max_size": 4, "unique_by": lambda claim: (type(claim), claim.key)}
STEP = (
    st.tuples(st.just("acquire"), st.lists(CLAIM, **TOGETHER))
    | st.tuples(st.just("reconcile"), st.lists(FORCED, **TOGETHER))
    | st.tuples(st.just("release"), st.lists(st.builds(Lease, KEYS, st.sampled_from(["one", "two"])), max_size=2))
)
STEPS = st.lists(STEP, max_size=25)


async def answers(store: Store, steps: Sequence[tuple[str, list[Claim]]]) -> list[object]:
    found: list[object] = []
    for step, claims in steps:
        if step == "release":
            await store.release([claim for claim in claims if isinstance(claim, Lease)])
        else:
            acquired = await store.acquire(claims, force=step == "reconcile")
            states = [(state.used, state.remaining, state.retry_after_ms > 0) for state in acquired.states]
            found.append((acquired.granted, acquired.refused, states))
        found.append([sorted(await store.leases(key)) for key in ("a", "b")])
    await store.close()
    return found


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_the_embedded_engine_agrees(steps: list[tuple[str, list[Claim]]]) -> None:
    async def both() -> None:
        assert await answers(Embedded(""), steps) == await answers(Memory(lambda: 1000.0), steps)

    asyncio.run(both())


def test_redis_agrees(redis_server: RedisServer) -> None:
    @settings(max_examples=30, deadline=None)
    @given(STEPS)
    def agrees(steps: list[tuple[str, list[Claim]]]) -> None:
        async def both() -> None:
            store = engine(redis_server.url, f"agree:{secrets.token_hex(4)}:")
            assert await answers(store, steps) == await answers(Memory(lambda: 1000.0), steps)

        asyncio.run(both())

    agrees()
