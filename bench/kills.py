"""`python -m bench.kills`: workers are killed at random moments of their start and their life; none may stay stuck.

After each burst of kills all workers have to serve again within the limit, under the same master.
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

from bench.figures import Figure, keep, table
from bench.processes import Server, answers
from bench.stacks import canned, ours

WORKERS = 3
BURST = 10
BACK_SECONDS_MAX = 20.0
"""Time to be whole again, the retry pause of a second for each failed start included."""


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


def is_whole(server: Server) -> bool:
    return len(server.worker_pids) == WORKERS and answers(server.port, "/readyz")


def seconds_until_whole(server: Server) -> float:
    began = time.monotonic()
    while not is_whole(server):
        if time.monotonic() - began > BACK_SECONDS_MAX:
            return float("inf")
        time.sleep(0.02)
    return time.monotonic() - began


def kills(count: int, seed: int) -> list[Figure]:
    chooser = random.Random(seed)
    killed, slowest, stuck = 0, 0.0, 0
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        upstream = running.enter_context(canned(folder))
        server = running.enter_context(ours(upstream, folder, HEADROOM_WORKERS=str(WORKERS)))
        while killed < count and not stuck:
            killed += kill_some(server, chooser)
            took = seconds_until_whole(server)
            stuck += took == float("inf") or server.process.poll() is not None
            slowest = max(slowest, took)
    name = f"{killed} kills"
    return [
        Figure(name, "ours", float(stuck), "stuck starts", at_most=0),
        Figure(name, "ours", slowest, "s until all serve again, at the longest", at_most=BACK_SECONDS_MAX),
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
