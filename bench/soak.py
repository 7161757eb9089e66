"""`python -m bench.soak`: a mixed load in miniature, to see that memory stays where it was.

Agents with long conversations old and new, small requests, streams that are read to their end and clients that leave
in the middle. Before the time begins every cache is filled to its bound, which is lowered for that. From one third of
the time to its end the workers' memory may not grow by more than GROWTH_MAX. Exits with 1 if it does, or if a request
fails.

Memory is the proportional set size of what belongs to no file: a page that a worker still shares with the master
counts when it becomes its own, while files are shared with whatever else runs on the machine.
"""

import argparse
import asyncio
import itertools
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median

import uvloop

from bench.bodies import read_conversation, small_chat, text_conversation, tool_conversation
from bench.driver import DriverError, connect, post
from bench.processes import Server
from bench.stacks import canned, ours
from bench.streams import REQUEST as STREAM

GROWTH_MAX = 0.05
SAMPLE_SECONDS = 0.5
CONVERSATIONS = 16
READ_BYTES = 200_000
NEW_ONE_IN = 8
CLIENTS = {"small": 4, "agent": 2, "stream": 8, "leaver": 8}
FILLING_CLIENTS = 6
MEASURES = {"PSS": ("Pss_Anon", "Pss_Shmem"), "private": ("Private_Dirty",), "resident": ("Anonymous",)}
SHORT_STREAM = post("/v1/messages", b'{"model":"m","max_tokens":9,"stream":true,"messages":[]}')
SETTINGS = {"HEADROOM_WORKERS": "2", "HEADROOM_MEMO_BYTES_MAX": "8MiB", "HEADROOM_ACCESS_LOG": "false"}


class Soak:
    """The load, what came of it, and the memory of all workers together, by the second at which it was taken."""

    def __init__(self, server: Server, seconds: float) -> None:
        self.server = server
        self.seconds = seconds
        self.began = time.monotonic()
        self.done: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.memory: list[tuple[float, dict[str, int]]] = []

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self.began

    async def fill(self) -> None:
        """Send what fills every cache of every worker, and some of everything else."""
        requests = [*conversations(), small_chat(), SHORT_STREAM]
        async with asyncio.TaskGroup() as group:
            for _ in range(FILLING_CLIENTS):
                group.create_task(self.ask("filling", requests))

    async def run(self) -> None:
        await self.fill()
        requests: dict[str, Iterator[bytes]] = {
            "small": itertools.repeat(small_chat()),
            "agent": old_and_new(),
            "stream": itertools.cycle([STREAM, SHORT_STREAM]),
        }
        self.began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.watch())
            for kind, count in CLIENTS.items():
                for _ in range(count):
                    group.create_task(self.leave() if kind == "leaver" else self.ask(kind, requests[kind]))

    async def ask(self, kind: str, requests: Iterable[bytes]) -> None:
        client = await connect(self.server.port)
        for request in requests:
            if kind != "filling" and self.elapsed_seconds > self.seconds:
                break
            try:
                await client.ask(request)
                self.done[kind] += 1
            except DriverError as error:
                self.failures[f"{kind}: {error}"] += 1
                client = await connect(self.server.port)
            await asyncio.sleep(0.02)
        client.transport.close()

    async def leave(self) -> None:
        """Ask for a stream and go, before its first byte or after it."""
        for pause_seconds in itertools.cycle((0.0, 0.01, 0.2)):
            if self.elapsed_seconds > self.seconds:
                return
            client = await connect(self.server.port)
            client.transport.write(STREAM)
            await asyncio.sleep(pause_seconds)
            client.transport.abort()
            self.done["leaver"] += 1
            await asyncio.sleep(0.05)

    async def watch(self) -> None:
        while self.elapsed_seconds < self.seconds:
            await asyncio.sleep(SAMPLE_SECONDS)
            self.memory.append((self.elapsed_seconds, memory_bytes(self.server.worker_pids)))

    def mib_between(self, measure: str, first: float, last: float) -> float:
        """The median in a part of the time, from share to share, in MiB."""
        taken = [size[measure] for at, size in self.memory if first * self.seconds <= at <= last * self.seconds]
        return median(taken) / 2**20


def memory_bytes(pids: Iterable[int]) -> dict[str, int]:
    """What these processes have together, by the names of MEASURES."""
    found: Counter[str] = Counter(dict.fromkeys(MEASURES, 0))
    for pid in pids:
        rollup = dict(re.findall(r"^(\w+):\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE))
        for measure, fields in MEASURES.items():
            found[measure] += 1024 * sum(int(rollup[field]) for field in fields)
    return found


def conversations() -> list[bytes]:
    """Long requests that come again with other questions, among others that do the same."""
    seeds = range(CONVERSATIONS // 2)
    tools = [tool_conversation(seed, f"question {turn}") for turn in range(2) for seed in seeds]
    reads = [read_conversation(seed, f"question {turn}", READ_BYTES) for turn in range(2) for seed in seeds]
    return [*tools, *reads, *(text_conversation(seed) for seed in range(CONVERSATIONS // 4))]


def old_and_new() -> Iterator[bytes]:
    """The same conversations again and again, and now and then one that was never seen."""
    for number, request in enumerate(itertools.cycle(conversations())):
        yield request
        if number % NEW_ONE_IN == 0:
            yield read_conversation(1000 + number, "a first question", READ_BYTES)


def soak(seconds: float) -> bool:
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as place,
        canned(Path(place)) as upstream,
        ours(upstream, Path(place), **SETTINGS) as server,
    ):
        running = Soak(server, seconds)
        uvloop.run(running.run())
    print(f"{seconds:g} s: {sum(running.done.values())} requests, {dict(running.done)}")
    print("memory of all workers in MiB, by tenths of the time, and its growth from one third to the end:")
    growths = {}
    for measure in MEASURES:
        tenths = " ".join(f"{running.mib_between(measure, tenth / 10, (tenth + 1) / 10):7.2f}" for tenth in range(10))
        growths[measure] = running.mib_between(measure, 0.93, 1.0) / running.mib_between(measure, 0.3, 0.37) - 1
        print(f"{measure:8} {tenths}  {growths[measure]:+.2%}")
    print(f"PSS may grow by {GROWTH_MAX:.0%}")
    for failure, count in running.failures.most_common(10):
        print(f"failed {count} times: {failure}")
    return growths["PSS"] <= GROWTH_MAX and not running.failures


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=240.0, help="how long, once caches are full (240)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that servers are ended
    return 0 if soak(given.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
