"""What a server adds to the time to the first byte, one request at a time, in turn with asking the upstream directly.

Each pair is one request straight to the upstream and the same one through the server, right after each other and in
changing order, so that a neighbour on the same cores disturbs both alike. Added is the difference of a pair.
"""

import gc
import os
import socket
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from statistics import quantiles

from bench.bodies import read_conversation, small_chat
from bench.driver import HEAD_END, header
from bench.figures import Figure
from bench.processes import Server
from bench.stacks import side_by_side

PAIRS = int(os.environ.get("PAIRS", "2000"))
WARM_UP = 100
CONVERSATION_BYTES = 200_000
QUESTIONS = 50
BARS_MS = {"p50": 1.5, "p99": 3.0}
RECEIVE_BYTES = 1 << 16

Times = dict[str, list[float]]


def first_byte(names: tuple[str, ...], say: Callable[[str], None]) -> list[Figure]:
    """A small chat, and a conversation of 200 KB of which all but the last question was sent before."""
    asked = {
        "small chat": [small_chat()],
        "200 KB, known": [
            read_conversation(1, f"Question {number}?", CONVERSATION_BYTES) for number in range(QUESTIONS)
        ],
    }
    figures: list[Figure] = []
    with side_by_side(names, say) as servers:
        for what, requests in asked.items():
            times(servers, cycle(requests), WARM_UP)
            figures += _figures(what, times(servers, cycle(requests), PAIRS))
    return figures


def times(servers: dict[str, Server], requests: Iterator[bytes], rounds: int) -> Times:
    """Milliseconds from the first byte of a request sent to the first byte of its answer, by server.

    Each round sends the same request to every server, over a connection that is kept.
    """
    taken: Times = {name: [] for name in servers}
    peers = {name: socket.create_connection(("127.0.0.1", server.port)) for name, server in servers.items()}
    orders = [list(peers), list(reversed(peers))]
    gc.disable()  # the driver's own pauses are not the server's
    try:
        for number in range(rounds):
            request = next(requests)
            for name in orders[number % 2]:
                taken[name].append(ask_ms(peers[name], request))
    finally:
        gc.enable()
        for peer in peers.values():
            peer.close()
    return taken


def ask_ms(peer: socket.socket, request: bytes) -> float:
    """One request and the whole of its answer, which has a length. Milliseconds to the first byte."""
    began = time.perf_counter_ns()
    peer.sendall(request)
    answer = peer.recv(RECEIVE_BYTES)
    taken = (time.perf_counter_ns() - began) / 1e6
    assert answer.startswith(b"HTTP/1.1 200"), answer[:300]
    head, _, body = answer.partition(HEAD_END)
    missing = int(header(head, b"content-length")) - len(body)
    while missing:
        missing -= len(peer.recv(missing))
    return taken


def _figures(what: str, taken: Times) -> list[Figure]:
    direct = taken.pop("direct")
    figures = [_figure(f"first byte of {what}, {share}", "direct", _share(direct, share), None) for share in BARS_MS]
    for name, through in taken.items():
        added = [late - early for late, early in zip(through, direct, strict=True)]
        for share, bar in BARS_MS.items():
            figures.append(
                _figure(f"first byte of {what}, {share}", name, _share(added, share), bar if name == "ours" else None)
            )
    return figures


def _figure(measured: str, name: str, value: float, bar: float | None) -> Figure:
    return Figure(measured, name, value, "ms" if name == "direct" else "ms added", at_most=bar)


def _share(values: list[float], share: str) -> float:
    return quantiles(values, n=100)[int(share[1:]) - 1]
