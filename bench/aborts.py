"""`python -m bench.aborts`: clients that leave, in every phase of a request, and what that leaves behind: nothing.

Each request is followed to its phase, then its client leaves, by FIN or RST. Measured is how long it takes until the
upstream sees its own connection end. At the end no upstream connection may be open, no request in progress, and all
that the worker may hold at once must be there to be held: upstream connections, requests, bytes of bodies.
"""

import argparse
import asyncio
import random
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.request import urlopen

import msgspec

from bench.figures import Figure, keep, table
from bench.processes import Server
from bench.stacks import ours
from tests.fakes.exchange import Request
from tests.fakes.scripts import SSE, Script, chunk, head, last_chunk
from tests.fakes.upstream import Upstream, running

CONNECTIONS_MAX = 100
CLIENTS = 40
BODIES_BYTES_MAX = 8 << 20
SETTINGS = {
    "HEADROOM_WORKERS": "1",
    "HEADROOM_ACCESS_LOG": "false",
    "HEADROOM_MAX_CONNECTIONS": str(CONNECTIONS_MAX),
    "HEADROOM_MAX_KEEPALIVE": str(CONNECTIONS_MAX),
    "HEADROOM_LIMIT_CONCURRENCY": str(CONNECTIONS_MAX),
    "HEADROOM_BODY_BYTES_MAX": str(BODIES_BYTES_MAX),
    "HEADROOM_BODY_BYTES_IN_FLIGHT_MAX": str(BODIES_BYTES_MAX),
}
EVENT = b'event: ping\ndata: {"type": "ping"}\n\n'
BODY = b'{"model":"m","messages":[],"pad":"' + b"x" * 60_000 + b'"}'
BEGUN = head(200, (*SSE, ("transfer-encoding", "chunked")))
STALL = ("stall",)
ANSWERS: dict[str, Script] = {
    "before the answer": Script((STALL,)),
    "before its first byte": Script((("send", BEGUN), STALL)),
    "in the stream": Script((("send", BEGUN + chunk(EVENT)), STALL)),
    "anywhere": Script((("send", BEGUN + chunk(EVENT)), STALL)),
    "held": Script((("send", BEGUN + chunk(EVENT)), ("hold", "all"), ("send", last_chunk()))),
}
PHASES = ("sending the body", "before the answer", "before its first byte", "in the stream", "anywhere")
LIMIT_SECONDS = 20.0
POLL_SECONDS = 0.002
BAR_MS = 1000.0


