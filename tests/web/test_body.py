"""A body is read within its bounds, in bytes and in time, and a cancellation is never mistaken for a bound."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from proxy_pkg.errors import ClientGoneError, RefusedError
from proxy_pkg.web.admission import Admission
from proxy_pkg.web.body import BodyReader, announced_bytes
from proxy_pkg.web.upload import whole_body


class Channel:
    """Plays messages, then stays silent."""

    def __init__(self, parts: Sequence[bytes], more: bool = False, gone: bool = False) -> None:
        last = len(parts) - 1
        self.messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": part, "more_body": more or gone or index < last}
            for index, part in enumerate(parts)
        ]
        if gone:
            self.messages.append({"type": "http.disconnect"})

    async def receive(self) -> dict[str, Any]:
        if not self.messages:
            await asyncio.Event().wait()
        return self.messages.pop(0)


def reader(channel: Channel, bytes_max: int | None = 100, gap_seconds: float = 5.0) -> BodyReader:
    return BodyReader(channel.receive, bytes_max, gap_seconds, asyncio.get_running_loop())


def keep(_: int) -> None:
    return


@pytest.mark.parametrize("parts", [[b""], [b"abc"], [b"a", b"", b"bc"], [b"x" * 100], [b"", b""]])
async def test_a_whole_body_is_its_parts(parts: list[bytes]) -> None:
    held: list[int] = []
    body = reader(Channel(parts))
    assert await body.whole(held.append) == b"".join(parts)
    assert sum(held) == body.bytes_read == len(b"".join(parts))
    assert [part async for part in reader(Channel(parts)).parts()] == [part for part in parts if part]


async def test_one_part_is_handed_on_as_the_same_object() -> None:
    part = b"x" * 50
    assert await reader(Channel([part])).whole(keep) is part


@pytest.mark.parametrize("parts", [[b"x" * 101], [b"x" * 60, b"x" * 41]])
async def test_a_body_too_long_is_refused_before_it_is_kept(parts: list[bytes]) -> None:
    held: list[int] = []
    with pytest.raises(RefusedError) as caught:
        await reader(Channel(parts)).whole(held.append)
    assert (caught.value.status, caught.value.code) == (413, "body_too_large")
    assert sum(held) <= 100


async def test_a_stream_has_no_bound_of_bytes() -> None:
    parts = [b"x" * 1000] * 3
    assert [part async for part in reader(Channel(parts), None).parts()] == parts


async def test_a_client_that_leaves_is_told_apart() -> None:
    with pytest.raises(ClientGoneError):
        await reader(Channel([b"a"], gone=True)).whole(keep)


async def test_a_client_that_stops_sending_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        await reader(Channel([b"a"], more=True), gap_seconds=0.02).whole(keep)
    assert (caught.value.status, caught.value.code) == (408, "body_timeout")
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_cancellation_is_no_timeout() -> None:
    task = asyncio.ensure_future(reader(Channel([], more=True)).whole(keep))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_hold_refuses_is_refused() -> None:
    admission = Admission(requests_max=1, body_bytes_max=5)
    with pytest.raises(RefusedError) as caught:
        await reader(Channel([b"abc", b"def"])).whole(admission.hold)
    assert caught.value.status == 503
    assert admission.body_bytes == 3


def test_admission_counts_what_it_takes_on_and_gives_back() -> None:
    admission = Admission(requests_max=2, body_bytes_max=10)
    admission.enter()
    admission.enter()
    with pytest.raises(RefusedError) as caught:
        admission.enter()
    assert (caught.value.code, caught.value.retry_after_seconds) == ("overloaded", 1)
    admission.hold(10)
    admission.leave(10)
    admission.leave(0)
    assert (admission.requests, admission.body_bytes) == (0, 0)
    admission.enter()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [([], None), ([(b"content-length", b"5")], 5), ([(b"content-length", b"x")], None), ([(b"a", b"5")], None)],
)
def test_the_announced_length_is_read(headers: list[tuple[bytes, bytes]], expected: int | None) -> None:
    assert announced_bytes(headers) == expected


class Clock:
    """A loop's time that goes on only as parts come. Timers that would have rung by then ring before."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, Any]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, ring: Any, *arguments: Any) -> Any:
        self.timers = [(self.now + seconds, lambda: ring(*arguments))]
        return self

    def cancel(self) -> None:
        self.timers.clear()


class SlowChannel:
    """Plays parts, each so many seconds after the one before."""

    def __init__(self, clock: Clock, parts: Sequence[tuple[float, int]]) -> None:
        self.clock = clock
        self.parts = list(parts)

    async def receive(self) -> dict[str, Any]:
        seconds, part_bytes = self.parts.pop(0)
        due = [ring for at, ring in self.clock.timers if at <= self.clock.now + seconds]
        self.clock.now += seconds
        for ring in due:
            ring()
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"x" * part_bytes, "more_body": bool(self.parts)}


