"""`python -m bench.soak`: a mixed load in miniature, to see that memory stays where it was.

Agents with long conversations, small requests, streams that are read to their end and clients that leave in the
middle. After a third of the time every cache is as full as it gets (its bound is lowered for that): from then on
the workers' memory may not grow by more than GROWTH_MAX. Exits with 1 if it does, or if a request fails.
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
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import uvloop

from bench.bodies import small_chat, text_conversation, tool_conversation
from bench.driver import DriverError, connect, post
from bench.processes import Server
from bench.stacks import canned, ours
from bench.streams import REQUEST as STREAM

GROWTH_MAX = 0.05
SAMPLE_SECONDS = 0.5
CONVERSATIONS = 24
CLIENTS = {"small": 4, "agent": 2, "stream": 8, "leaver": 8}
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
        self.memory: list[tuple[float, int]] = []

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self.began

    async def run(self) -> None:
        requests = {
            "small": itertools.repeat(small_chat()),
            "agent": itertools.cycle(conversations()),
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
            if self.elapsed_seconds > self.seconds:
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
            self.memory.append((self.elapsed_seconds, sum(anonymous_bytes(pid) for pid in self.server.worker_pids)))

    def mib_between(self, first: float, last: float) -> float:
        """The median in a part of the time, from share to share, in MiB."""
        taken = [size for at, size in self.memory if first * self.seconds <= at <= last * self.seconds]
        return median(taken) / 2**20


def anonymous_bytes(pid: int) -> int:
    """Resident memory without what belongs to files: programs that share those come and go and would change the sum."""
    found = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def conversations() -> list[bytes]:
    """Long requests: every conversation comes again with another question, among others that do the same."""
    tools = [tool_conversation(seed, f"question {turn}") for turn in range(2) for seed in range(CONVERSATIONS // 2)]
    return [*tools, *(text_conversation(seed) for seed in range(CONVERSATIONS // 4))]


def soak(seconds: float) -> bool:
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as place,
        canned(Path(place)) as upstream,
        ours(upstream, Path(place), **SETTINGS) as server,
    ):
        running = Soak(server, seconds)
        uvloop.run(running.run())
    early, late = running.mib_between(0.3, 0.37), running.mib_between(0.93, 1.0)
    growth = late / early - 1
    print(f"{seconds:g} s: {sum(running.done.values())} requests, {dict(running.done)}")
    tenths = ", ".join(f"{running.mib_between(tenth / 10, (tenth + 1) / 10):.1f}" for tenth in range(10))
    print(f"anonymous memory of all workers in MiB, by tenths of the time: {tenths}")
    print(f"anonymous memory of all workers: {early:.1f} MiB at one third, {late:.1f} MiB at the end")
    print(f"that is {growth:+.1%}, and may be at most +{GROWTH_MAX:.0%}")
    for failure, count in running.failures.most_common(10):
        print(f"failed {count} times: {failure}")
    return growth <= GROWTH_MAX and not running.failures


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long (120)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that servers are ended
    return 0 if soak(given.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
