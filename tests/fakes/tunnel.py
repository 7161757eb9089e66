"""What stands between a client and an upstream in some networks: a proxy that tunnels, and TLS with a private CA."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


async def _join(one: Streams, other: Streams) -> None:
    """Both ways until one of them ends; then the other has nobody to talk to."""
    ways = [asyncio.ensure_future(_pipe(one[0], other[1])), asyncio.ensure_future(_pipe(other[0], one[1]))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        other[1].close()


@contextlib.contextmanager
def _serving(talk: Talk, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on a thread of its own; gives its port."""
    ready, stop, ports = threading.Event(), asyncio.Event(), []
    loops: list[asyncio.AbstractEventLoop] = []
    talks: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(converse(reader, writer))
        talks.add(task)
        task.add_done_callback(talks.discard)

    async def serve() -> None:
        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
        ports.append(server.sockets[0].getsockname()[1])
        loops.append(asyncio.get_running_loop())
        ready.set()
        await stop.wait()
        server.close()
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        for _ in range(3):
            await asyncio.sleep(0)  # an aborted transport closes its socket one turn of the loop later

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="fake-tunnel")
    thread.start()
    assert ready.wait(5)
    try:
        yield ports[0]
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(5)
        assert not thread.is_alive()


@contextlib.contextmanager
def tls_before(port: int, certificate: Path) -> Iterator[int]:
    """TLS in front of a plain server on `port`. `certificate` is a PEM file with its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _join((reader, writer), await asyncio.open_connection("127.0.0.1", port))

    with _serving(talk, context) as place:
        yield place


class Proxy:
    """An HTTP proxy. `places` says where hosts really are; `heads` has the head of each request it got."""

    def __init__(self, places: dict[str, int]) -> None:
        self.places = places
        self.heads: list[str] = []
        self.status = 200
        self.port = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
        self.heads.append(head.decode("latin-1"))
        method, target, _ = self.heads[-1].split(" ", 2)
        if not self.status:
            await reader.read()  # it never answers
        elif self.status != 200:
            writer.write(b"HTTP/1.1 %d Refused\r\ncontent-length: 0\r\n\r\n" % self.status)
            await reader.read()
        else:
            await self._onward(method, target, head, (reader, writer))

    async def _onward(self, method: str, target: str, head: bytes, client: Streams) -> None:
        host = target.removeprefix("http://").partition("/")[0]
        onward = await asyncio.open_connection("127.0.0.1", self.places[host])
        if method == "CONNECT":
            client[1].write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            onward[1].write(head.replace(f"http://{host}".encode(), b"", 1))
        await _join(client, onward)


@contextlib.contextmanager
def proxying(places: dict[str, int]) -> Iterator[Proxy]:
    proxy = Proxy(places)
    with _serving(proxy.talk) as proxy.port:
        yield proxy


def private_ca(folder: Path, host: str) -> tuple[Path, Path]:
    """A new authority, and a certificate with its key that it gave `host`: two PEM files. Needs the openssl program."""
    paths = {name: folder / name for name in ("ca.pem", "ca.key", "host.pem", "host.key", "host.csr", "both.pem")}
    made = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    run = {"check": True, "capture_output": True, "timeout": 20}
    authority = [*made, "-x509", "-subj", "/CN=Private CA", "-keyout", paths["ca.key"], "-out", paths["ca.pem"]]
    subprocess.run(authority, **run)  # type: ignore[call-overload]
    asked = [*made[:-2], "-subj", f"/CN={host}", "-keyout", paths["host.key"], "-out", paths["host.csr"]]
    subprocess.run(asked, **run)  # type: ignore[call-overload]
    names = folder / "names"
    names.write_text(f"subjectAltName=DNS:{host},IP:127.0.0.1\n")
    signed = ["openssl", "x509", "-req", "-in", paths["host.csr"], "-CA", paths["ca.pem"], "-CAkey", paths["ca.key"]]
    signed += ["-CAcreateserial", "-days", "2", "-extfile", names, "-out", paths["host.pem"]]
    subprocess.run(signed, **run)  # type: ignore[call-overload]
    paths["both.pem"].write_bytes(paths["host.pem"].read_bytes() + paths["host.key"].read_bytes())
    return paths["ca.pem"], paths["both.pem"]


@contextlib.contextmanager
def handshakes(context: ssl.SSLContext | None, answer: bytes = b"") -> Iterator[int]:
    """A server that does no more than its part of a TLS handshake, alerts included; without TLS it says `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                peer, _ = listener.accept()
                with peer, contextlib.suppress(OSError):
                    peer.settimeout(5)
                    if context is None:
                        if not peer.recv(4096):
                            return
                        peer.sendall(answer)
                        peer.recv(4096)
                    elif not peer.recv(1, socket.MSG_PEEK):
                        return
                    else:
                        context.wrap_socket(peer, server_side=True).recv(1)

        thread = threading.Thread(target=serve, name="fake-handshakes")
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            socket.create_connection(listener.getsockname(), 5).close()
            thread.join(10)
            assert not thread.is_alive()
