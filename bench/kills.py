"""`python -m bench.kills`: workers are killed at random moments of their start and their life; none may stay stuck.

After each burst of kills all workers have to serve again within the limit, under the same master. The last twentieth
are killed one by one: then the successor should serve within a second.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TextIO

import msgspec

from bench.figures import Figure, keep, table
from bench.processes import Server
from bench.stacks import canned, ours

WORKERS = 3
BURST = 10
BACK_SECONDS_MAX = 20.0
"""Time to be whole again, the retry pause of a second for each failed start included."""
ALONE_SECONDS_MAX = 1.0
ALONE_SHARE = 20
NOTED_SECONDS = 0.1
"""From the line in the log until the master, too, knows that a worker serves."""
SETTLED_SECONDS = 1.0
"""After a burst: the pause that the master makes once a worker has died before it served."""


def kill_some(server: Server, chooser: random.Random) -> int:
    """A burst of kills, each at a moment of its own: starts take some 50 ms, so many fall into one."""
    killed = 0
    while killed < BURST:
        time.sleep(chooser.uniform(0, 0.12))
        pids = server.worker_pids
        if pids:
            with suppress(ProcessLookupError):
                os.kill(chooser.choice(pids), signal.SIGKILL)
                killed += 1
    return killed


class Sight:
    """Which workers serve, as the log tells it."""

    def __init__(self, server: Server, log: TextIO) -> None:
        self._server = server
        self._log = log
        self._ready: set[int] = set()

    def is_whole(self) -> bool:
        for line in self._log:
            if "startup complete" in line:
                self._ready.add(msgspec.json.decode(line)["pid"])
        pids = self._server.worker_pids
        self._ready &= set(pids)
        return len(pids) == WORKERS == len(self._ready)

    def seconds_until_whole(self) -> float:
        """Infinite if it takes too long."""
        began = time.monotonic()
        while not self.is_whole():
            if time.monotonic() - began > BACK_SECONDS_MAX:
                return float("inf")
            time.sleep(0.005)
        return time.monotonic() - began


def seconds_for_one(server: Server, sight: Sight, chooser: random.Random) -> float:
    """How long a whole server takes to be whole again after one of its workers is killed."""
    victim = chooser.choice(server.worker_pids)
    began = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    while victim in server.worker_pids:
        time.sleep(0.002)
    return time.monotonic() - began + sight.seconds_until_whole()


def kills(count: int, seed: int) -> list[Figure]:
    chooser = random.Random(seed)
    killed, took, alone = 0, [], []
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        upstream = running.enter_context(canned(folder))
        server = running.enter_context(ours(upstream, folder, HEADROOM_WORKERS=str(WORKERS)))
        sight = Sight(server, running.enter_context(server.log.open()))
        took.append(sight.seconds_until_whole())
        while killed + BURST <= count - count // ALONE_SHARE and float("inf") not in took:
            killed += kill_some(server, chooser)
            took.append(sight.seconds_until_whole())
        time.sleep(SETTLED_SECONDS)
        while killed < count and float("inf") not in took + alone:
            time.sleep(NOTED_SECONDS)
            alone.append(seconds_for_one(server, sight, chooser))
            killed += 1
        stuck = (took + alone).count(float("inf")) + (server.process.poll() is not None)
    return judged(killed, stuck, took, alone)


def judged(killed: int, stuck: int, took: list[float], alone: list[float]) -> list[Figure]:
    name, one = f"{killed} kills", f"{len(alone)} of them one by one"
    soon = sum(seconds <= ALONE_SECONDS_MAX for seconds in alone)
    return [
        Figure(name, "ours", float(stuck), "workers stuck for good", at_most=0),
        Figure(name, "ours", max(took), "s until all serve after a burst, at the longest", at_most=BACK_SECONDS_MAX),
        Figure(one, "ours", soon / max(1, len(alone)), "part replaced within a second", at_least=0.99),
        Figure(one, "ours", sorted(alone)[len(alone) // 2] if alone else 0.0, "s until the successor serves, median"),
        Figure(one, "ours", max(alone, default=0.0), "s until the successor serves, at the longest"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    figures = kills(given.kills, given.seed)
    print(table(figures))
    keep("kills", figures)
    return 0 if all(each.meets_bar for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
