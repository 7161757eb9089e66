"""What the tests of WebSockets say as a client, and ask of the server."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

PATH = "/v1/responses"
MIB = 1 << 20
NUMBERED = "\n".join(f"{n:6}→    total_{n % 7} = read_part({n}) + total_{n % 5}" for n in range(1, 90))
LIMIT_SECONDS = 10.0

HANDSHAKE = (
    b"GET /v1/responses HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
)

Open = Callable[..., Any]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not true():
            await asyncio.sleep(0.01)


async def ended(client: ClientConnection) -> tuple[int, str]:
    """How the socket ends, code and reason; messages before that are dropped. 1006 if there is no close frame."""
    async with asyncio.timeout(LIMIT_SECONDS):
        try:
            while True:
                await client.recv()
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")


def request_of(items: list[Any], **members: Any) -> str:
    return msgspec.json.encode({"type": "response.create", "model": "gpt-5", "input": items, **members}).decode()


def result(text: str, call: str = "call_1") -> dict[str, str]:
    return {"type": "function_call_output", "call_id": call, "output": text}


async def settled(port: int) -> Any:
    """The server's numbers as soon as it serves nothing more."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while (numbers := await stats(port))["requests"]["in_flight"]:
            await asyncio.sleep(0.02)
    return numbers


async def stats(port: int) -> Any:
    return await asyncio.to_thread(_stats, port)


def _stats(port: int) -> Any:
    with socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS) as peer:
        peer.sendall(b"GET /stats HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        data = b"".join(iter(lambda: peer.recv(65536), b""))
    return msgspec.json.decode(data.partition(b"\r\n\r\n")[2])
