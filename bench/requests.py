"""CPU of a server's process tree per request: small chats, and 560 KB bodies in which nothing may shrink."""

from collections.abc import Callable, Sequence

from bench.bodies import small_chat, text_conversation, tool_conversation
from bench.driver import load
from bench.figures import Figure, figure
from bench.processes import Server
from bench.stacks import side_by_side

# Many short rounds: a neighbour on the same cores then disturbs single pairs and not their median.
SMALL_ROUNDS, SMALL_REQUESTS, SMALL_CONNECTIONS = 40, 400, 8
SMALL_BAR_US, SMALL_BAR_RATIO = 350.0, 1.4
LARGE_ROUNDS, LARGE_REQUESTS, LARGE_CONNECTIONS = 7, 24, 2
LARGE_BAR_MS = 3.0
SEEN_SEEDS = (1_000_001, 1_000_002, 1_000_003)

Samples = dict[str, list[float]]


def cpu_us(server: Server, requests: Sequence[bytes], connections: int) -> float:
    """Microseconds of CPU per request while these are answered."""
    before = server.cpu_ns()
    load(server.port, requests, connections)
    return (server.cpu_ns() - before) / len(requests) / 1000


def rounds(servers: dict[str, Server], count: int, made: Callable[[int], Sequence[bytes]], connections: int) -> Samples:
    """Each round sends the same requests to every server in turn. Returns microseconds by server."""
    samples: Samples = {name: [] for name in servers}
    for number in range(count):
        requests = made(number)
        for name, server in servers.items():
            samples[name].append(cpu_us(server, requests, connections))
    return samples


def small(names: tuple[str, ...], say: Callable[[str], None]) -> list[Figure]:
    """A chat request of 1 KB answered with 0.6 KB."""
    request = small_chat()
    with side_by_side(names, say) as servers:
        servers.pop("direct")
        rounds(servers, 1, lambda _: [request] * (SMALL_REQUESTS // 2), SMALL_CONNECTIONS)
        samples = rounds(servers, SMALL_ROUNDS, lambda _: [request] * SMALL_REQUESTS, SMALL_CONNECTIONS)
    bars = {"ours": SMALL_BAR_US}
    figures = [figure("small chat", name, each, "us CPU/request", bars.get(name)) for name, each in samples.items()]
    if {"ours", "bare"} <= samples.keys():
        ratios = [ours / bare for ours, bare in zip(samples["ours"], samples["bare"], strict=True)]
        figures.append(figure("small chat", "ours/bare", ratios, "times", SMALL_BAR_RATIO))
    return figures


def large(names: tuple[str, ...], say: Callable[[str], None]) -> list[Figure]:
    """560 KB of text never seen before, then 560 KB of tool results that were."""
    with side_by_side(names, say) as servers:
        servers.pop("direct")
        unseen = rounds(servers, LARGE_ROUNDS, unseen_texts, LARGE_CONNECTIONS)
        rounds(servers, 1, lambda _: seen_tool_results(-1), 1)
        seen = rounds(servers, LARGE_ROUNDS, seen_tool_results, LARGE_CONNECTIONS)
    return [*of_large("560 KB, unseen text", unseen), *of_large("560 KB, tool results seen before", seen)]


def of_large(measured: str, samples: Samples) -> list[Figure]:
    bars = {"ours": LARGE_BAR_MS}
    return [
        figure(measured, name, [each / 1000 for each in values], "ms CPU/request", bars.get(name))
        for name, values in samples.items()
    ]


def unseen_texts(number: int) -> list[bytes]:
    first = number * LARGE_REQUESTS
    return [text_conversation(seed) for seed in range(first, first + LARGE_REQUESTS)]


def seen_tool_results(number: int) -> list[bytes]:
    """New questions after one of three sets of tool results."""
    return [
        tool_conversation(SEEN_SEEDS[index % len(SEEN_SEEDS)], f"Question {number}.{index}?")
        for index in range(LARGE_REQUESTS)
    ]
