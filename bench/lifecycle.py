"""`python -m bench.lifecycle`: what changes of workers cost those who ask all the time, and how evenly work is shared.

Reloads, workers at their request limit, an upgrade in place and a stop, each under constant load of plain and streaming
requests: a bar of zero failures. Then what others notice of a worker that stands still or is busy, and the
spread of requests over four workers for several sorts of clients.
"""

import argparse
import os
import signal
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bench.alive import body as large_body
from bench.constant_load import Kind, Outcome, constant_load
from bench.driver import post
from bench.figures import Figure, figure, keep, table
from bench.processes import Server, children
from bench.stacks import canned, ours
from tests.fakes.client import Caller

BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
PLAIN = post("/v1/messages", BODY)
CLOSING = post("/v1/messages", BODY, [("connection", "close")])
STREAMED = post("/v1/messages", BODY, [("x-bench", "events")])
SPREAD_BAR = 1.5
IDLE_FIRST_PART_MIN = 0.9
IDLE_FIRST_ROUNDS = 30
FREE_SECONDS_MAX = 5.0
KILLED_WORKERS = 5
REPLACED_SECONDS_MAX = 1.0
BESIDE_MS_MAX = 100.0
"""What others may wait beside a large body, 99 of 100: twice as long as for /livez alone (bench.alive)."""
LARGE_BODIES = 4
STORM_PAUSE_SECONDS = 0.1
POLL_SECONDS = 0.05
STEP_SECONDS_MAX = 30.0

LOAD = [
    (Kind("keeps its connection", PLAIN), 8),
    (Kind("new connections", CLOSING, keeps=False), 3),
    (Kind("pauses a second", PLAIN, pause_seconds=(0.9, 1.1)), 10),
    (Kind("pauses two seconds", PLAIN, pause_seconds=(1.9, 2.1)), 6),
    (Kind("streams", STREAMED), 6),
]
SHARERS = [
    (Kind("4 that keep their connection", PLAIN, pause_seconds=(0.005, 0.01)), 4),
    (Kind("64 that keep their connection", PLAIN, pause_seconds=(0.05, 0.06)), 64),
    (Kind("24 that keep their connection", PLAIN, pause_seconds=(0.02, 0.03)), 24),
    (Kind("24 with new connections", CLOSING, keeps=False, pause_seconds=(0.01, 0.02)), 24),
    (Kind("40 streams", STREAMED), 40),
]


def workers(server: Server) -> dict[int, dict[str, Any]]:
    """The workers that serve, by pid."""
    with urllib.request.urlopen(f"{server.url}/stats", timeout=STEP_SECONDS_MAX) as answer:
        live = msgspec.json.decode(answer.read())["workers"]["live"]
    return {worker["pid"]: worker for worker in live if not worker["draining"]}


def until(true: Callable[[], object]) -> None:
    limit = time.monotonic() + STEP_SECONDS_MAX
    while not true():
        if time.monotonic() > limit:
            raise TimeoutError("a step did not come to its end")
        time.sleep(POLL_SECONDS)


def reloads(server: Server, count: int) -> None:
    for _ in range(count):
        before = set(workers(server))
        os.kill(server.master_pid, signal.SIGHUP)
        until(lambda: not before & set(workers(server)))  # noqa: B023 (asked before the next turn)


def recycles(server: Server, count: int) -> None:
    seen = set(workers(server))
    first = len(seen)

    def enough() -> bool:
        seen.update(workers(server))
        return len(seen) >= first + count

    limit = time.monotonic() + count * STEP_SECONDS_MAX
    while not enough() and time.monotonic() < limit:
        time.sleep(POLL_SECONDS)


def stop(server: Server, _: int) -> None:
    os.kill(server.master_pid, signal.SIGTERM)
    until(lambda: server.process.poll() is not None)