@pytest.mark.parametrize(
    "parts",
    [
        [(0.1, 20_000)] * 1000,  # 20 MB over 200 KB/s
        [(30.0, 30_000)] * 20,  # a link that comes back now and then
        [(0.0, 10_000), (59.0, 60_000), (59.0, 60_000), (59.0, 1)],
        [(1.0, 1000)] * 1000,  # just the least rate
        [(59.0, 1)],
    ],
    ids=["20 MB over a slow uplink", "in bursts", "pauses below the limit", "at the rate", "a late only part"],
)
async def test_a_slow_body_that_keeps_its_rate_is_read(parts: list[tuple[float, int]]) -> None:
    clock: Any = Clock()
    slow = BodyReader(SlowChannel(clock, parts).receive, None, 60, clock, rate_bytes_min=1000)
    assert len(await slow.whole(keep)) == sum(part_bytes for _, part_bytes in parts)


@pytest.mark.parametrize(
    "parts",
    [
        [(1.0, 1)] * 1000,
        [(50.0, 1)] * 10,
        [(0.0, 1_000_000), *[(1.0, 1)] * 100],
        [(1.0, 900)] * 1000,
    ],
    ids=["a byte a second", "a byte before each limit", "much at first, then drops", "a little too slow"],
)
async def test_a_body_below_its_rate_is_refused_and_no_byte_now_and_then_helps(parts: list[tuple[float, int]]) -> None:
    clock: Any = Clock()
    channel = SlowChannel(clock, parts)
    slow = BodyReader(channel.receive, None, 60, clock, rate_bytes_min=1000)
    with pytest.raises(RefusedError) as caught:
        await slow.whole(keep)
    assert (caught.value.status, caught.value.code) == (408, "body_timeout")
    assert "HEADROOM_BODY_RATE_BYTES_MIN" in str(caught.value)
    assert channel.parts, "before its end"


async def test_without_a_rate_only_pauses_count() -> None:
    clock: Any = Clock()
    slow = BodyReader(SlowChannel(clock, [(59.0, 1)] * 100).receive, None, 60, clock)
    assert len(await slow.whole(keep)) == 100


class Crowd:
    """Bodies that come side by side on one clock, each held as an exchange holds it."""

    def __init__(self, body_bytes_max: int) -> None:
        self.clock: Any = Clock()
        self.admission = Admission(100, body_bytes_max, clock=self.clock.time)

    async def begin(self, *parts: int) -> "Coming":
        coming = Coming(self)
        for part_bytes in parts:
            await coming.send(part_bytes)
        return coming


class Coming:
    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.held_bytes = 0
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        reader = BodyReader(self.messages.get, None, 60, crowd.clock, rate_bytes_min=1000)
        self.task = asyncio.ensure_future(whole_body(reader, crowd.admission, self.hold))

    def hold(self, part_bytes: int) -> None:
        self.crowd.admission.hold(part_bytes)
        self.held_bytes += part_bytes

    async def send(self, part_bytes: int, more: bool = True) -> None:
        self.messages.put_nowait({"type": "http.request", "body": bytes(part_bytes), "more_body": more})
        for _ in range(3):
            await asyncio.sleep(0)


async def test_large_bodies_that_drip_give_way_when_room_is_wanting() -> None:
    crowd = Crowd(5_800_000)
    dripping = [await crowd.begin(500_000, 10_000) for _ in range(10)]
    for _ in range(60):
        crowd.clock.now += 1
        for body in dripping:
            await body.send(1000)
    assert not any(body.task.done() for body in dripping), "as long as there is room"
    other = await crowd.begin(400_000, 400_000)
    await other.send(1, more=False)
    assert len(await other.task) == 800_001
    gone = [body for body in dripping if body.task.done()]
    assert len(gone) == 2, "as many as are in the way"
    for body in gone:
        with pytest.raises(RefusedError) as caught:
            await body.task
        assert (caught.value.code, caught.value.status, body.held_bytes) == ("body_timeout", 408, 0)
    crowd.admission.body_bytes -= other.held_bytes
    for body in dripping:
        if body not in gone:
            await body.send(1, more=False)
            assert len(await body.task) == body.held_bytes
            crowd.admission.body_bytes -= body.held_bytes
    assert (crowd.admission.body_bytes, crowd.admission.coming) == (0, set())


async def test_bodies_over_a_slow_uplink_do_not_give_way() -> None:
    crowd = Crowd(20_100_000)
    slow = await crowd.begin(200_000)
    for _ in range(99):
        crowd.clock.now += 1
        await slow.send(200_000)
    with pytest.raises(RefusedError) as caught:
        await (await crowd.begin(300_000)).task
    assert caught.value.code == "overloaded"
    await slow.send(0, more=False)
    assert len(await slow.task) == 20_000_000


async def test_a_body_that_has_just_begun_and_one_that_is_here_do_not_give_way() -> None:
    crowd = Crowd(1_010_000)
    here, begun, small = await crowd.begin(), await crowd.begin(400_000, 100_000), await crowd.begin(10_000)
    await here.send(500_000, more=False)
    crowd.clock.now += 9
    with pytest.raises(RefusedError):
        await (await crowd.begin(1)).task
    crowd.clock.now += 1
    late = await crowd.begin(1)
    await late.send(0, more=False)
    assert await late.task == bytes(1)
    assert len(await here.task) == 500_000
    assert not small.task.done(), "it holds next to nothing"
    small.task.cancel()
    with pytest.raises(RefusedError):
        await begun.task
