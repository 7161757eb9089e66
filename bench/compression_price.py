"""What recorded conversations cost with and without compression, planned turn by turn without a server.

Prices are those of a provider's prefix cache (see bench.replay): messages that begin like the request before are
read from the cache, the rest is written to it.

The signature of a thinking block is not read as text: it is the whole thinking, encrypted, which is what providers
charge for. Three quarters of its base64 letters are bytes, and four of these about a token; what the block shows of
the thinking is counted beside it.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from bench.compression_corpus import conversation_files
from bench.compression_references import Reader
from bench.replay import CACHE_READ_PRICE, CACHE_WRITE_PRICE, Saving, shared_length, strings
from proxy_pkg.planning.draft import Memos
from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.plan import settle
from proxy_pkg.planning.policy import Rules
from proxy_pkg.planning.reading import draw
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.protocols.grammar import Protocol
from proxy_pkg.protocols.openai_chat import CHAT
from proxy_pkg.tokens.count import count, load
from proxy_pkg.wire.scan import split
from proxy_pkg.wire.splice import splice

MEMO_BYTES = 64 << 20
DEADLINE_MS = 60_000
NO_DEADLINE_NS = 1 << 62
MESSAGE_FIELDS = ("role", "content", "tool_calls", "tool_call_id", "name")


class Recorded(msgspec.Struct, frozen=True):
    """A whole conversation in the format of one API: `fields` come before the messages in a body."""

    name: str
    protocol: Protocol
    fields: dict[str, Any]
    messages: list[dict[str, Any]]

    def requests(self) -> Iterator[bytes]:
        """The bodies a client sends: one before each message of the model, and one at the end."""
        ends = [end for end, message in enumerate(self.messages) if end and message["role"] == "assistant"]
        for end in [*ends, len(self.messages)]:
            yield msgspec.json.encode(self.fields | {"messages": self.messages[:end]})


class Replayed(msgspec.Struct, frozen=True):
    """A conversation's saving, and which laws it broke."""

    saving: Saving
    broken: tuple[str, ...]


def recorded(corpus: Path) -> list[Recorded]:
    """The conversations of a corpus that are kept as whole requests, in either format."""
    return [read(path) for path in conversation_files(corpus) if path.suffix != ".jsonl"]


def read(path: Path) -> Recorded:
    body: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    messages = body.pop("messages")
    name = path.name.partition(".")[0]
    if "trajectory_format" not in body:
        return Recorded(name, MESSAGES, body, messages)
    sent = [_as_sent(message) for message in messages if message.get("role") in ("system", "user", "assistant", "tool")]
    return Recorded(name, CHAT, {"model": "recorded"}, sent)


def _as_sent(message: dict[str, Any]) -> dict[str, Any]:
    return {key: message[key] for key in MESSAGE_FIELDS if message.get(key) is not None}


def replayed(each: Recorded, rules: Rules) -> Replayed:
    """Plan every request of a conversation with one memo, as one worker would, and the last one with none."""
    bodies = list(each.requests())
    received = asyncio.run(planned(bodies, each.protocol, rules))
    broken = [f"request {turn} is not how the next one begins" for turn in broken_prefixes(received)]
    if asyncio.run(planned(bodies[-1:], each.protocol, rules)) != received[-1:]:
        broken.append("a worker that saw nothing before sends something else")
    broken += undecodable(bodies[-1], each.protocol, rules)
    counts: dict[bytes, int] = {}
    tokens_before, price_before = price(bodies, counts)
    tokens_after, price_after = price(received, counts)
    saving = Saving(each.name, len(bodies), tokens_before, tokens_after, price_before, price_after)
    return Replayed(saving, tuple(broken))


def undecodable(body: bytes, protocol: Protocol, rules: Rules) -> Iterator[str]:
    """What goes wrong where the texts of a request are turned back, in their order."""
    assert protocol.conversation is not None
    memos = Memos(MEMO_BYTES)
    draft = draw(body, protocol.conversation, memos, asking=rules.reduces)
    settle(draft, rules, load(), memos, NO_DEADLINE_NS)
    reader = Reader()
    for place in draft.places:
        assert place.decided is not None
        problem = reader.read(place.text.call, place.text.text, place.decided.verdict, place.text.index == 0)
        if problem:
            yield f"result {place.text.call}: {problem}"


async def planned(bodies: Iterable[bytes], protocol: Protocol, rules: Rules) -> list[bytes]:
    """What goes upstream for each body."""
    assert protocol.conversation is not None
    planner = Planner(rules, load(), MEMO_BYTES, DEADLINE_MS)
    try:
        return [splice(body, (await planner.plan(body, protocol.conversation)).replacements) for body in bodies]
    finally:
        planner.close()


def broken_prefixes(bodies: Sequence[bytes]) -> list[int]:
    """The requests whose messages are not, byte for byte, how those of the next one begin."""
    pairs = enumerate(pairwise(bodies))
    return [turn for turn, (this, following) in pairs if not following.startswith(this.removesuffix(b"]}"))]


def price(bodies: Iterable[bytes], counts: dict[bytes, int]) -> tuple[int, float]:
    """Tokens of all requests together and their price; `counts` remembers what was counted."""
    tokens, total = 0, 0.0
    before: list[bytes] = []
    for body in bodies:
        start, messages = split(body, "messages")
        parts = [body[:start] + b"]}", *(message.lstrip(b", ") for message in messages)]
        costs = [_tokens(part, counts) for part in parts]
        same = shared_length(before, parts)
        tokens += sum(costs)
        total += CACHE_READ_PRICE * sum(costs[:same]) + CACHE_WRITE_PRICE * sum(costs[same:])
        before = parts
    return tokens, total


def _tokens(part: bytes, counts: dict[bytes, int]) -> int:
    if part not in counts:
        message = msgspec.json.decode(part)
        signed = list(signatures(message))
        counts[part] = sum(map(count, strings(message))) - sum(map(count, signed)) + sum(map(_decoded, signed))
    return counts[part]


def signatures(value: Any) -> Iterator[str]:
    """The signatures of the thinking blocks in a message, a list of blocks, or a block."""
    if isinstance(value, list):
        for each in value:
            yield from signatures(each)
    elif isinstance(value, dict):
        if value.get("type") == "thinking" and isinstance(value.get("signature"), str):
            yield value["signature"]
        yield from signatures(value.get("content"))


def _decoded(signature: str) -> int:
    return len(signature) * 3 // 16
