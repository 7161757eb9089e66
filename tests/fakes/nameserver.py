"""A name server on loopback that knows what it is told, and is silent where it is told to be."""

import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator

_A, _AAAA = 1, 28
_NXDOMAIN, _SERVFAIL = 3, 2


class NameServer:
    """Answers by UDP. `records` are addresses by name, and may change while it runs; all other names do not exist.

    silent  names that get no answer, with every name below them
    slow    names that get each answer only after so many seconds
    broken  names that get SERVFAIL
    asked   how often each name was asked for an IPv4 address
    """

    def __init__(self, records: dict[str, list[str]]) -> None:
        self.records = records
        self.silent: set[str] = set()
        self.slow: dict[str, float] = {}
        self.broken: set[str] = set()
        self.ttl_seconds = 60
        self.asked: Counter[str] = Counter()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.place = f"127.0.0.1:{self.port}"

    def serve(self) -> None:
        while True:
            question, peer = self.socket.recvfrom(4096)
            if not question:
                return
            name, answer = self._answer(question)
            if answer and name in self.slow:
                late = threading.Timer(self.slow[name], self._send_late, (answer, peer))
                late.daemon = True
                late.start()
            elif answer:
                self.socket.sendto(answer, peer)

    def _send_late(self, answer: bytes, peer: object) -> None:
        with contextlib.suppress(OSError):  # closed by now
            self.socket.sendto(answer, peer)  # type: ignore[arg-type]  # as it came from the socket

    def end(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as goodbye:
            goodbye.sendto(b"", ("127.0.0.1", self.port))

    def _answer(self, question: bytes) -> tuple[str, bytes]:
        labels, at = [], 12
        while length := question[at]:
            labels.append(question[at + 1 : at + 1 + length].decode())
            at += 1 + length
        (kind,) = struct.unpack_from("!H", question, at + 1)
        name = ".".join(labels).lower()
        if kind == _A:
            self.asked[name] += 1
        if any(name == each or name.endswith("." + each) for each in self.silent):
            return name, b""
        family = socket.AF_INET6 if kind == _AAAA else socket.AF_INET
        known = [each for each in self.records.get(name, ()) if (":" in each) == (kind == _AAAA)]
        code = _SERVFAIL if name in self.broken else 0 if name in self.records else _NXDOMAIN
        rows = b"".join(
            struct.pack("!HHHIH", 0xC00C, kind, 1, self.ttl_seconds, len(packed)) + packed
            for packed in (socket.inet_pton(family, each) for each in known if kind in (_A, _AAAA) and not code)
        )
        head = question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(known) if rows else 0, 0, 0)
        return name, head + question[12 : at + 5] + rows


@contextlib.contextmanager
def name_server(records: dict[str, list[str]]) -> Iterator[NameServer]:
    server = NameServer(records)
    thread = threading.Thread(target=server.serve, name="fake-name-server")
    thread.start()
    try:
        yield server
    finally:
        server.end()
        thread.join(5)
        server.socket.close()
        assert not thread.is_alive()
