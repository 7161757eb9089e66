"""CPU per turn of recorded agent conversations, and what compression saves on them."""

from collections.abc import Callable
from pathlib import Path
from statistics import mean, quantiles
from tempfile import TemporaryDirectory

import uvloop

from bench.bodies import LARGE_TARGET
from bench.conversations import conversations, folder
from bench.driver import connect, post
from bench.figures import Figure, figure
from bench.processes import Server
from bench.replay import replay, saving
from bench.stacks import ours, side_by_side
from tests.fakes.upstream import running

TURN_BAR_MS = 5.0
PRICE_BAR_PERCENT = 10.0


def turns(names: tuple[str, ...], say: Callable[[str], None]) -> list[Figure]:
    """Every turn of every conversation over one connection for each, servers taking turns by conversation."""
    samples: dict[str, list[float]] = {}
    sizes: list[float] = []
    with side_by_side(names, say) as servers:
        servers.pop("direct")
        for conversation in conversations(folder()):
            requests = [post(LARGE_TARGET, body) for body in conversation.turns()]
            sizes += [len(request) / 1000 for request in requests]
            for name, server in servers.items():
                samples.setdefault(name, []).extend(uvloop.run(each_turn_ms(server, requests)))
    say(f"{len(sizes)} turns from {folder().name}, {mean(sizes):.0f} KB mean")
    bars = {"ours": TURN_BAR_MS}
    figures = [
        figure("agent turn, median", name, each, "ms CPU/turn", bars.get(name)) for name, each in samples.items()
    ]
    for name, each in samples.items():
        figures.append(Figure("agent turn, mean", name, mean(each), "ms CPU/turn"))
        figures.append(Figure("agent turn, p90", name, quantiles(each, n=10)[-1], "ms CPU/turn"))
    return figures


async def each_turn_ms(server: Server, requests: list[bytes]) -> list[float]:
    """Milliseconds of CPU for each request. What a server does after an answer counts for the next one."""
    client = await connect(server.port)
    samples = []
    try:
        for request in requests:
            before = server.cpu_ns()
            await client.ask(request)
            samples.append((server.cpu_ns() - before) / 1e6)
    finally:
        client.transport.close()
    return samples


def savings(names: tuple[str, ...], say: Callable[[str], None]) -> list[Figure]:
    """Tokens and price saved on each conversation, and in total."""
    if "ours" not in names:
        return []
    with running() as upstream, TemporaryDirectory(prefix="bench-") as place, ours(upstream, Path(place)) as server:
        each = [
            saving(conversation, replay(server.port, upstream, conversation.turns()))
            for conversation in conversations(folder())
        ]
    figures = []
    for one in each:
        figures.append(Figure(f"tokens saved, {one.name}", "ours", one.tokens_saved_percent, "%"))
        figures.append(Figure(f"price saved, {one.name}", "ours", one.price_saved_percent, "%", at_least=0.0))
    before, after = sum(one.price_before for one in each), sum(one.price_after for one in each)
    total = 100 * (1 - after / before)
    return [*figures, Figure("price saved, all", "ours", total, "%", at_least=PRICE_BAR_PERCENT)]
