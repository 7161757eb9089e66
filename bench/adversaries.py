"""`python -m bench.adversaries`: what odd and hostile bodies cost a worker, and what others notice of them.

Each shape of tests/fakes/shapes.py at several sizes, in the words of the four APIs, against one worker. All the while
another process asks /livez, and a third sends small requests with new results. Then come many at once: unfinished
WebSocket messages, coded bodies that inflate, and /v1/compress. Bars:

* planning of a request, new or another's, takes the deadline and 200 ms at most (from `server-timing`);
* 99 of 100 answers of /livez take 50 ms at most;
* memory rises by the limit of what is remembered and three times the bodies in flight at most;
* CPU grows with the size: four times the bytes take six times the time at most.

Prints a line for each shape, with its worst cell, and then the worst of all.
"""

import argparse
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
from backports import zstd

from bench.driver import post
from bench.figures import Figure, keep, table
from bench.memory import status_bytes
from bench.processes import Server, cpu_ns
from bench.stacks import canned, ours
from tests.fakes.client import Answer, Caller
from tests.fakes.shapes import APIS, SHAPES, body
from tests.fakes.sockets import HANDSHAKE
from tests.fakes.upstream import running
from tests.fakes.websocket import Sockets, listen

MIB = 1 << 20
SIZES = (100_000, 1_000_000, 4_000_000, 16_000_000, 64_000_000)
PLAN_MS_MAX = 500.0
"""The deadline of 300 ms and 200 more."""
ALIVE_MS_MAX = 50.0
BYTES_PER_BYTE_MAX = 3.0
GROWTH_MAX = 6.0
GROWTH_CPU_MS_MIN = 200.0
"""Less CPU than this says nothing about growth."""
MEMO_BYTES = 64 * MIB
POLL_SECONDS = 0.005
NEIGHBOUR_SIZES = (4_000, 100_000)
"""One that is planned on the loop, and one that takes the planner's thread."""
TIMEOUT_SECONDS = 120.0

AT_ONCE = {
    "HEADROOM_BODY_BYTES_IN_FLIGHT_MAX": "128MiB",
    "HEADROOM_BODY_BYTES_MAX": "64MiB",
}
IN_FLIGHT_BYTES = 128 * MIB


class Cell(msgspec.Struct, frozen=True):
    """What one request showed: its planning and CPU, and the memory it took above rest for each of its bytes."""

    api: str
    size_bytes: int
    plan_ms: float
    cpu_ms: float
    rise_bytes: int
    decision: str

    @property
    def bytes_per_byte(self) -> float:
        return max(0.0, (self.rise_bytes - MEMO_BYTES) / self.size_bytes)


class Row(msgspec.Struct, frozen=True):
    """A shape: its cells, and what others noticed in milliseconds."""

    shape: str
    cells: tuple[Cell, ...]
    alive: tuple[float, ...]
    neighbours: tuple[float, ...]
    survived: bool

    @property
    def growth(self) -> float:
        """How many times the CPU the last two sizes differ by, 0.0 where there is too little to tell."""
        small, large = self.cells[-2:] if len(self.cells) > 1 else (self.cells[0], self.cells[0])
        if large.cpu_ms < GROWTH_CPU_MS_MIN or small is large:
            return 0.0
        return large.cpu_ms / max(small.cpu_ms, 1.0) * 4 * small.size_bytes / large.size_bytes


def percentile(samples: Sequence[float], part: float) -> float:
    return sorted(samples)[int((len(samples) - 1) * part)] if samples else 0.0


def timing_ms(answer: Answer, *names: str) -> float:
    """The sum of our phases in `server-timing`, in milliseconds."""
    found = dict(re.findall(r"headroom-(\w+);dur=([\d.]+)", answer.header("server-timing")))
    return sum(float(found.get(name, 0)) for name in names)


def sent(port: int, request: bytes) -> Answer:
    with Caller(port, timeout_seconds=TIMEOUT_SECONDS) as caller:
        caller.write(request)
        return caller.answer("POST")


def watch(port: int, neighbour: bool) -> None:
    """Ask until standard input ends; print the waits for /livez, or a neighbour's planning, in milliseconds."""
    number = os.getpid() * 1_000_000
    with Caller(port, timeout_seconds=TIMEOUT_SECONDS) as caller:
        while not select.select([sys.stdin], [], [], POLL_SECONDS * (4 if neighbour else 1))[0]:
            number += 1
            began = time.monotonic()
            if neighbour:
                size_bytes = NEIGHBOUR_SIZES[number % len(NEIGHBOUR_SIZES)]
                caller.write(post(APIS["anthropic"].target, body("anthropic", "numbered file", size_bytes, number)))
                print(timing_ms(caller.answer("POST"), "plan", "limits"), flush=True)
            else:
                caller.ask("GET", "/livez")
                print((time.monotonic() - began) * 1000, flush=True)


