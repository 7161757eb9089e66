"""Clients that leave, on HTTP and on sockets, with limits, budgets and leases on: every counter returns to zero."""

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from bench.processes import Server
from tests.fakes.client import Caller
from tests.fakes.exchange import Request
from tests.fakes.scripts import SSE, Script, chunk, head, last_chunk, reply
from tests.fakes.sockets import request_of, result
from tests.fakes.upstream import Upstream
from tests.fakes.websocket import Socket, Sockets
from tests.system.patience import LIMIT_SECONDS, eventually, stats

PLACES = 40
CLIENTS = 12
ABORTS_OF_A_PHASE = 30
BODY_BYTES_MAX = 8 << 20
SETTINGS = {
    "HEADROOM_WORKERS": "2",
    "HEADROOM_MAX_CONNECTIONS": str(PLACES),
    "HEADROOM_LIMIT_CONCURRENCY": str(PLACES),
    "HEADROOM_BODY_BYTES_MAX": str(BODY_BYTES_MAX),
    "HEADROOM_BODY_BYTES_IN_FLIGHT_MAX": str(BODY_BYTES_MAX),
    "HEADROOM_TOTAL_CONCURRENCY": str(PLACES),
    "HEADROOM_CALLER_CONCURRENCY": str(PLACES),
    "HEADROOM_TOTAL_TPM": "1000000000",
    "HEADROOM_TOTAL_RPM": "100000",
    "HEADROOM_BUDGET_DAY_USD": "1000000",
    "HEADROOM_CALLER_BUDGET_DAY_USD": "1000000",
}
HEAD_SENT, HALF, PLANNING, WAITING, BEGUN, STREAM, ACCOUNTED, HANDSHAKE, OPENED, FRAME, ANSWER = range(11)
PHASES = range(11)
SOCKETS = (HANDSHAKE, OPENED, FRAME, ANSWER)
HELD = len(PHASES)
EVENT = b'event: ping\ndata: {"type": "ping"}\n\n'
STREAMED = head(200, (*SSE, ("transfer-encoding", "chunked")))
WHOLE = b'{"model":"claude-sonnet-4-5","usage":{"input_tokens":7,"output_tokens":3}}'
ANSWERS = {
    BEGUN: Script((("send", STREAMED), ("stall",))),
    STREAM: Script((("send", STREAMED + chunk(EVENT)), ("stall",))),
    ACCOUNTED: reply(WHOLE, headers=(("content-type", "application/json"), ("connection", "close"))),
    HELD: Script((("send", STREAMED + chunk(EVENT)), ("hold", "all"), ("send", last_chunk()), ("close",))),
}
DELTA = '{"type":"response.output_text.delta","delta":"a"}'


def phase_of(request: Request) -> int:
    return int(request.target.rpartition("phase=")[2] or ACCOUNTED)


async def begin(socket: Socket) -> None:
    """A talk that begins an answer to each request and ends none."""
    while True:
        await socket.receive()
        await socket.send(DELTA)


def body_of(number: int) -> bytes:
    """A conversation whose results no worker has seen, large enough to be planned for a while."""
    rows = "\n".join(f"{n:6}→    value_{number}_{n % 7} = read_part({n}) + value_{n % 5}" for n in range(1, 1200))
    used = {"type": "tool_use", "id": f"toolu_{number:012}", "name": "Read", "input": {"file_path": f"{number}.py"}}
    given = [{"type": "tool_result", "tool_use_id": used["id"], "content": f"{part}\n{rows}"} for part in range(3)]
    messages = [{"role": "assistant", "content": [used]}, {"role": "user", "content": given}]
    return msgspec.json.encode({"model": "claude-sonnet-4-5", "max_tokens": 64, "stream": True, "messages": messages})


def masked(text: str) -> bytes:
    """A text frame as a client sends it, with a mask of zeros."""
    data = text.encode()
    assert 125 < len(data) < 1 << 16
    return b"\x81\xfe" + struct.pack("!H", len(data)) + bytes(4) + data


