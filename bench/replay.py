"""Replays recorded conversations turn by turn through the server, and tells what that saved.

A provider's prefix cache is modelled request by request: the longest run of leading blocks that equals the
request before it is read from the cache, the rest is written to it. Counts are o200k_base estimates.
"""

import http.client
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from bench.conversations import Conversation
from proxy_pkg.tokens.count import count
from tests.fakes.upstream import Upstream

TARGET = "/v1/messages?beta=true"
HEADERS = {"content-type": "application/json", "x-api-key": "sk-ant-test"}
CACHE_READ_PRICE = 0.1
CACHE_WRITE_PRICE = 1.25


class Turn(msgspec.Struct, frozen=True):
    """One request: the client's body, the body that reached the upstream, and our headers of the answer."""

    sent: bytes
    received: bytes
    headers: dict[str, str]


class Saving(msgspec.Struct, frozen=True):
    """What a replay saved. Prices are in tokens of fresh input."""

    name: str
    turns: int
    tokens_before: int
    tokens_after: int
    price_before: float
    price_after: float

    @property
    def tokens_saved_percent(self) -> float:
        return 100 * (1 - self.tokens_after / self.tokens_before)

    @property
    def price_saved_percent(self) -> float:
        return 100 * (1 - self.price_after / self.price_before)


def replay(
    port: int, upstream: Upstream, bodies: Iterable[bytes], target: str = "/v1/messages?beta=true"
) -> list[Turn]:
    """Send each body over a connection of its own, so that any worker may get it.

    Raises AssertionError if a request is not answered with 200 or did not reach the upstream exactly once.
    """
    turns = []
    for body in bodies:
        upstream.requests.clear()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("POST", target, body, {"content-type": "application/json", "x-api-key": "sk-ant-test"})
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        assert answer.status == 200, said
        assert len(upstream.requests) == 1, upstream.describe()
        turns.append(Turn(body, upstream.requests[0].body, {k.lower(): v for k, v in answer.getheaders()}))
    return turns


def broken_prefixes(bodies: Sequence[bytes]) -> list[int]:
    """The turns n whose messages are not, byte for byte, how the body of turn n+1 begins.

    Bodies must be compact JSON with the messages last: a body without its closing `]}` is then what the next
    one has to begin with.
    """
    pairs = enumerate(pairwise(bodies))
    return [number for number, (this, following) in pairs if not following.startswith(this.removesuffix(b"]}"))]


def blocks(body: bytes) -> list[Any]:
    """What a prefix cache compares, in its order: tools, system, then each block of each message."""
    request = msgspec.json.decode(body)
    request = plain(request) if b'"cache_control"' in body else request
    parts = [*request.get("tools", ()), *listed(request.get("system", ()))]
    for message in request["messages"]:
        parts += [(message["role"], block) for block in listed(message["content"])]
    return parts


def listed(content: Any) -> list[Any]:
    """A content as a list of blocks: a string is one text block."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def plain(value: Any) -> Any:
    """A value without its cache_control marks, which are no part of what is cached."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key != "cache_control"}
    return [plain(item) for item in value] if isinstance(value, list) else value


def strings(value: Any) -> list[str]:
    """All string values in a JSON value, in order; no keys."""
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [text for item in items for text in strings(item)]


def price(bodies: Iterable[bytes]) -> tuple[int, float]:
    """Tokens of all requests together, and their price."""
    tokens, total = 0, 0.0
    before: list[Any] = []
    counts: list[int] = []
    for body in bodies:
        now = blocks(body)
        same = shared_length(before, now)
        counts = counts[:same] + [sum(map(count, strings(part))) for part in now[same:]]
        tokens += sum(counts)
        total += CACHE_READ_PRICE * sum(counts[:same]) + CACHE_WRITE_PRICE * sum(counts[same:])
        before = now
    return tokens, total


def shared_length(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many leading items are equal."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def saving(conversation: Conversation, turns: Sequence[Turn]) -> Saving:
    tokens_before, price_before = price(turn.sent for turn in turns)
    tokens_after, price_after = price(turn.received for turn in turns)
    return Saving(conversation.name, len(turns), tokens_before, tokens_after, price_before, price_after)


def changed_texts(turn: Turn) -> list[tuple[str, str]]:
    """Texts of a request that did not arrive as they were sent: (sent, received)."""
    sent, received = (strings(msgspec.json.decode(body)) for body in (turn.sent, turn.received))
    return [pair for pair in zip(sent, received, strict=True) if pair[0] != pair[1]]
