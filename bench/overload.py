"""`python -m bench.overload`: what happens when more requests come than are taken on.

One worker takes SLOTS requests at once, and the upstream needs UPSTREAM_SECONDS for each. Clients ask at half of what
that makes, at twice and at four times, each request on its own clock whether or not earlier ones are answered. Accepted
requests may take twice as long at most; the others are refused at once, with `retry-after`.
"""

import asyncio
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import uvloop
from msgspec import Struct

from bench.driver import post
from bench.figures import Figure, keep, table
from bench.processes import free_port
from bench.stacks import ours

SLOTS = 20
UPSTREAM_SECONDS = 0.2
CAPACITY_PER_SECOND = SLOTS / UPSTREAM_SECONDS
MEASURED_SECONDS = 6.0
REFUSAL_MS_MAX = 5.0
SLOWER_MAX = 2.0
ADDED_MS_MAX = 300.0
"""The deadline of compression."""
REQUEST = post("/v1/messages", b'{"model":"m","messages":[{"role":"user","content":"hi"}]}', [("connection", "close")])
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Answered(Struct):
    """One request: its status, its milliseconds, whether a refusal said when to come back."""

    status: int
    ms: float
    says_when: bool


class Place(Struct):
    """Where the upstream is."""

    url: str


async def slow_upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
            await asyncio.sleep(UPSTREAM_SECONDS)
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):  # the client left, or all is over
        writer.close()


async def ask(port: int) -> Answered:
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    data = await reader.read()
    writer.close()
    status = int(data[9:12])
    return Answered(status, (time.monotonic() - began) * 1000, b"\r\nretry-after:" in data.lower())


async def offered(port: int, per_second: float) -> list[Answered]:
    """As many requests as that, each at its time."""
    loop = asyncio.get_running_loop()
    began, asked = loop.time(), []
    for number in range(int(per_second * MEASURED_SECONDS)):
        await asyncio.sleep(max(0.0, began + number / per_second - loop.time()))
        asked.append(loop.create_task(ask(port)))
    return list(await asyncio.gather(*asked))


def percentile(samples: list[float], part: float) -> float:
    return sorted(samples)[int((len(samples) - 1) * part)]


def judged(times: float, answers: list[Answered], unloaded_ms: float) -> list[Figure]:
    name = f"{times:g} x what is taken on"
    accepted = [each.ms for each in answers if each.status == 200]
    refused = [each for each in answers if each.status == 503]
    others = len(answers) - len(accepted) - len(refused)
    silent = sum(not each.says_when for each in refused)
    refusal_ms = median(each.ms for each in refused) if refused else 0.0
    slower = percentile(accepted, 0.99) / unloaded_ms
    return [
        Figure(name, "ours", len(refused) / len(answers), "part refused"),
        Figure(name, "ours", slower, "times the unloaded p99, p99 accepted", at_most=SLOWER_MAX),
        Figure(
            name, "ours", percentile(accepted, 0.95) - UPSTREAM_SECONDS * 1000, "ms added, p95", at_most=ADDED_MS_MAX
        ),
        Figure(name, "ours", refusal_ms, "ms to a refusal, median", at_most=REFUSAL_MS_MAX),
        Figure(name, "ours", float(others + silent), "other answers, or none when to come back", at_most=0),
    ]


async def measured(port: int, upstream: socket.socket) -> list[Figure]:
    async with await asyncio.start_server(slow_upstream, sock=upstream):
        unloaded = await offered(port, CAPACITY_PER_SECOND / 2)
        unloaded_ms = percentile([each.ms for each in unloaded], 0.99)
        figures = [Figure("half of what is taken on", "ours", unloaded_ms, "ms p99")]
        for times in (2.0, 4.0):
            figures += judged(times, await offered(port, CAPACITY_PER_SECOND * times), unloaded_ms)
    return figures


def main() -> int:
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        upstream = socket.create_server(("127.0.0.1", free_port()), backlog=1024)
        place = Place(f"http://127.0.0.1:{upstream.getsockname()[1]}")
        server = running.enter_context(ours(place, folder, HEADROOM_WORKERS="1", HEADROOM_LIMIT_CONCURRENCY=str(SLOTS)))
        figures = uvloop.run(measured(server.port, upstream))
    print(table(figures))
    keep("overload", figures)
    return 0 if all(each.meets_bar for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
