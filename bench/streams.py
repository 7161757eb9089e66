"""CPU per relayed server-sent event, and its lag; `direct` is the lag without a server in between.

The lag bounds what a server can add to the gap between two events, since no event arrives before it was sent. What
the driver and the upstream are late by themselves stands in the direct run, and is taken off.
"""

import asyncio
import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import cast

import uvloop

from bench.bodies import LARGE_TARGET
from bench.canned import EVENTS_PER_STREAM
from bench.driver import LAST_CHUNK, DriverError, post
from bench.figures import Figure, figure
from bench.processes import Server
from bench.stacks import side_by_side

SOME, MANY = 100, 500
ROUNDS = {SOME: 3, MANY: 2}
RATIO_BAR = 1.3
LAG_BAR_MS = 20.0
STAGGER_SECONDS = 0.0005
BODY = b'{"model":"claude-bench","max_tokens":9,"stream":true,"messages":[]}'
REQUEST = post(LARGE_TARGET, BODY, [("x-bench", "events")])

Samples = dict[str, list[float]]


def streams(names: tuple[str, ...], say: Callable[[str], None]) -> list[Figure]:
    """100 streams on every server, for the price of an event; then 500 on one worker, for its lag."""
    with side_by_side(names, say) as servers:
        figures = _figures(SOME, *rounds(servers, SOME, say))
        servers.pop("nginx", None)
        return figures + _figures(MANY, *rounds(servers, MANY, say))


def rounds(servers: dict[str, Server], count: int, say: Callable[[str], None]) -> tuple[Samples, Samples]:
    """`count` streams at once, servers taking turns: microseconds of CPU per event, milliseconds of lag."""
    cpu: Samples = {}
    lags: Samples = {}
    events = count * EVENTS_PER_STREAM
    for name, server in list(servers.items()) * ROUNDS[count]:
        before = server.cpu_ns()
        seen = uvloop.run(lag_ms(server, count))
        cpu.setdefault(name, []).append((server.cpu_ns() - before) / events / 1000)
        lags.setdefault(name, []).extend(seen)
        if len(seen) != events:
            say(f"{name}: {len(seen)} events of {events} arrived")
    return cpu, lags


def _figures(count: int, cpu: Samples, lags: Samples) -> list[Figure]:
    what = f"event of {count} streams"
    cpu.pop("direct")
    figures = [figure(what, name, each, "us CPU") for name, each in cpu.items()]
    if {"ours", "bare"} <= cpu.keys():
        ratios = [ours / bare for ours, bare in zip(cpu["ours"], cpu["bare"], strict=True)]
        figures.append(figure(what, "ours/bare", ratios, "times", RATIO_BAR))
    direct = lags.pop("direct")
    driver_p50, driver_p99 = median(direct), quantiles(direct, n=100)[-1]
    figures.append(Figure(f"{what}, lag p50", "direct", driver_p50, "ms"))
    figures.append(Figure(f"{what}, lag p99", "direct", driver_p99, "ms"))
    for name, each in lags.items():
        bar = LAG_BAR_MS if name == "ours" else None
        figures.append(Figure(f"{what}, lag p50", name, median(each) - driver_p50, "ms added"))
        figures.append(Figure(f"{what}, lag p99", name, quantiles(each, n=100)[-1] - driver_p99, "ms added", bar))
    return figures


class Listener(asyncio.Protocol):
    """One stream from its request to its end, and how late each event came, in milliseconds. It does no more than
    that, so that it is not what is measured.
    """

    def __init__(self) -> None:
        self.lags: list[float] = []
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self.lags.extend((now - int(sent)) / 1e6 for sent in data.split(b"@")[1::2])
        if data.endswith(LAST_CHUNK) and not self.complete.done():
            self.complete.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.complete.done():
            self.complete.set_exception(DriverError("a stream was cut"))


async def lag_ms(server: Server, count: int) -> list[float]:
    """Milliseconds from an event's leaving the upstream to its arrival here, for all events of all streams."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_lags(server.port, number * STAGGER_SECONDS)) for number in range(count)]
    return [lag for task in tasks for lag in task.result()]


async def _lags(port: int, delay_seconds: float) -> list[float]:
    await asyncio.sleep(delay_seconds)
    _, listener = await asyncio.get_running_loop().create_connection(Listener, "127.0.0.1", port)
    try:
        await listener.complete
    finally:
        listener.transport.close()
    return listener.lags
