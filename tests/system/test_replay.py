"""Recorded conversations, turn by turn through the real server: what was sent stays, and money is saved."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from bench.compression_laws import rules
from bench.compression_price import planned, undecodable
from bench.conversations import CASES, Conversation, conversations, folder
from bench.processes import Server
from bench.replay import Turn, blocks, broken_prefixes, changed_texts, replay, saving
from proxy_pkg.protocols.anthropic import MESSAGES
from tests.fakes.upstream import Upstream
from tests.system.conftest import starting

Replays = dict[str, tuple[Conversation, list[Turn]]]
PRICE_SAVED_PERCENT_MIN = 10.0
PRICE_SAVED_PERCENT_MIN_OF_CASES = 5.0  # the two cases that the project holds are short pieces of sessions
UNHURRIED = {"HEADROOM_COMPRESSION_DEADLINE_MS": "60000"}
"""On a busy machine too, what is sent is what the texts alone decide."""


@pytest.fixture(scope="module")
def shared_server(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with starting(upstream_of_module.url, tmp_path_factory.mktemp("server")) as start:
        yield start(**UNHURRIED)


@pytest.fixture(scope="module")
def replays(upstream_of_module: Upstream, shared_server: Server) -> Replays:
    """Every conversation, the small cases always among them, replayed once for all tests."""
    known = {conversation.name: conversation for conversation in conversations(CASES) + conversations(folder())}
    return {
        name: (conversation, replay(shared_server.port, upstream_of_module, conversation.turns()))
        for name, conversation in known.items()
    }


@pytest.fixture(autouse=True)
def _enough_turns(replays: Replays) -> None:
    assert len(replays) >= 2
    assert all(len(turns) > 5 for _, turns in replays.values())


def test_the_upstream_body_of_a_turn_is_how_the_next_one_begins(replays: Replays) -> None:
    for name, (_, turns) in replays.items():
        assert broken_prefixes([turn.sent for turn in turns]) == [], f"{name} is no growing conversation"
        assert broken_prefixes([turn.received for turn in turns]) == [], name


def test_money_is_saved_and_on_no_conversation_lost(replays: Replays) -> None:
    savings = [saving(conversation, turns) for conversation, turns in replays.values()]
    assert min(each.price_saved_percent for each in savings) >= 0.0, savings
    before, after = sum(each.price_before for each in savings), sum(each.price_after for each in savings)
    only_cases = len(replays) == len(conversations(CASES))
    minimum = PRICE_SAVED_PERCENT_MIN_OF_CASES if only_cases else PRICE_SAVED_PERCENT_MIN
    assert 100 * (1 - after / before) > minimum, savings


async def test_every_changed_text_decodes_to_what_the_client_sent(replays: Replays) -> None:
    chosen = rules()
    for name, (_, turns) in replays.items():
        assert list(changed_texts(turns[-1])), name
        assert await planned([turns[-1].sent], MESSAGES, chosen) == [turns[-1].received], name
        # So what is decoded is what the server sent.
        assert list(undecodable(turns[-1].sent, MESSAGES, chosen)) == [], name


def test_only_tool_results_change(replays: Replays) -> None:
    for name, (_, turns) in replays.items():
        sent, received = (without_tool_results(body) for body in (turns[-1].sent, turns[-1].received))
        assert sent == received, name


def test_a_cold_server_sends_what_a_warm_one_sends(
    replays: Replays, upstream: Upstream, server: Callable[..., Server]
) -> None:
    cold = server(HEADROOM_WORKERS="1", **UNHURRIED)
    for name, (_, turns) in replays.items():
        assert replay(cold.port, upstream, [turns[-1].sent])[0].received == turns[-1].received, name


def test_a_moving_cache_mark_changes_nothing_else(replays: Replays, upstream: Upstream, shared_server: Server) -> None:
    for conversation in conversations(CASES):
        unmarked = replays[conversation.name][1]
        marked = replay(shared_server.port, upstream, marked_turns(conversation))
        for one, other in zip(unmarked, marked, strict=True):
            assert blocks(other.received) == blocks(one.received), conversation.name
            marks = other.received.count(b'"cache_control"')
            assert marks == other.sent.count(b'"cache_control"') > one.received.count(b'"cache_control"')


def marked_turns(conversation: Conversation) -> Iterator[bytes]:
    """The turns with a cache mark on the newest block, as agents send them: it moves on with every turn."""
    for body in conversation.turns():
        request = copy.deepcopy(msgspec.json.decode(body))
        newest = request["messages"][-1]
        if isinstance(newest["content"], str):
            newest["content"] = [{"type": "text", "text": newest["content"]}]
        newest["content"][-1]["cache_control"] = {"type": "ephemeral"}
        yield msgspec.json.encode(request)


def without_tool_results(body: bytes) -> Any:
    request = msgspec.json.decode(body)
    for message in request["messages"]:
        for block in message["content"] if isinstance(message["content"], list) else ():
            if block["type"] == "tool_result":
                block["content"] = None
    return request
