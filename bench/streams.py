"""CPU per relayed server-sent event, and its lag; `direct` is the lag without a server in between."""

import asyncio
import re
import time
from collections.abc import Callable
from functools import partial
from statistics import median, quantiles

import uvloop

from bench.bodies import LARGE_TARGET
from bench.canned import EVENTS_PER_STREAM
from bench.driver import connect, post
from bench.figures import Figure, figure
from bench.processes import Server
from bench.stacks import side_by_side

STREAMS = 100
ROUNDS = 2
STAGGER_SECONDS = 0.0005
BODY = b'{"model":"claude-bench","max_tokens":9,"stream":true,"messages":[]}'
REQUEST = post(LARGE_TARGET, BODY, [("x-bench", "events")])
SENT_AT = re.compile(rb"@(\d+)@")


def streams(names: tuple[str, ...], say: Callable[[str], None]) -> list[Figure]:
    """Servers take turns; nginx counts too if it is there."""
    cpu: dict[str, list[float]] = {}
    lags: dict[str, list[float]] = {}
    with side_by_side(names, say) as servers:
        for name, server in list(servers.items()) * ROUNDS:
            before = server.cpu_ns()
            seen = uvloop.run(lag_ms(server))
            cpu.setdefault(name, []).append((server.cpu_ns() - before) / (STREAMS * EVENTS_PER_STREAM) / 1000)
            lags.setdefault(name, []).extend(seen)
            if len(seen) != STREAMS * EVENTS_PER_STREAM:
                say(f"{name}: {len(seen)} events of {STREAMS * EVENTS_PER_STREAM} arrived")
    cpu.pop("direct")
    figures = [figure("server-sent event", name, each, "us CPU/event") for name, each in cpu.items()]
    figures += [Figure("event lag, p50", name, median(each), "ms") for name, each in lags.items()]
    return figures + [Figure("event lag, p99", name, quantiles(each, n=100)[-1], "ms") for name, each in lags.items()]


async def lag_ms(server: Server) -> list[float]:
    """Milliseconds from an event's leaving the upstream to its arrival here, for all events of all streams."""
    lags: list[float] = []
    async with asyncio.TaskGroup() as group:
        for number in range(STREAMS):
            group.create_task(one_stream(server.port, number * STAGGER_SECONDS, lags))
    return lags


async def one_stream(port: int, delay_seconds: float, lags: list[float]) -> None:
    await asyncio.sleep(delay_seconds)
    client = await connect(port, partial(note, lags))
    try:
        await client.ask(REQUEST)
    finally:
        client.transport.close()


def note(lags: list[float], data: bytes) -> None:
    now = time.monotonic_ns()
    lags.extend((now - int(sent)) / 1e6 for sent in SENT_AT.findall(data))
