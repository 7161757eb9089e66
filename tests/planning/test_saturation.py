"""A loop that does nothing but work is noticed, and forgotten when it rests again."""

import asyncio
from time import thread_time

from proxy_pkg.planning.saturation import LOOK_SECONDS, Saturation


def test_one_full_look_is_nothing_and_many_are() -> None:
    saturation = Saturation()
    saturation.saw(1.0)
    assert not saturation.is_full
    for _ in range(15):
        saturation.saw(1.0)
    assert saturation.is_full
    saturation.saw(0.0)
    assert not saturation.is_full
    saturation.close()


async def test_it_looks_while_work_comes_and_then_no_more() -> None:
    saturation, looks = Saturation(), []
    saturation.saw = looks.append  # type: ignore[method-assign]
    saturation.work_came()
    saturation.work_came()
    while len(looks) < 2:
        await asyncio.sleep(LOOK_SECONDS)
    assert saturation._timer is None
    saturation.work_came()
    assert saturation._timer is not None
    saturation.close()


async def test_work_on_the_loop_fills_it_and_waiting_does_not() -> None:
    saturation, looks = Saturation(), []
    saturation.saw = looks.append  # type: ignore[method-assign]
    saturation.work_came()
    until = thread_time() + 2 * LOOK_SECONDS
    while thread_time() < until:
        pass
    await asyncio.sleep(0)
    while not looks:
        await asyncio.sleep(LOOK_SECONDS)
    saturation.work_came()
    while len(looks) < 2:
        await asyncio.sleep(LOOK_SECONDS)
    assert looks[0] > looks[-1]
    saturation.close()
