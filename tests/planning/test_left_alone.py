"""What looks like a tool result and is none of a client's tool stays word for word, and what is one shrinks."""

import asyncio
from typing import Any

import msgspec
import pytest

from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.policy import Rules
from proxy_pkg.protocols.table import match
from proxy_pkg.tokens.count import Encoder
from proxy_pkg.wire.splice import splice
from tests.fakes.bodies import NUMBERED

RULES = Rules(margin_percent=5, block_bytes_max=1 << 20)
TEXT = {"type": "text", "text": NUMBERED}
PATHS = {
    "anthropic": "/v1/messages",
    "responses": "/v1/responses",
    "chat": "/v1/chat/completions",
    "gemini": "/v1beta/models/g:generateContent",
    "converse": "/model/m/converse",
}
# One call and a short result of it, so that no body is passed over unread.
USED: dict[str, list[dict[str, Any]]] = {
    "anthropic": [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Read", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "ok"}]},
    ],
    "responses": [
        {"type": "function_call", "call_id": "t1", "name": "Read", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "t1", "output": "ok"},
    ],
    "chat": [
        {"role": "assistant", "tool_calls": [{"id": "t1", "function": {"name": "Read", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "t1", "content": "ok"},
    ],
    "gemini": [{"role": "model", "parts": [{"functionCall": {"name": "Read", "args": {}}}]}],
    "converse": [{"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "Read", "input": {}}}]}],
}
KEYS = {"anthropic": "messages", "responses": "input", "chat": "messages", "gemini": "contents", "converse": "messages"}


def is_changed(api: str, item: dict[str, Any]) -> bool:
    body = msgspec.json.encode({"model": "m", KEYS[api]: [*USED[api], item]})
    found = match("POST", PATHS[api], ())
    assert found is not None
    conversation = found.protocol.conversation
    assert conversation is not None

    async def sent() -> bytes:
        planner = Planner(RULES, Encoder(None), 1 << 20, 60_000)
        try:
            return splice(body, (await planner.plan(body, conversation)).replacements)
        finally:
            planner.close()

    return asyncio.run(sent()) != body


def ours(block: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [block]}


def theirs(block: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": [block]}


SOURCE = {"type": "search_result", "source": "a.md", "title": "A", "content": [TEXT], "citations": {"enabled": True}}
DOCUMENT = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": NUMBERED}}
STAYS: list[tuple[str, dict[str, Any]]] = [
    ("anthropic", theirs({"type": "web_search_tool_result", "tool_use_id": "t1", "content": [TEXT]})),
    ("anthropic", theirs({"type": "web_fetch_tool_result", "tool_use_id": "t1", "content": {"content": DOCUMENT}})),
    ("anthropic", theirs({"type": "bash_code_execution_tool_result", "content": {"stdout": NUMBERED}})),
    ("anthropic", theirs({"type": "text_editor_code_execution_tool_result", "content": {"content": NUMBERED}})),
    ("anthropic", theirs({"type": "mcp_tool_result", "tool_use_id": "t1", "content": [TEXT]})),
    ("anthropic", theirs({"type": "thinking", "thinking": NUMBERED, "signature": "c2ln"})),
    ("anthropic", theirs({"type": "tool_use", "id": "t2", "name": "Write", "input": {"content": NUMBERED}})),
    ("anthropic", ours(SOURCE)),
    ("anthropic", ours(DOCUMENT)),
    ("anthropic", ours(TEXT)),
    ("anthropic", ours({"type": "tool_result", "tool_use_id": "t1", "content": [SOURCE]})),
    ("anthropic", ours({"type": "tool_result", "tool_use_id": "t1", "content": [DOCUMENT]})),
    ("responses", {"type": "mcp_call", "id": "m", "name": "x", "arguments": "{}", "output": NUMBERED}),
    ("responses", {"type": "computer_call_output", "call_id": "t1", "output": {"image_url": NUMBERED}}),
    ("responses", {"type": "code_interpreter_call", "code": NUMBERED, "outputs": [{"logs": NUMBERED}]}),
    ("responses", {"type": "file_search_call", "results": [{"text": NUMBERED}]}),
    ("responses", {"type": "tool_search_output", "call_id": "t1", "tools": [{"description": NUMBERED}]}),
    ("responses", {"type": "reasoning", "encrypted_content": NUMBERED, "summary": [{"text": NUMBERED}]}),
    ("responses", {"type": "compaction", "encrypted_content": NUMBERED}),
    ("responses", {"type": "function_call", "call_id": "t2", "name": "w", "arguments": NUMBERED}),
    ("chat", {"role": "assistant", "content": NUMBERED, "reasoning_content": NUMBERED}),
    ("chat", {"role": "user", "content": [TEXT]}),
    ("gemini", {"role": "user", "parts": [{"functionResponse": {"name": "Read", "parts": [{"text": NUMBERED}]}}]}),
    ("gemini", {"role": "model", "parts": [{"codeExecutionResult": {"outcome": "OK", "output": NUMBERED}}]}),
    ("gemini", {"role": "model", "parts": [{"executableCode": {"code": NUMBERED}}]}),
    ("gemini", {"role": "model", "parts": [{"text": NUMBERED, "thoughtSignature": "c2ln"}]}),
    ("converse", theirs({"reasoningContent": {"reasoningText": {"text": NUMBERED, "signature": "c2ln"}}})),
    ("converse", ours({"toolResult": {"toolUseId": "t1", "content": [{"document": {"source": {"text": NUMBERED}}}]}})),
    ("converse", ours({"guardContent": {"text": {"text": NUMBERED}}})),
]


@pytest.mark.parametrize(("api", "item"), STAYS)
def test_what_is_no_result_of_a_clients_tool_goes_as_it_came(api: str, item: dict[str, Any]) -> None:
    assert not is_changed(api, item)


SHRINKS: list[tuple[str, dict[str, Any]]] = [
    ("anthropic", ours({"type": "tool_result", "tool_use_id": "t1", "content": NUMBERED})),
    ("anthropic", ours({"type": "tool_result", "tool_use_id": "t1", "content": [SOURCE, TEXT]})),
    ("responses", {"type": "function_call_output", "call_id": "t1", "output": NUMBERED}),
    ("responses", {"type": "custom_tool_call_output", "call_id": "t1", "output": NUMBERED}),
    ("responses", {"type": "local_shell_call_output", "call_id": "t1", "output": NUMBERED}),
    ("responses", {"type": "shell_call_output", "call_id": "t1", "output": [{"stdout": NUMBERED, "stderr": ""}]}),
    ("responses", {"type": "apply_patch_call_output", "call_id": "t1", "status": "failed", "output": NUMBERED}),
    ("chat", {"role": "tool", "tool_call_id": "t1", "content": [TEXT]}),
    ("chat", {"role": "function", "name": "Read", "content": NUMBERED}),
    ("gemini", {"role": "user", "parts": [{"functionResponse": {"name": "Read", "response": {"output": NUMBERED}}}]}),
    ("converse", ours({"toolResult": {"toolUseId": "t1", "content": [{"text": NUMBERED}]}})),
    ("converse", ours({"toolResult": {"toolUseId": "t1", "content": [{"json": {"output": NUMBERED}}]}})),
]


@pytest.mark.parametrize(("api", "item"), SHRINKS)
def test_results_of_a_clients_tools_shrink_in_every_kind_of_item(api: str, item: dict[str, Any]) -> None:
    assert is_changed(api, item)
