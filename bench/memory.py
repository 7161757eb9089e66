"""Memory of a worker for what it has in hand: per open stream, and per byte of a large body on its way."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import uvloop

from bench.bodies import LARGE_TARGET
from bench.canned import STREAM_SECONDS
from bench.driver import connect, post
from bench.figures import Figure, figure
from bench.processes import Server, pss_bytes
from bench.stacks import side_by_side
from bench.streams import REQUEST

STREAMS = 500
STREAM_BAR_KIB = 64.0
BODY_BYTES = 15_000_000
BODY_ROUNDS = 3
BODY_BAR_BYTES = 2.5
WARM_UP = 20


def memory(names: tuple[str, ...], say: Callable[[str], None]) -> list[Figure]:
    """Servers one after the other, each with one worker."""
    image = b'{"type":"image","source":{"type":"base64","media_type":"image/png","data":"%b"}}' % (
        b"iVBO" * (BODY_BYTES // 4)
    )
    request = post(LARGE_TARGET, b'{"model":"m","messages":[{"role":"user","content":[%b]}]}' % image)
    figures: list[Figure] = []
    with side_by_side(tuple(name for name in names if name != "nginx"), say) as servers:
        for name, server in servers.items():
            if name == "direct":
                continue
            ours = name == "ours"
            per_stream = uvloop.run(kib_per_stream(server))
            figures.append(
                figure("memory of an open stream", name, [per_stream], "KiB PSS", STREAM_BAR_KIB if ours else None)
            )
            per_byte = uvloop.run(peak_per_byte(server, request))
            figures.append(
                figure(
                    "peak memory for a body of 15 MB", name, per_byte, "bytes/byte", BODY_BAR_BYTES if ours else None
                )
            )
    return figures


async def kib_per_stream(server: Server) -> float:
    """What the worker has more of in the midst of all streams than before the first."""
    (worker,) = server.worker_pids
    await asyncio.gather(*(one_stream(server.port) for _ in range(WARM_UP)))
    before = pss_bytes(worker)
    streams = [asyncio.ensure_future(one_stream(server.port)) for _ in range(STREAMS)]
    await asyncio.sleep(0.6 * STREAM_SECONDS)
    during = pss_bytes(worker)
    await asyncio.gather(*streams)
    return (during - before) / STREAMS / 1024


async def one_stream(port: int) -> None:
    client = await connect(port)
    try:
        await client.ask(REQUEST)
    finally:
        client.transport.close()


async def peak_per_byte(server: Server, request: bytes) -> list[float]:
    """How far above its rest the worker's resident memory rises while it relays a large body, for each byte of it.

    Rest is what it has before the first one: what it keeps for the next counts each time.
    """
    (worker,) = server.worker_pids
    client = await connect(server.port)
    rises = []
    before = status_bytes(worker, "VmRSS")
    for _ in range(BODY_ROUNDS):
        await asyncio.sleep(0.2)
        Path(f"/proc/{worker}/clear_refs").write_text("5")  # the high-water mark begins again at what is in use
        await client.ask(request)
        rises.append((status_bytes(worker, "VmHWM") - before) / len(request))
    client.transport.close()
    return rises


def status_bytes(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found, name
    return int(found[1]) * 1024