class Storm:
    """The requests of one run, and when the client of each left."""

    def __init__(self, server: Server, upstream: Upstream) -> None:
        self.server = server
        self.upstream = upstream
        self.left_at: dict[int, tuple[str, float]] = {}
        self._seen: dict[int, Request] = {}
        self._looked_at = 0
        upstream.answer = lambda request: ANSWERS[phase_of(request)]

    async def run(self, count: int) -> None:
        """`count` requests, every phase as often as the others."""
        numbers = iter(range(count))
        async with asyncio.TaskGroup() as group:
            for _ in range(min(CLIENTS, count)):
                group.create_task(self.leave_again_and_again(numbers))
        async with asyncio.timeout(LIMIT_SECONDS):
            while self.upstream.open_connections or in_flight(self.server):
                await asyncio.sleep(0.02)

    async def leave_again_and_again(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            async with asyncio.timeout(LIMIT_SECONDS):
                await self.leave(number, random.Random(number))

    async def leave(self, number: int, chance: random.Random) -> None:
        """One request up to its phase, and the end of its client."""
        phase = PHASES[number % len(PHASES)]
        sending = phase == PHASES[0]
        path = chance.choice(("/v1/messages", "/v1/files"))
        target = f"{path}?n={number}&phase={PHASES.index(phase)}"
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        request = f"POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(BODY)}\r\n\r\n".encode() + BODY
        writer.write(request[: chance.randrange(200, len(request) - 1)] if sending else request)
        if phase == "anywhere":
            await asyncio.sleep(chance.random() * 0.01)
        elif phase in ("before its first byte", "in the stream"):
            begun = await reader.readuntil(b"\r\n\r\n")
            assert begun.startswith(b"HTTP/1.1 200 "), begun
            if phase == "in the stream":
                await reader.readuntil(EVENT)
        elif not sending or path == "/v1/files":  # a conversation goes up when it is complete, not before
            while not self.arrived(number, complete=not sending):
                await asyncio.sleep(POLL_SECONDS)
        if chance.random() < 0.5:
            peer: socket.socket = writer.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        self.left_at[number] = phase, time.monotonic()

    def arrived(self, number: int, complete: bool) -> bool:
        self.look()
        request = self._seen.get(number)
        return request is not None and (request.complete or not complete)

    def look(self) -> dict[int, Request]:
        """All requests that the upstream saw, by their number."""
        while self._looked_at < len(self.upstream.requests):
            request = self.upstream.requests[self._looked_at]
            self._seen[number_of(request)] = request
            self._looked_at += 1
        return self._seen

    def waits_ms(self) -> dict[str, list[float]]:
        """From a client's end to the end of its upstream connection, by phase, for requests that had one."""
        found: dict[str, list[float]] = {phase: [] for phase in PHASES}
        connections = {each.number: each for each in self.upstream.connections}
        for number, request in self.look().items():
            phase, left_at = self.left_at[number]
            ended_at = connections[request.connection].peer_left_at
            assert ended_at is not None, "a connection that is still open"
            found[phase].append(max(0.0, ended_at - left_at) * 1000)
        return found


def phase_of(request: Request) -> str:
    return [*PHASES, "held"][int(request.target.rpartition("phase=")[2])]


def number_of(request: Request) -> int:
    return int(request.target.partition("n=")[2].partition("&")[0])


def numbers_of(server: Server) -> Any:
    with urlopen(f"{server.url}/stats", timeout=LIMIT_SECONDS) as answer:
        return msgspec.json.decode(answer.read())


def in_flight(server: Server) -> int:
    return int(numbers_of(server)["requests"]["in_flight"])


async def capacity(server: Server, upstream: Upstream) -> int:
    """How many of CONNECTIONS_MAX streams the one worker serves at once, and whether bodies have all their room."""
    target = f"/v1/messages?n=0&phase={len(PHASES)}"
    held = f"POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}".encode()
    peers = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(CONNECTIONS_MAX)]
    begun = 0
    for _, writer in peers:
        writer.write(held)
    for reader, _ in peers:
        async with asyncio.timeout(LIMIT_SECONDS):
            begun += EVENT in await reader.readuntil(b"\n\n")
    upstream.release("all")
    for reader, writer in peers:
        await reader.readuntil(b"0\r\n\r\n")
        writer.transport.abort()
    whole = b"x" * BODIES_BYTES_MAX
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(held.replace(b"length: 2", b"length: %d" % len(whole))[:-2] + whole)
    status = (await reader.readline()).split()[1]
    writer.transport.abort()
    return begun if status == b"200" else 0


def aborted(server: Server, upstream: Upstream, count: int) -> list[Figure]:
    """What `count` aborted requests left behind in a server with SETTINGS before this upstream."""
    storm = Storm(server, upstream)
    asyncio.run(storm.run(count))
    figures = []
    for phase, waits in storm.waits_ms().items():
        figures.append(
            Figure(f"left {phase}", "ours", quantiles(waits, n=100, method="inclusive")[98], "ms to the upstream, p99")
        )
        figures.append(Figure(f"left {phase}", "ours", max(waits), "ms to the upstream, longest", at_most=BAR_MS))
    name, gone = f"{count} aborts", numbers_of(server)["requests"]["by_outcome"].get("client_gone", 0)
    return [
        *figures,
        Figure(name, "ours", float(upstream.open_connections), "connections open", at_most=0),
        Figure(name, "ours", float(in_flight(server)), "requests in flight", at_most=0),
        Figure(name, "ours", float(gone), "counted as client_gone", at_least=count, at_most=count),
        Figure(
            name,
            "ours",
            float(asyncio.run(capacity(server, upstream))),
            "streams at once",
            CONNECTIONS_MAX,
            CONNECTIONS_MAX,
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.aborts", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        running() as upstream,
        ours(upstream, Path(folder), **SETTINGS) as server,
    ):
        began = time.monotonic()
        figures = aborted(server, upstream, given.count)
        seconds = time.monotonic() - began
        log = server.log.read_text()
    figures.append(Figure("tracebacks in the log", "ours", float(log.count("Traceback")), "", at_most=0))
    figures.append(Figure("all of it", "ours", seconds, "s"))
    print(table(figures))
    keep("aborts", figures)
    return 0 if all(each.meets_bar for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