def upgrade(server: Server, _: int) -> None:
    before = set(workers(server))
    os.kill(server.master_pid, signal.SIGUSR2)
    until(lambda: len(workers(server)) == 2 * len(before))
    successor = next(pid for pid in server.worker_pids if children(pid))
    os.kill(server.master_pid, signal.SIGTERM)
    until(lambda: server.process.poll() is not None)
    server.successor_pid = successor  # type: ignore[attr-defined]


@contextmanager
def serving(**settings: str) -> Iterator[Server]:
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        upstream = running.enter_context(canned(folder))
        server = running.enter_context(ours(upstream, folder, HEADROOM_ACCESS_LOG="false", **settings))
        try:
            yield server
        finally:
            successor = getattr(server, "successor_pid", 0)
            if successor:
                os.kill(successor, signal.SIGTERM)


def change(name: str, step: Callable[[Server, int], None], count: int, **settings: str) -> list[Figure]:
    """One sort of change under load."""
    with serving(**settings) as server, constant_load(server.port, LOAD) as outcome:
        time.sleep(1)
        step(server, count)
    measured = f"{count} x {name}"
    slowest = Figure(measured, "ours", outcome.wait_seconds(1.0) * 1000, "ms to first byte")
    return [*failures(measured, outcome, step in (stop, stop_in_reload)), slowest]


def failures(measured: str, outcome: Outcome, refused_is_right: bool = False) -> list[Figure]:
    """How many requests failed, the causes on standard error. Once a server was stopped, it is right to be refused."""
    if refused_is_right:
        for cause in [cause for cause in outcome.failures if "connect: ConnectionRefusedError" in cause]:
            del outcome.failures[cause]
    for cause, times in outcome.failures.items():
        print(f"{measured}: {times} times {cause}", file=sys.stderr)
    failed = float(outcome.failures.total())
    return [Figure(measured, "ours", failed, f"of {outcome.answers.total()} failed", at_most=0)]


def storm(server: Server, count: int) -> None:
    """Reloads faster than they can be done."""
    before = set(workers(server))
    for _ in range(count):
        os.kill(server.master_pid, signal.SIGHUP)
        time.sleep(STORM_PAUSE_SECONDS)
    until(lambda: len(workers(server)) == len(server.worker_pids) == len(before) and not before & set(workers(server)))


def stop_in_reload(server: Server, _: int) -> None:
    os.kill(server.master_pid, signal.SIGHUP)
    time.sleep(STORM_PAUSE_SECONDS)
    stop(server, 1)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def killed(server: Server) -> float:
    """Kill a worker; the seconds until as many serve as before."""
    before = workers(server)
    victim = server.worker_pids[0]
    os.kill(victim, signal.SIGKILL)
    began = time.monotonic()
    until(lambda: victim not in server.worker_pids and len(server.worker_pids) == len(before))
    until(lambda: len(workers(server)) == len(before))
    return time.monotonic() - began


def deaths() -> list[Figure]:
    """Workers that are killed, one that stands still, and then a master that is killed under load."""
    with serving(HEADROOM_WORKERS="2", HEADROOM_WORKER_TIMEOUT_SECONDS="5") as server:
        until(lambda: len(workers(server)) == 2)
        replaced_seconds = [killed(server) for _ in range(KILLED_WORKERS)]
        stopped = server.worker_pids[0]
        os.kill(stopped, signal.SIGSTOP)
        began = time.monotonic()
        with constant_load(server.port, LOAD) as beside:
            until(lambda: stopped not in server.worker_pids and len(server.worker_pids) == 2)
            until(lambda: len(workers(server)) == 2)
            replaced = time.monotonic() - began
        with constant_load(server.port, LOAD):
            time.sleep(1)
            os.kill(server.master_pid, signal.SIGKILL)
            began = time.monotonic()
            until(lambda: is_free(server.port))
            freed = time.monotonic() - began
    return [
        figure("a worker is killed", "ours", replaced_seconds, "s until another serves", REPLACED_SECONDS_MAX),
        Figure("a worker stands still", "ours", replaced, "s until another serves, limit 5 s", at_most=8.0),
        *failures("beside one that stands still", beside),
        Figure("beside one that stands still", "ours", beside.wait_seconds(0.99) * 1000, "ms to first byte, p99"),
        Figure("the master is killed", "ours", freed, "s until the port is free", at_most=FREE_SECONDS_MAX),
    ]


