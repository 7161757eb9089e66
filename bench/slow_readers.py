"""`python -m bench.slow_readers`: what clients cost that ask for a large answer and do not read it.

One worker before an upstream that sends as fast as it can. READERS clients ask at once and read nothing; then they
leave. For answers of one length, in chunks, of many small events, and for WebSockets that do not read: resident memory
for each client, and what is left of it a few seconds after the last one has gone. Memory of the kernel, in which
sockets wait too, is not the worker's.
"""

import argparse
import asyncio
import base64
import hashlib
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, cast

import uvloop

from bench.bodies import LARGE_TARGET
from bench.canned import STREAM_HEAD, chunked
from bench.driver import post
from bench.figures import Figure, keep, table
from bench.memory import status_bytes
from bench.processes import Server, cpu_ns, free_port, started
from bench.stacks import ours

READERS: Final = 1000
READER_KIB_MAX: Final = 300.0
LEFT_MIB_MAX: Final = 24.0
ANSWER_BYTES: Final = 20 << 20
KINDS: Final = ("length", "chunks", "events", "frames")
SETTLE_SECONDS: Final = 4.0
_QUIET_NS: Final = 25_000_000
_PIECE: Final = b"a" * (256 << 10)
_EVENTS: Final = chunked(b"data: 1\n\n") * 1000
_FRAME: Final = b"\x81\x7f" + (64 << 10).to_bytes(8, "big") + b"a" * (64 << 10)
_HANDSHAKE: Final = (
    b"GET /v1/responses HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Fast(asyncio.Protocol):
    """An upstream that sends an answer as fast as it is taken. The header `x-bench` says which kind."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.piece, self.left, self.is_paused = b"", 0, False

    def data_received(self, data: bytes) -> None:
        head = data.lower()
        if b"sec-websocket-key" in head:
            key = next(line for line in data.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
            accept = base64.b64encode(hashlib.sha1(key.split(b":")[1].strip() + _GUID, usedforsecurity=False).digest())
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
                b"sec-websocket-accept: %b\r\n\r\n" % accept
            )
            self.piece = _FRAME
        elif b"x-bench: events" in head:
            self.transport.write(STREAM_HEAD)
            self.piece = _EVENTS
        elif b"x-bench: chunks" in head:
            self.transport.write(STREAM_HEAD)
            self.piece = chunked(_PIECE)
        elif b"x-bench: length" in head:
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % ANSWER_BYTES)
            self.piece = _PIECE
        elif b"\r\n\r\n" in data:
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        if self.piece and not self.left:
            self.left = ANSWER_BYTES // len(self.piece)
            self._send()

    def pause_writing(self) -> None:
        self.is_paused = True

    def resume_writing(self) -> None:
        self.is_paused = False
        self._send()

    def _send(self) -> None:
        while self.left and not self.is_paused:
            self.left -= 1
            self.transport.write(self.piece)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Fast, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


@contextmanager
def fast(folder: Path) -> Iterator[Server]:
    """The upstream, in a process of its own."""
    port = free_port()
    arguments = [sys.executable, "-m", "bench.slow_readers", "--serve", str(port)]
    with started(arguments, port, folder / "fast.log", "/") as server:
        yield server


def request(kind: str) -> bytes:
    if kind == "frames":
        return _HANDSHAKE
    return post(LARGE_TARGET, b'{"model":"m","stream":true,"messages":[]}', [("x-bench", kind)])


def resting_bytes(worker: int) -> int:
    """Resident memory of a worker once it has nothing more to do."""
    before = cpu_ns(worker)
    while True:
        time.sleep(0.5)
        now = cpu_ns(worker)
        if now - before < _QUIET_NS:
            return status_bytes(worker, "VmRSS")
        before = now


def measured(server: Server, kind: str, readers: int) -> tuple[float, float]:
    """KiB for each of so many readers, and MiB that were left when they had gone."""
    (worker,) = server.worker_pids
    with ExitStack() as warm:
        ask(server.port, kind, 20, warm)
        time.sleep(0.5)
    time.sleep(SETTLE_SECONDS)
    before = resting_bytes(worker)
    with ExitStack() as held:
        ask(server.port, kind, readers, held)
        during = resting_bytes(worker)
    time.sleep(SETTLE_SECONDS)
    after = resting_bytes(worker)
    return (during - before) / readers / 1024, (after - before) / 2**20


def ask(port: int, kind: str, readers: int, held: ExitStack) -> None:
    for _ in range(readers):
        peer = held.enter_context(socket.socket())
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
        peer.connect(("127.0.0.1", port))
        peer.sendall(request(kind))


def slow_readers(readers: int, kinds: tuple[str, ...] = KINDS, **settings: str) -> list[Figure]:
    """Each kind on a server of its own."""
    figures = []
    room: dict[str, Any] = {
        "HEADROOM_WORKERS": "1",
        "HEADROOM_LIMIT_CONCURRENCY": str(2 * readers),
        "HEADROOM_MAX_CONNECTIONS": str(2 * readers),
    }
    for kind in kinds:
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as place,
            fast(Path(place)) as upstream,
            ours(upstream, Path(place), **room | settings) as server,
        ):
            kib, left = measured(server, kind, readers)
        figures.append(Figure(f"{readers} slow readers, {kind}", "ours", kib, "KiB RSS each", READER_KIB_MAX))
        figures.append(Figure(f"{readers} slow readers, {kind}", "ours", left, "MiB RSS left", LEFT_MIB_MAX))
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.slow_readers", description=__doc__)
    parser.add_argument("kinds", nargs="*", help=f"which ones, of {', '.join(KINDS)} (all)")
    parser.add_argument("--readers", type=int, default=READERS)
    parser.add_argument("--serve", type=int, metavar="PORT", help="be the upstream, and nothing else")
    given = parser.parse_args()
    if given.serve:
        uvloop.run(serve(given.serve))
        return 0
    figures = slow_readers(given.readers, tuple(given.kinds or KINDS))
    print(table(figures))
    keep("slow_readers", figures)
    return 0 if all(each.meets_bar for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