class Storm:
    """Clients that leave, each in its phase."""

    def __init__(self, server: Server, upstream: Upstream) -> None:
        self._server = server
        self._upstream = upstream
        sockets = Sockets(upstream, begin)
        opened: Any = upstream.answer
        assert sockets.opened == []

        def answer(request: Request) -> Script:
            phase = phase_of(request)
            if phase in (OPENED, FRAME, ANSWER):
                script: Script = opened(request)
                return script
            return ANSWERS.get(phase, Script((("stall",),)))

        upstream.answer = answer

    async def run(self) -> None:
        numbers = iter(range(len(PHASES) * ABORTS_OF_A_PHASE))
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(self._leave_again_and_again(numbers))

    async def _leave_again_and_again(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            async with asyncio.timeout(LIMIT_SECONDS):
                await self._leave(number, number % len(PHASES), random.Random(number))

    async def _leave(self, number: int, phase: int, chance: random.Random) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        target = f"?n={number}&phase={phase}"
        if phase in SOCKETS:
            await self._on_a_socket(reader, writer, target, number, phase, chance)
        else:
            await self._on_http(reader, writer, target, number, phase, chance)
        if chance.random() < 0.5:
            peer: socket.socket = writer.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def _on_http(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        target: str,
        number: int,
        phase: int,
        chance: random.Random,
    ) -> None:
        body = body_of(number)
        top = f"POST /v1/messages{target} HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\ncontent-length: {len(body)}\r\n\r\n"
        sent = {HEAD_SENT: b"", HALF: body[: chance.randrange(1, len(body))]}.get(phase, body)
        writer.write(top.encode() + sent)
        await writer.drain()
        if phase in (HEAD_SENT, HALF, PLANNING):
            await asyncio.sleep(chance.random() * 0.03)
        elif phase == WAITING:
            await self._arrives(number)
        else:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            if phase == STREAM:
                await reader.readuntil(EVENT)
            elif phase == ACCOUNTED:
                await reader.readexactly(len(WHOLE))

    async def _on_a_socket(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        target: str,
        number: int,
        phase: int,
        chance: random.Random,
    ) -> None:
        writer.write(
            f"GET /v1/responses{target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\nupgrade: websocket\r\n"
            "connection: Upgrade\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "sec-websocket-version: 13\r\n\r\n".encode()
        )
        if phase == HANDSHAKE:
            await self._arrives(number)
            return
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        text = "\n".join(f"{n:6}→    sum_{number} = part({n}) + {n % 5}" for n in range(1, 600))
        frame = masked(request_of([result(text, f"call_{number:012}")], max_output_tokens=64))
        if phase == FRAME:
            writer.write(frame[: chance.randrange(1, len(frame))])
            await asyncio.sleep(chance.random() * 0.01)
        elif phase == ANSWER:
            writer.write(frame)
            if chance.random() < 0.5:
                await reader.readuntil(b"response.output_text.delta")

    async def _arrives(self, number: int) -> None:
        """Return once the upstream has the request."""
        sign = f"?n={number}&"
        while not any(sign in request.target for request in self._upstream.requests):
            await asyncio.sleep(0.005)


def gauges(server: Server) -> dict[str, float]:
    """Everything that is taken now and will be given back."""
    told = stats(server)
    found: dict[str, float] = {"in flight": told["requests"]["in_flight"], "live": told["live"]["count"]}
    for limit in told["limits"]:
        if limit["setting"] == "HEADROOM_TOTAL_CONCURRENCY":
            found["leases"] = limit["used"]
        if "reserved" in limit:
            found[f"reserved of {limit['setting']}"] = limit["reserved"]
    return found


async def streams_at_once(server: Server, upstream: Upstream) -> int:
    """How many of PLACES streams begin while all the others are held."""
    text = f"POST /v1/messages?phase={HELD} HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\ncontent-length: 2\r\n\r\n{{}}"
    peers = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(PLACES)]
    begun = 0
    for _, writer in peers:
        writer.write(text.encode())
    for reader, _ in peers:
        async with asyncio.timeout(LIMIT_SECONDS):
            begun += EVENT in await reader.readuntil(b"\n\n")
    upstream.release("all")
    for reader, writer in peers:
        await reader.readuntil(b"0\r\n\r\n")
        writer.transport.abort()
    return begun


def longest_bodies(server: Server) -> dict[int, int]:
    """The status of a body as long as all that a worker may hold at once, by each worker's process."""
    statuses: dict[int, int] = {}
    body = b"[" + b" " * (BODY_BYTES_MAX - 2) + b"]"
    for _ in range(200):
        with Caller(server.port) as caller:
            pid = caller.ask("GET", "/health").json()["worker"]["pid"]
            if pid not in statuses:
                statuses[pid] = caller.ask("POST", "/v1/messages?phase=6", ((b"x-api-key", b"k"),), body).status
        if len(statuses) == int(SETTINGS["HEADROOM_WORKERS"]):
            break
    return statuses


def test_clients_that_leave_in_any_phase_leave_every_counter_at_zero(
    server: Callable[..., Server], upstream: Upstream
) -> None:
    started = server(**SETTINGS)
    workers = started.worker_pids
    asyncio.run(Storm(started, upstream).run())
    eventually(lambda: upstream.open_connections == 0)
    eventually(lambda: not any(gauges(started).values()))
    assert set(gauges(started)) == {"in flight", "live", "leases", "reserved of HEADROOM_BUDGET_DAY_USD"}
    gone = stats(started)["requests"]["by_outcome"]["client_gone"]
    assert gone >= ABORTS_OF_A_PHASE * 3  # those that certainly began and did not end

    assert asyncio.run(streams_at_once(started, upstream)) == PLACES
    assert set(longest_bodies(started).values()) == {200}
    with Caller(started.port) as caller:
        for number in range(20):
            answer = caller.ask("POST", "/v1/messages?phase=6", ((b"x-api-key", b"k"),), body_of(1_000_000 + number))
            assert answer.status == 200
    eventually(lambda: upstream.open_connections == 0)
    eventually(lambda: not any(gauges(started).values()))
    assert started.worker_pids == workers
    log = started.log.read_text()
    assert "Traceback" not in log
    assert "never retrieved" not in log
