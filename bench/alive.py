"""`python -m bench.alive`: how soon one worker says that it lives while it has the most to do.

Bodies of 50 MB whose texts are all new, of several shapes, and compressors that never come back: GET /livez is asked
all the time on the same worker, a bar of 50 ms for 99 of 100 answers. A request with a text that never comes back is
answered within a second of the deadline.
"""

import argparse
import gzip
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from bench.driver import load, post
from bench.figures import Figure, keep, table
from bench.processes import Server
from bench.stacks import canned, ours
from bench.trap import SLEEPS, TRAP, TURNS, lay
from tests.fakes.client import Caller

ALIVE_MS_MAX = 50.0
SLOT_MS_MAX = 1300.0
"""The deadline of 300 ms and a second."""
POLL_SECONDS = 0.003
BODY_BYTES = 50_000_000


def text(number: int, size_bytes: int) -> str:
    lines = size_bytes // 40
    return "\n".join(f"{n:6}→    total_{number} = read_part({n})" for n in range(lines))[:size_bytes]


def body(results: int, size_bytes: int, number: int = 0) -> bytes:
    messages = [
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": f"t{n}", "content": text(number * 1000 + n, size_bytes)}
            ],
        }
        for n in range(results)
    ]
    return msgspec.json.encode({"model": "m", "messages": messages})


def without_results() -> bytes:
    return msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": text(0, BODY_BYTES)}]})


def coded(data: bytes) -> bytes:
    return post("/v1/messages", gzip.compress(data, 1), [("content-encoding", "gzip")])


REQUESTS: dict[str, Callable[[int], bytes]] = {
    "500 results of 100 KB": lambda number: post("/v1/messages", body(500, 100_000, number)),
    "50 results of 1 MB": lambda number: post("/v1/messages", body(50, 1_000_000, number)),
    "7 results of 7 MB": lambda number: post("/v1/messages", body(7, 7_000_000, number)),
    "1 result of 50 MB": lambda number: post("/v1/messages", body(1, BODY_BYTES, number)),
    "no results": lambda number: post("/v1/messages", without_results()),
    "gzip, 50 results of 1 MB": lambda number: coded(body(50, 1_000_000, number)),
}


def ask(port: int) -> None:
    """Ask /livez until standard input ends, and print the waits in milliseconds."""
    with Caller(port, timeout_seconds=60) as caller:
        while not select.select([sys.stdin], [], [], POLL_SECONDS)[0]:
            began = time.monotonic()
            caller.ask("GET", "/livez")
            print((time.monotonic() - began) * 1000)


@contextmanager
def asking(server: Server) -> Iterator[list[float]]:
    """Ask /livez all the time while the block runs, from a process of its own; the waits in milliseconds."""
    waits: list[float] = []
    arguments = [sys.executable, "-m", "bench.alive", "--ask", str(server.port)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asker:
        yield waits
        printed, _ = asker.communicate()
    waits += map(float, printed.split())


def percentile(samples: list[float], part: float) -> float:
    return sorted(samples)[int((len(samples) - 1) * part)]


@contextmanager
def serving(wait: str = "") -> Iterator[Server]:
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        upstream = running.enter_context(canned(folder))
        trap = lay(folder, wait) if wait else {}
        yield running.enter_context(ours(upstream, folder, HEADROOM_WORKERS="1", **trap))


def large_bodies(rounds: int) -> list[Figure]:
    figures = []
    for name, make in REQUESTS.items():
        with serving() as server:
            requests = [make(number) for number in range(rounds)]
            with asking(server) as waits:
                seconds = load(server.port, requests, 1).seconds
        longest = f"longest wait {max(waits):.0f} ms"
        print(f"{name}: {seconds / rounds:.2f} s a request, {longest}", file=sys.stderr)
        figures.append(Figure(name, "ours", percentile(waits, 0.99), "ms p99 of /livez", at_most=ALIVE_MS_MAX))
    return figures


def traps(rounds: int) -> list[Figure]:
    figures = []
    for name, wait in (("a compressor that turns for ever", TURNS), ("a compressor that sleeps for ever", SLEEPS)):
        took = []
        for number in range(rounds):
            with serving(wait) as server:
                trap = post("/v1/messages", body(1, 100_000, number).replace(b"total", TRAP.encode(), 1))
                with asking(server) as waits:
                    took.append(load(server.port, [trap], 1).seconds * 1000)
        figures.append(Figure(name, "ours", percentile(waits, 0.99), "ms p99 of /livez", at_most=ALIVE_MS_MAX))
        figures.append(Figure(name, "ours", max(took), "ms to the answer", at_most=SLOT_MS_MAX))
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.alive", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ask", type=int, metavar="PORT", help="ask the server there, and nothing else")
    given = parser.parse_args()
    if given.ask:
        ask(given.ask)
        return 0
    figures = [*large_bodies(given.rounds), *traps(given.rounds)]
    print(table(figures))
    keep("alive", figures)
    return 0 if all(each.meets_bar for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
