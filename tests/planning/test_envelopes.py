"""Calls that stand for others are planned like these: counts of tokens, compactions, a model behind another path."""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy_pkg.errors import ScanError
from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.plan import Plan
from proxy_pkg.planning.policy import Rules
from proxy_pkg.protocols.grammar import Conversation
from proxy_pkg.protocols.table import match
from proxy_pkg.store.decision_table import DecisionTable
from proxy_pkg.tokens.count import Encoder
from proxy_pkg.wire.splice import splice
from tests.fakes.bodies import ANTHROPIC, CHAT, CONVERSE, GEMINI, NUMBERED, RESPONSES, Shape, literal

RULES = Rules(margin_percent=5, block_bytes_max=1 << 20)
CASES = Path(__file__).parents[1] / "cases/conversations"
BEDROCK = "/model/us.amazon.nova-pro-v1:0"
PLAIN = literal(NUMBERED)


def conversation(path: str) -> Conversation:
    found = match("POST", path, ())
    assert found is not None
    assert found.protocol.conversation is not None
    return found.protocol.conversation


async def plans(*bodies: tuple[str, bytes]) -> list[Plan]:
    planner = Planner(RULES, Encoder(None), 8 << 20, 60_000, DecisionTable())
    try:
        return [await planner.plan(body, conversation(path)) for path, body in bodies]
    finally:
        planner.close()


def sent(*bodies: tuple[str, bytes]) -> list[bytes]:
    """What one worker sends for bodies (path, body), one after the other."""
    made = asyncio.run(plans(*bodies))
    return [splice(body, plan.replacements) for (_, body), plan in zip(bodies, made, strict=True)]


def in_object(*keys: str) -> Callable[[bytes], bytes]:
    def wrapped(body: bytes) -> bytes:
        before = b"".join(b'{ "x":1.50,"%b" : ' % key.encode() for key in keys)
        return before + body + b' ,"y":1e5}' * len(keys)

    return wrapped


def in_base64(body: bytes) -> bytes:
    return b'{"input": {"invokeModel" :{"body" : "%b" } } }' % b64encode(body)


def out_of_base64(body: bytes) -> bytes:
    return b64decode(json.loads(body)["input"]["invokeModel"]["body"])


COUNTS = [
    ("/v1/messages", "/v1/messages/count_tokens", ANTHROPIC, bytes),
    ("/v1/responses", "/v1/responses/input_tokens", RESPONSES, bytes),
    ("/v1/responses", "/v1/responses/compact", RESPONSES, bytes),
    ("/backend-api/codex/responses", "/backend-api/codex/responses/compact", RESPONSES, bytes),
    ("/v1beta/models/g:generateContent", "/v1beta/models/g:countTokens", GEMINI, bytes),
    (
        "/v1beta/models/g:generateContent",
        "/v1beta/models/g:countTokens",
        GEMINI,
        in_object("generateContentRequest"),
    ),
    (
        "/v1beta/models/g:streamGenerateContent",
        "/v1beta/models/g:countTokens",
        GEMINI,
        in_object("generate_content_request"),
    ),
    (BEDROCK + "/converse", BEDROCK + "/count-tokens", CONVERSE, in_object("input", "converse")),
    *((BEDROCK + "/invoke", BEDROCK + "/count-tokens", shape, in_base64) for shape in (ANTHROPIC, CONVERSE, CHAT)),
]


@pytest.mark.parametrize(("call", "count", "shape", "wrapped"), COUNTS)
@pytest.mark.parametrize("first", ["call", "count"])
@pytest.mark.parametrize("pad", [0, 400_000])
def test_what_is_counted_is_what_would_be_sent(
    call: str, count: str, shape: Shape, wrapped: Callable[[bytes], bytes], first: str, pad: int
) -> None:
    body = shape.body(PLAIN).replace(b'"tail"', b'"pad":"%b","tail"' % (b"x" * pad))
    both = [(call, body), (count, wrapped(body))]
    made = sent(*both) if first == "call" else sent(*both[::-1])[::-1]
    assert len(made[0]) < 0.9 * len(body) + pad
    assert len(made[0]) < len(body)
    if wrapped is in_base64:
        assert out_of_base64(made[1]) == made[0]
        assert made[1].startswith(b'{"input": {"invokeModel" :{"body" : "')
        assert made[1].endswith(b'" } } }')
    else:
        assert made[1] == wrapped(made[0])


def test_the_whole_request_counts_and_not_the_contents_beside_it() -> None:
    path = "/v1beta/models/g:countTokens"
    beside = in_object("generateContentRequest")(GEMINI.body(PLAIN))[:-1] + b',"contents":[%b' % GEMINI.call
    body = beside + b"," + GEMINI.before + PLAIN + GEMINI.after + b"]}"
    (made,) = sent((path, body))
    assert made.count(PLAIN) == 1
    assert made.index(PLAIN) > made.index(b'"contents":[')