@contextmanager
def watching(server: Server) -> Iterator[tuple[list[float], list[float]]]:
    """What others notice while the block runs: waits for /livez, and planning of a neighbour's new results."""
    noticed: tuple[list[float], list[float]] = ([], [])
    with ExitStack() as stack:
        watchers = []
        for flag in ("--alive", "--neighbour"):
            arguments = [sys.executable, "-m", "bench.adversaries", flag, str(server.port)]
            watcher = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            watchers.append(stack.enter_context(watcher))
        for watcher in watchers:
            assert watcher.stdout is not None
            watcher.stdout.readline()  # it is there
        yield noticed
        for waits, watcher in zip(noticed, watchers, strict=True):
            printed, _ = watcher.communicate(timeout=TIMEOUT_SECONDS)
            waits += map(float, printed.split())


@contextmanager
def serving() -> Iterator[Server]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        upstream = stack.enter_context(canned(folder))
        yield stack.enter_context(ours(upstream, folder, HEADROOM_WORKERS="1"))


@contextmanager
def peak(worker: int) -> Iterator[Callable[[], int]]:
    """How far resident memory has risen above what it was, at its highest."""
    before = status_bytes(worker, "VmRSS")
    Path(f"/proc/{worker}/clear_refs").write_text("5")  # the high-water mark begins again
    yield lambda: status_bytes(worker, "VmHWM") - before


def cell(server: Server, worker: int, shape: str, api: str, size_bytes: int) -> Cell:
    """Texts of another size or API are others, so that nothing is known of them yet."""
    request = post(APIS[api].target, body(api, shape, size_bytes, size_bytes + list(APIS).index(api)))
    with peak(worker) as risen:
        began_ns = cpu_ns(worker)
        answer = sent(server.port, request)
        took_ms = (cpu_ns(worker) - began_ns) / 1e6
        rise_bytes = risen()
    assert answer.status == 200, (shape, api, size_bytes, answer.status, answer.body[:300])
    plan_ms = timing_ms(answer, "plan", "limits")
    return Cell(api, len(request), plan_ms, took_ms, rise_bytes, answer.header("x-headroom-decision"))


def measured(shape: str, sizes: Sequence[int], apis: Sequence[str], number: int) -> Row:
    """All sizes of a shape on one server: one of the APIs at all of them, each of the others at 1 MB."""
    mine = apis[number % len(apis)]
    cells: list[Cell] = []
    with serving() as server:
        (worker,) = server.worker_pids
        sent(server.port, post(APIS["anthropic"].target, body("anthropic", "results", 200_000, 1)))  # warm
        with watching(server) as (alive, neighbours):
            cells += [cell(server, worker, shape, api, 1_000_000) for api in apis if api != mine]
            cells += [cell(server, worker, shape, mine, size_bytes) for size_bytes in sizes]
        survived = server.worker_pids == [worker]
    return Row(shape, tuple(cells), tuple(alive), tuple(neighbours), survived)


def line(row: Row) -> str:
    slowest = max(row.cells, key=lambda each: each.plan_ms)
    heaviest = max(row.cells, key=lambda each: each.bytes_per_byte)
    return (
        f"{row.shape:<22} plan {slowest.plan_ms:6.0f} ms ({slowest.api}, {slowest.size_bytes / 1e6:.1f} MB)"
        f"  livez p99 {percentile(row.alive, 0.99):5.0f} ms  neighbour {max(row.neighbours, default=0):6.0f} ms"
        f"  memory {heaviest.bytes_per_byte:4.1f} x  cpu x4 {row.growth:4.1f}"
        f"{'' if row.survived else '  THE WORKER WAS REPLACED'}"
    )


