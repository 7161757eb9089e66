"""`python -m bench.store`: what limits admit, and what requests wait while the Redis that they are kept in is away.

Two servers with the same limits take turns, RATE_PER_SECOND requests each on its own time: one keeps its limits in
Redis, the other in a file. Redis is there, then ended, then back, and paused by a signal; the breaker is open before
requests are measured. Then more requests than a limit of 600 a minute come to four workers, and to two servers.
"""

import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct

from bench.figures import Figure, keep, table
from bench.processes import Server
from bench.stacks import ours
from tests.store.servers import BINARY, RedisServer

RATE_PER_SECOND = 150
ROUND_SECONDS = 2.0
ROUNDS = 5
ADDED_MS_MAX = 5.0
LIMIT = 600
LIMIT_SHARE_MIN = 0.99
CLIENTS = 8
WAIT_SECONDS = 20.0
LIMITS = {"HEADROOM_RPM": "1000000", "HEADROOM_TPM": "1000000000", "HEADROOM_CALLER_CONCURRENCY": "100"}
REQUEST = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\ncontent-length: 2\r\n\r\n{}"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Place(Struct):
    """Where the upstream is."""

    url: str


class Client:
    """One connection that is kept."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes = REQUEST) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return int(head[9:12]), await reader.readexactly(length)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An upstream that has its answer ready."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0))
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        writer.close()


async def scope(server: Server, wanted: str, clients: list[Client]) -> None:
    """Wait until all workers share limits with whom is wanted; ask meanwhile, since requests find it out."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        await asyncio.gather(*(client.ask() for client in clients))
        stats = Client(server.port)
        _, body = await stats.ask(b"GET /stats HTTP/1.1\r\nhost: localhost\r\n\r\n")
        stats.close()
        if set(msgspec.json.decode(body)["store"]["workers_by_scope"]) == {wanted}:
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"limits did not come to hold for: {wanted}")


async def round_of(clients: list[Client], failures: Counter[int]) -> list[float]:
    """Milliseconds of requests that each have their time, whether or not earlier ones are answered."""

    async def one(client: Client) -> float:
        began = time.perf_counter()
        status, _ = await client.ask()
        if status != 200:
            failures[status] += 1
        return (time.perf_counter() - began) * 1000

    async def in_turn(client: Client, first: int) -> list[float]:
        took = []
        for number in range(first, int(RATE_PER_SECOND * ROUND_SECONDS), len(clients)):
            await asyncio.sleep(max(0.0, start + number / RATE_PER_SECOND - time.perf_counter()))
            took.append(await one(client))
        return took

    start = time.perf_counter()
    several = await asyncio.gather(*(in_turn(client, number) for number, client in enumerate(clients)))
    return [ms for some in several for ms in some]


def p99(samples: list[float]) -> float:
    return sorted(samples)[int((len(samples) - 1) * 0.99)]


async def compared(name: str, shared: list[Client], alone: list[Client]) -> list[Figure]:
    """The p99 with Redis beside that without it, in rounds that take turns."""
    samples: dict[str, list[float]] = {"with": [], "without": []}
    failures: Counter[int] = Counter()
    for _ in range(ROUNDS):
        samples["with"] += await round_of(shared, failures)
        samples["without"] += await round_of(alone, failures)
    with_ms, without_ms = p99(samples["with"]), p99(samples["without"])
    bar = None if name == "Redis is there" else ADDED_MS_MAX
    return [
        Figure(name, "ours", with_ms, "ms p99"),
        Figure(name, "ours", without_ms, "ms p99 without Redis"),
        Figure(name, "ours", with_ms - without_ms, "ms added at p99", at_most=bar),
        Figure(name, "ours", with_ms / without_ms, "times the p99 without Redis"),
        Figure(name, "ours", float(failures.total()), "requests that failed", at_most=0),
    ]


async def outages(redis: RedisServer, shared: Server, alone: Server) -> list[Figure]:
    both = [[Client(server.port) for _ in range(CLIENTS)] for server in (shared, alone)]
    with_redis = both[0]
    await scope(shared, "fleet", with_redis)
    figures = await compared("Redis is there", *both)
    redis.stop()
    await scope(shared, "machine", with_redis)
    figures += await compared("Redis is gone, the breaker open", *both)
    redis.start()
    await scope(shared, "fleet", with_redis)
    redis.send(signal.SIGSTOP)
    await scope(shared, "machine", with_redis)
    figures += await compared("Redis is paused, the breaker open", *both)
    redis.send(signal.SIGCONT)
    await scope(shared, "fleet", with_redis)
    for client in (*both[0], *both[1]):
        client.close()
    return figures


async def admitted(name: str, servers: list[Server]) -> list[Figure]:
    """How many of more requests than the limit are let in, all within its minute."""
    statuses: Counter[int] = Counter()
    clients = [Client(servers[number % len(servers)].port) for number in range(CLIENTS)]

    async def ask(client: Client) -> None:
        for _ in range(LIMIT // CLIENTS + 25):
            statuses[(await client.ask())[0]] += 1

    began = time.monotonic()
    await asyncio.gather(*map(ask, clients))
    seconds = time.monotonic() - began
    for client in clients:
        client.close()
    return [
        Figure(name, "ours", statuses[200], f"let in of {statuses.total()}", LIMIT, LIMIT * LIMIT_SHARE_MIN),
        Figure(name, "ours", seconds, "seconds for all of them", at_most=60.0),
    ]


@contextlib.asynccontextmanager
async def upstream() -> AsyncIterator[Place]:
    server = await asyncio.start_server(answering, "127.0.0.1", 0)
    async with server:
        yield Place(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")


async def measured(folder: Path, redis: RedisServer) -> list[Figure]:
    async with upstream() as place:
        figures = []
        with serving(place, folder) as serve:
            shared, alone = serve(HEADROOM_REDIS_URL=redis.url, **LIMITS), serve(**LIMITS)
            figures += await outages(redis, shared, alone)
        rpm = {"HEADROOM_RPM": str(LIMIT)}
        with serving(place, folder) as serve:
            figures += await admitted("600 a minute, 4 workers", [serve(HEADROOM_WORKERS="4", **rpm)])
        with serving(place, folder) as serve:
            pair = [serve(HEADROOM_REDIS_URL=redis.url, **rpm) for _ in range(2)]
            figures += await admitted("600 a minute, 2 servers", pair)
    return figures


@contextlib.contextmanager
def serving(place: Place, folder: Path) -> Iterator[Callable[..., Server]]:
    """A function that starts servers of two workers, each with its own directory, ended with the block."""
    with contextlib.ExitStack() as running:

        def serve(**settings: str) -> Server:
            own = Path(running.enter_context(tempfile.TemporaryDirectory(dir=folder)))
            return running.enter_context(ours(place, own, **{"HEADROOM_WORKERS": "2", **settings}))

        yield serve


def main() -> int:
    if not BINARY:
        sys.exit("redis-server is not installed (Debian: redis-server)")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        redis = RedisServer(Path(folder))
        try:
            figures = uvloop.run(measured(Path(folder), redis))
        finally:
            redis.stop()
    print(table(figures))
    keep("store", figures)
    return 0 if all(each.meets_bar for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