@pytest.mark.parametrize(
    "body",
    [
        b'{"input":{"invokeModel":{"body":"%b"}}}' % b64encode(ANTHROPIC.body(PLAIN)).replace(b"e", b"-"),
        b'{"input":{"invokeModel":{"body":"%b\\n"}}}' % b64encode(ANTHROPIC.body(PLAIN)),
        b'{"input":{"invokeModel":{"body":{"messages":[]}}}}',
        b'{"input":{"invokeModel":{"body":"QR=="}}}',  # not the one way to write that byte
        b'{"input":{"converse":{"messages":[]},"converse":{"messages":[]}}}',
        b'{"input":',
    ],
)
def test_what_cannot_be_opened_for_sure_goes_as_it_came(body: bytes) -> None:
    with pytest.raises(ScanError):
        asyncio.run(plans((BEDROCK + "/count-tokens", body)))


def test_a_body_of_bytes_that_hold_no_result_stays() -> None:
    for inner in (b"", b'{"messages":[]}', b"\xff\xfe", b'{"inputText":"hi"}'):
        body = in_base64(inner)
        assert sent((BEDROCK + "/count-tokens", body)) == [body]


def step(value: Any, **more: Any) -> dict[str, Any]:
    return {"type": "function_result", "call_id": "c1", "name": "Read", "result": value, **more}


@pytest.mark.parametrize(
    "item",
    [
        step(NUMBERED),
        step({"output": NUMBERED, "exit": 0}),
        step([{"type": "text", "text": NUMBERED}]),
        {"role": "user", "content": [step([{"type": "text", "text": NUMBERED}], is_error=True)]},
    ],
)
def test_results_in_interactions_shrink_in_each_way_to_give_them(item: dict[str, Any]) -> None:
    call = {"type": "function_call", "id": "c1", "name": "Read", "arguments": {"path": "a.py"}, "signature": "c2ln"}
    body = msgspec.json.encode({"model": "g", "previous_interaction_id": "i", "input": [call, item]})
    (made,) = sent(("/v1beta/interactions", body))
    before, after = body.split(PLAIN)
    assert made.startswith(before)
    assert made.endswith(after)
    assert len(made) < 0.85 * len(body)


@pytest.mark.parametrize(
    "item",
    [
        {"type": "code_execution_result", "call_id": "c1", "result": NUMBERED, "signature": "c2ln"},
        {"type": "mcp_server_tool_result", "call_id": "c1", "result": [{"type": "text", "text": NUMBERED}]},
        {"type": "url_context_result", "call_id": "c1", "result": [{"url": NUMBERED}]},
        {"type": "user_input", "content": [{"type": "text", "text": NUMBERED}]},
        step([{"type": "image", "data": NUMBERED}]),
    ],
)
def test_what_is_no_result_of_a_clients_tool_stays_in_interactions(item: dict[str, Any]) -> None:
    body = msgspec.json.encode({"model": "g", "input": [step("short"), item]})
    assert sent(("/v1beta/interactions", body)) == [body]


def test_interactions_of_one_text_stay() -> None:
    body = b'{"model":"g","input":"hello"}'
    assert sent(("/v1beta/interactions", body)) == [body]
    with pytest.raises(ScanError):
        asyncio.run(plans(("/v1beta/interactions", b'{"input":"\\"function_result\\"","x":"function_result"}')))


COMPACT = "Your task is to create a detailed summary of the conversation so far. Do not use any tools."


@pytest.mark.parametrize("case", sorted(CASES.glob("*.json")), ids=lambda path: path.stem)
def test_a_clients_own_compaction_sends_the_history_as_the_turn_before_did(case: Path) -> None:
    """As Claude Code makes it: the history whole, other system prompt and tools, and one message more."""
    whole = json.loads(case.read_text())
    turn = {**whole, "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}}
    asked = {"role": "user", "content": [{"type": "text", "text": COMPACT}]}
    last = {"model": "m", "max_tokens": 20_000, "system": "You summarize.", "messages": [*whole["messages"], asked]}
    path = "/v1/messages"
    first, second = sent((path, msgspec.json.encode(turn)), (path, msgspec.json.encode(last)))
    assert len(first) < len(msgspec.json.encode(turn))
    assert json.loads(second)["messages"][:-1] == json.loads(first)["messages"]


def outputs(count: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = [{"type": "message", "role": "user", "content": "read it"}]
    for number in range(count):
        call = f"call_{number:08}x{number}"
        text = NUMBERED.replace("total_", f"sum{number // 2}_")
        items += [
            {"type": "function_call", "call_id": call, "name": "read", "arguments": f'{{"p":"{number}"}}'},
            {"type": "function_call_output", "call_id": call, "output": text},
        ]
    return items


@pytest.mark.parametrize("last", [{"type": "compaction_trigger"}, None], ids=["in a turn", "on a path of its own"])
def test_a_compaction_at_the_service_sends_the_items_of_the_turn_before(last: dict[str, Any] | None) -> None:
    items = outputs(8)
    turn = {"model": "m", "instructions": "You code.", "tools": [], "input": items, "store": False, "stream": True}
    compact = {"model": "m", "input": [*items, *([last] if last else [])], "instructions": "You code."}
    path = "/backend-api/codex/responses"
    bodies = [(path, msgspec.json.encode(turn)), (path + "/compact" * (last is None), msgspec.json.encode(compact))]
    first, second = sent(*bodies)
    assert len(second) < 0.8 * len(bodies[1][1])
    assert json.loads(second)["input"][: len(items)] == json.loads(first)["input"]