def figures_of(rows: Sequence[Row]) -> list[Figure]:
    """The worst of all shapes, each figure with the shape's name."""
    slowest = max(rows, key=lambda row: max(each.plan_ms for each in row.cells))
    deaf = max(rows, key=lambda row: percentile(row.alive, 0.99))
    waited = max(rows, key=lambda row: max(row.neighbours, default=0))
    heaviest = max(rows, key=lambda row: max(each.bytes_per_byte for each in row.cells))
    steepest = max(rows, key=lambda row: row.growth)
    replaced = sum(not row.survived for row in rows)
    return [
        Figure(f"planning: {slowest.shape}", "ours", max(each.plan_ms for each in slowest.cells), "ms", PLAN_MS_MAX),
        Figure(f"/livez: {deaf.shape}", "ours", percentile(deaf.alive, 0.99), "ms p99", ALIVE_MS_MAX),
        Figure(f"a neighbour: {waited.shape}", "ours", max(waited.neighbours, default=0), "ms", PLAN_MS_MAX),
        Figure(
            f"memory: {heaviest.shape}",
            "ours",
            max(each.bytes_per_byte for each in heaviest.cells),
            "bytes/byte",
            BYTES_PER_BYTE_MAX,
        ),
        Figure(f"CPU of 4 x the bytes: {steepest.shape}", "ours", steepest.growth, "x", GROWTH_MAX),
        Figure("workers lost", "ours", replaced, "", 0),
    ]


def at_once(name: str, requests: Sequence[Callable[[int], object]]) -> list[Figure]:
    """All requests at the same time, each on a connection of its own: memory, /livez, and a neighbour."""
    with running() as upstream, tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        Sockets(upstream, listen)
        server = stack.enter_context(ours(upstream, Path(folder), HEADROOM_WORKERS="1", **AT_ONCE))
        (worker,) = server.worker_pids
        with watching(server) as (alive, neighbours), peak(worker) as risen, ThreadPoolExecutor(len(requests)) as pool:
            list(pool.map(lambda ask: ask(server.port), requests))
            rise_bytes = risen()
    allowed = (MEMO_BYTES + BYTES_PER_BYTE_MAX * IN_FLIGHT_BYTES) / MIB
    return [
        Figure(name, "ours", rise_bytes / MIB, "MiB", allowed),
        Figure(name, "ours", percentile(alive, 0.99), "ms p99 of /livez", ALIVE_MS_MAX),
        Figure(name, "ours", max(neighbours, default=0), "ms of a neighbour", PLAN_MS_MAX),
    ]


def unfinished_message(port: int) -> None:
    """A WebSocket message of 15 MB in fragments, without its end; held for two seconds, or until it is refused."""
    fragment = b"\x7f" + (MIB).to_bytes(8, "big")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
        peer.sendall(HANDSHAKE)
        peer.recv(4096)
        try:
            for number in range(15):
                head = bytes((0x01 if number == 0 else 0x00, 0x80 | fragment[0])) + fragment[1:] + bytes(4)
                peer.sendall(head + b"a" * MIB)
            peer.settimeout(2)
            peer.recv(4096)
        except OSError:
            return


def bomb(port: int) -> None:
    request = post("/v1/messages", BOMB, [("content-encoding", "zstd")])
    sent(port, request)


def explained(port: int) -> None:
    sent(port, post("/v1/compress", body("anthropic", "results", 16_000_000)))


def _bomb() -> bytes:
    """About 1 MB that inflates to gigabytes."""
    frame = zstd.compress(bytes(16 * MIB))
    return frame * (MIB // len(frame))


BOMB = _bomb()


def all_at_once() -> list[Figure]:
    return [
        *at_once("80 unfinished messages of 15 MB", [unfinished_message] * 80),
        *at_once("30 bodies that inflate", [bomb] * 30),
        *at_once("4 x 16 MB at /v1/compress", [explained] * 4),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.adversaries", description=__doc__)
    parser.add_argument("shapes", nargs="*", help="which ones, by name (all)")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="in bytes")
    parser.add_argument("--apis", default=",".join(APIS), help="of anthropic,chat,responses,gemini (all)")
    parser.add_argument("--alive", type=int, metavar="PORT", help="ask /livez there, and nothing else")
    parser.add_argument("--neighbour", type=int, metavar="PORT", help="send small requests there, and nothing else")
    given = parser.parse_args()
    if given.alive or given.neighbour:
        watch(given.alive or given.neighbour, bool(given.neighbour))
        return 0
    rows = []
    for number, shape in enumerate(given.shapes or SHAPES):
        rows.append(measured(shape, tuple(map(int, given.sizes.split(","))), given.apis.split(","), number))
        print(line(rows[-1]), flush=True)
    figures = figures_of(rows) + ([] if given.shapes else all_at_once())
    print(table(figures))
    keep("adversaries", figures)
    return 0 if all(each.meets_bar for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