def beside_large() -> list[Figure]:
    """Others while one of two workers has bodies of 50 MB to compress, those included whose connections it has."""
    kinds = [kind for kind in LOAD if kind[0].request is not STREAMED]
    bodies = [large_body(50, 1_000_000, number) for number in range(LARGE_BODIES)]
    with (
        serving(HEADROOM_WORKERS="2") as server,
        Caller(server.port, timeout_seconds=60) as large,
        constant_load(server.port, kinds) as outcome,
    ):
        for each in bodies:
            if large.ask("POST", "/v1/messages", (), each).status != 200:
                raise RuntimeError("a large body was not answered")
    measured = "beside bodies of 50 MB"
    wait_ms = outcome.wait_seconds(0.99) * 1000
    return [
        *failures(measured, outcome),
        Figure(measured, "ours", wait_ms, "ms to first byte, p99", at_most=BESIDE_MS_MAX),
    ]


def idle_first(rounds: int) -> list[Figure]:
    """Of four workers, those that have a stream each leave the next connection to one that has nothing."""
    right = 0
    with serving(HEADROOM_WORKERS="4") as server:
        for _ in range(rounds):
            until(lambda: sum(each["in_flight"] == 0 for each in workers(server).values()) == 4)
            with ExitStack() as held:
                for _ in range(3):
                    streaming = held.enter_context(Caller(server.port))
                    streaming.write(STREAMED)
                    streaming.begin()
                idle = [pid for pid, each in workers(server).items() if not each["in_flight"]]
                with Caller(server.port) as caller:
                    right += caller.ask("GET", "/health").json()["worker"]["pid"] in idle
    measured = f"{rounds} new connections"
    return [Figure(measured, "ours", right / rounds, "part taken by idle workers", at_least=IDLE_FIRST_PART_MIN)]


def spread(seconds: float) -> list[Figure]:
    """Requests of the busiest of four workers, as a multiple of the mean."""
    figures = []
    with serving(HEADROOM_WORKERS="4") as server:
        for kind, count in SHARERS:
            before = workers(server)
            with constant_load(server.port, [(kind, count)]) as outcome:
                time.sleep(seconds)
            served = [each["requests"] - before[pid]["requests"] for pid, each in workers(server).items()]
            ratio = max(served) / (sum(served) / len(served))
            figures += failures(kind.name, outcome)
            figures.append(Figure(kind.name, "ours", ratio, "times the mean", at_most=SPREAD_BAR))
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.lifecycle", description=__doc__)
    parser.add_argument("--reloads", type=int, default=10)
    parser.add_argument("--recycles", type=int, default=100)
    parser.add_argument("--spread-seconds", type=float, default=3.0)
    given = parser.parse_args()
    figures = [
        *change("reload", reloads, given.reloads, HEADROOM_WORKERS="2"),
        *change("worker at its limit", recycles, given.recycles, HEADROOM_WORKERS="2", HEADROOM_MAX_REQUESTS="100"),
        *change("upgrade in place", upgrade, 1, HEADROOM_WORKERS="2"),
        *change("stop", stop, 1, HEADROOM_WORKERS="2"),
        *change("reload in two seconds", storm, 20, HEADROOM_WORKERS="2"),
        *change("stop within a reload", stop_in_reload, 1, HEADROOM_WORKERS="2"),
        *deaths(),
        *beside_large(),
        *idle_first(IDLE_FIRST_ROUNDS),
        *spread(given.spread_seconds),
    ]
    print(table(figures))
    keep("lifecycle", figures)
    return 0 if all(each.meets_bar for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
