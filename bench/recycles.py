"""`python -m bench.recycles`: a thousand workers come and go under load; then a scrape costs what it did at the start,
no request is missing in the totals, and the state directory is within its bound, all its files counted.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import msgspec

from bench.figures import Figure, keep, table
from bench.kills import NOTED_SECONDS, WORKERS, Sight
from bench.processes import Server
from bench.stacks import canned, ours
from proxy_pkg.cli.checkups.state_directory import state_bytes_max

SCRAPES = 200
STORE_BYTES_MAX = 16 << 20
MODELS, CLIENTS = 20, 20
COST_GROWTH_MAX = 1.25
ROUNDS_PER_RELOAD = 4
"""Of so many rounds one is a reload, the others kill."""
_BODY = '{"model":"model-%d","messages":[{"role":"user","content":"hi"}]}'


class Scrapes(msgspec.Struct):
    """What one scrape took: CPU of the whole server, and time until the answer was there."""

    cpu_ms: float
    ms: list[float]


def answered(server: Server, method: str, path: str, body: str = "", client: str = "bench") -> bytes:
    """The body of a whole answer with status 200, over a connection of its own."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path, body or None, {"user-agent": client, "content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status == 200, (path, answer.status, text)
    return text


def ask_all(server: Server) -> int:
    """A request of each client and model, so that every series that a round can bring is there."""
    for number in range(MODELS):
        answered(server, "POST", "/v1/chat/completions", _BODY % number, f"agent{number % CLIENTS}/1.{number}")
    return MODELS


def scraped(server: Server) -> Scrapes:
    began_ns, times = server.cpu_ns(), []
    for _ in range(SCRAPES):
        began = time.monotonic()
        answered(server, "GET", "/metrics")
        times.append((time.monotonic() - began) * 1000)
    return Scrapes((server.cpu_ns() - began_ns) / SCRAPES / 1e6, sorted(times))


def recycle(server: Server, sight: Sight, by: signal.Signals) -> None:
    """All workers are replaced: at once by a kill of each, or one after the other in a reload."""
    before = set(server.worker_pids)
    for pid in [server.master_pid] if by is signal.SIGHUP else before:
        os.kill(pid, by)
    while before & set(server.worker_pids):
        time.sleep(0.005)
    assert sight.seconds_until_whole() < float("inf")
    time.sleep(NOTED_SECONDS)


def bytes_on_disk(directory: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())


def recycles(count: int) -> list[Figure]:
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        upstream = running.enter_context(canned(folder))
        server = running.enter_context(
            ours(upstream, folder, HEADROOM_WORKERS=str(WORKERS), HEADROOM_STORE_BYTES_MAX=str(STORE_BYTES_MAX))
        )
        sight = Sight(server, running.enter_context(server.log.open()))
        assert sight.seconds_until_whole() < float("inf")
        asked = sum(ask_all(server) for _ in range(2 * WORKERS))
        first, gone, turn = scraped(server), 0, 0
        while gone < count:
            turn += 1
            recycle(server, sight, signal.SIGKILL if turn % ROUNDS_PER_RELOAD else signal.SIGHUP)
            gone += WORKERS
            asked += ask_all(server)
        last = scraped(server)
        stats = msgspec.json.decode(answered(server, "GET", "/stats"))
        return judged(gone, first, last, abs(stats["requests"]["total"] - asked), bytes_on_disk(folder / "state"))


def judged(gone: int, first: Scrapes, last: Scrapes, missing: int, state_bytes: int) -> list[Figure]:
    after = f"after {gone} recycles"
    most = state_bytes_max(WORKERS, STORE_BYTES_MAX)
    return [
        Figure("at the start", "ours", first.cpu_ms, "ms CPU for a scrape"),
        Figure(after, "ours", last.cpu_ms, "ms CPU for a scrape", at_most=COST_GROWTH_MAX * first.cpu_ms),
        Figure("at the start", "ours", first.ms[SCRAPES // 2], "ms for a scrape, median"),
        Figure(after, "ours", last.ms[SCRAPES // 2], "ms for a scrape, median"),
        Figure(after, "ours", float(missing), "requests too few or too many in the totals", at_most=0),
        Figure(after, "ours", state_bytes / 2**20, "MiB in the state directory", at_most=most / 2**20),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.recycles", description=__doc__)
    parser.add_argument("--recycles", type=int, default=1000)
    figures = recycles(parser.parse_args().recycles)
    print(table(figures))
    keep("recycles", figures)
    return 0 if all(each.meets_bar for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
