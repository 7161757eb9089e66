"""What each provider's API would answer, small and in shape: the fake upstream plays these without a script.

A request with tools whose newest message is no tool result gets a tool call; all others get one sentence.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from tests.fakes.exchange import Request
from tests.fakes.scripts import JSON, Script, reply, stream

Body = dict[str, Any]
SENTENCE = ("All ", "checks ", "passed: 12 – und grün ✓.")
TEXT = "".join(SENTENCE)
CALL_ID = "toolu_01A09q90qw90lq917835lq9"
ARGUMENTS = {"path": "README.md"}
SIGNATURE = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYd"


ToolCall = tuple[str, Body] | None
"""The tool to call and its arguments; None for the first tool that a request has, with ARGUMENTS."""


def spelled(call: ToolCall, first: str) -> tuple[str, Body, str]:
    """The tool's name, its arguments, and these as JSON text."""
    name, arguments = call or (first, ARGUMENTS)
    return name, arguments, msgspec.json.encode(arguments).decode()


def data_event(value: Any, name: str = "") -> bytes:
    """One server-sent event with JSON data."""
    prefix = f"event: {name}\n".encode() if name else b""
    return prefix + b"data: " + msgspec.json.encode(value) + b"\n\n"


def parsed(request: Request) -> Body:
    """The body as JSON; an empty object if it is none or coded."""
    try:
        body = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


# --- Anthropic ---

ANTHROPIC_USAGE = {
    "input_tokens": 42,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 1024,
    "output_tokens": 9,
}


def anthropic_blocks(body: Body, call: ToolCall) -> list[Body]:
    messages = body.get("messages") or [{}]
    content = messages[-1].get("content")
    answered = isinstance(content, list) and any(block.get("type") == "tool_result" for block in content)
    if body.get("tools") and not answered:
        name, arguments, _ = spelled(call, body["tools"][0].get("name", ""))
        return [{"type": "tool_use", "id": CALL_ID, "name": name, "input": arguments}]
    return [{"type": "text", "text": TEXT}]


def anthropic_message(body: Body, blocks: list[Body], stop: str | None) -> Body:
    return {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": body.get("model", ""),
        "content": blocks,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": ANTHROPIC_USAGE,
    }


def anthropic_messages(request: Request, call: ToolCall = None) -> Script:
    body = parsed(request)
    blocks = anthropic_blocks(body, call)
    stop = "tool_use" if blocks[0]["type"] == "tool_use" else "end_turn"
    if not body.get("stream"):
        return reply(msgspec.json.encode(anthropic_message(body, blocks, stop)))
    return stream(anthropic_events(body, blocks[0], stop))


def anthropic_events(body: Body, block: Body, stop: str) -> list[bytes]:
    if block["type"] == "tool_use":
        empty = block | {"input": {}}
        text = msgspec.json.encode(block["input"]).decode()
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", text)]
    else:
        empty = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": part} for part in SENTENCE]
    events: list[Body] = [
        {"type": "message_start", "message": anthropic_message(body, [], None)},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop, "stop_sequence": None},
            "usage": {"output_tokens": 9},
        },
        {"type": "message_stop"},
    ]
    return [data_event(event, event["type"]) for event in events]


def anthropic_count(request: Request) -> Script:
    return reply(b'{"input_tokens":%d}' % (len(request.body) // 4))


def anthropic_models(request: Request) -> Script:
    model = b'{"type":"model","id":"claude-sonnet-4-5","display_name":"S","created_at":"2025-09-29T00:00:00Z"}'
    return reply(b'{"data":[' + model + b'],"has_more":false,"first_id":"a","last_id":"a"}')


# --- OpenAI ---

CHAT_USAGE = {
    "prompt_tokens": 42,
    "completion_tokens": 9,
    "total_tokens": 51,
    "prompt_tokens_details": {"cached_tokens": 0},
}
RESPONSES_USAGE = {
    "input_tokens": 42,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 51,
}


def chat_message(body: Body) -> Body:
    messages = body.get("messages") or [{}]
    if body.get("tools") and messages[-1].get("role") != "tool":
        name, _, arguments = spelled(None, body["tools"][0].get("function", {}).get("name", ""))
        function = {"name": name, "arguments": arguments}
        return {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": CALL_ID, "type": "function", "function": function}],
        }
    return {"role": "assistant", "content": TEXT, "refusal": None}


def chat_completions(request: Request) -> Script:
    body = parsed(request)
    message = chat_message(body)
    finish = "tool_calls" if "tool_calls" in message else "stop"
    common = {
        "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG",
        "created": 1741570283,
        "model": body.get("model", ""),
    }
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        return reply(
            msgspec.json.encode(common | {"object": "chat.completion", "choices": [choice], "usage": CHAT_USAGE})
        )
    common["object"] = "chat.completion.chunk"
    options = body.get("stream_options") or {}
    return stream([*chat_events(common, message, finish, bool(options.get("include_usage"))), b"data: [DONE]\n\n"])


def chat_events(common: Body, message: Body, finish: str, with_usage: bool) -> list[bytes]:
    if calls := message.get("tool_calls"):
        deltas: list[Body] = [{"tool_calls": [{"index": 0, **calls[0]}]}]
    else:
        deltas = [{"content": part} for part in SENTENCE]
    chunks = [
        {"index": 0, "delta": {"role": "assistant"}, "finish_reason": None},
        *({"index": 0, "delta": delta, "finish_reason": None} for delta in deltas),
        {"index": 0, "delta": {}, "finish_reason": finish},
    ]
    events = [data_event(common | {"choices": [part]}) for part in chunks]
    return [*events, data_event(common | {"choices": [], "usage": CHAT_USAGE})] if with_usage else events


def response_item(body: Body, call: ToolCall) -> Body:
    given = body.get("input") or []
    newest = given[-1] if isinstance(given, list) else {}
    if body.get("tools") and newest.get("type") != "function_call_output":
        name, _, arguments = spelled(call, body["tools"][0].get("name", ""))
        return {
            "type": "function_call",
            "id": "fc_1",
            "call_id": CALL_ID,
            "name": name,
            "arguments": arguments,
            "status": "completed",
        }
    content = [{"type": "output_text", "text": TEXT, "annotations": []}]
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}


def response_object(body: Body, items: list[Body], status: str) -> Body:
    return {
        "id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
        "object": "response",
        "created_at": 1741476542,
        "status": status,
        "model": body.get("model", ""),
        "output": items,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "usage": RESPONSES_USAGE if status == "completed" else None,
    }


def responses(request: Request, call: ToolCall = None) -> Script:
    body = parsed(request)
    item = response_item(body, call)
    if not body.get("stream"):
        return reply(msgspec.json.encode(response_object(body, [item], "completed")))
    return stream([data_event(event, event["type"]) for event in response_events(body, item)])


def response_events(body: Body, item: Body) -> list[Body]:
    place = {"output_index": 0, "item_id": item["id"]}
    if item["type"] == "function_call":
        inner: list[Body] = [
            {"type": "response.function_call_arguments.delta", **place, "delta": item["arguments"]},
            {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]},
        ]
        opened = item | {"arguments": "", "status": "in_progress"}
    else:
        place |= {"content_index": 0}
        empty = {"type": "output_text", "text": "", "annotations": []}
        inner = [
            {"type": "response.content_part.added", **place, "part": empty},
            *({"type": "response.output_text.delta", **place, "delta": part} for part in SENTENCE),
            {"type": "response.output_text.done", **place, "text": TEXT},
            {"type": "response.content_part.done", **place, "part": item["content"][0]},
        ]
        opened = item | {"content": [], "status": "in_progress"}
    events: list[Body] = [
        {"type": "response.created", "response": response_object(body, [], "in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": opened},
        *inner,
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response_object(body, [item], "completed")},
    ]
    return [event | {"sequence_number": n} for n, event in enumerate(events)]


def responses_count(request: Request) -> Script:
    return reply(b'{"object":"response.input_tokens","input_tokens":%d}' % (len(request.body) // 4))


def openai_models(request: Request) -> Script:
    return reply(b'{"object":"list","data":[{"id":"gpt-4o","object":"model","created":1686935002,"owned_by":"o"}]}')


# --- Gemini ---


def gemini_parts(body: Body, tool: ToolCall) -> list[Body]:
    newest = (body.get("contents") or [{}])[-1]
    answered = any("functionResponse" in part for part in newest.get("parts", ()))
    if body.get("tools") and not answered:
        declared = body["tools"][0].get("functionDeclarations") or [{"name": ""}]
        name, arguments, _ = spelled(tool, declared[0]["name"])
        call = {"name": name, "args": arguments}
        return [{"functionCall": call, "thoughtSignature": SIGNATURE}]
    return [{"text": part} for part in SENTENCE]


def gemini_answer(parts: list[Body], last: bool) -> Body:
    candidate: Body = {"content": {"parts": parts, "role": "model"}, "index": 0}
    answer: Body = {"candidates": [candidate], "modelVersion": "gemini-3-pro", "responseId": "r1"}
    if last:
        candidate["finishReason"] = "STOP"
        answer["usageMetadata"] = {"promptTokenCount": 42, "candidatesTokenCount": 9, "totalTokenCount": 51}
    return answer


def gemini_generate(request: Request) -> Script:
    return reply(msgspec.json.encode(gemini_answer(gemini_parts(parsed(request), None), last=True)))


def gemini_stream(request: Request, call: ToolCall = None) -> Script:
    """Events with alt=sse, else one JSON array that grows."""
    parts = gemini_parts(parsed(request), call)
    answers = [gemini_answer([part], part is parts[-1]) for part in parts]
    if "alt=sse" in request.target:
        return stream([b"data: " + msgspec.json.encode(answer) + b"\r\n\r\n" for answer in answers])
    encoded = [msgspec.json.encode(answer) for answer in answers]
    return stream([b"[" + encoded[0], *(b",\r\n" + each for each in encoded[1:]), b"]"], headers=JSON)


def gemini_count(request: Request) -> Script:
    return reply(b'{"totalTokens":%d}' % (len(request.body) // 4))


def gemini_models(request: Request) -> Script:
    return reply(b'{"models":[{"name":"models/gemini-3-pro","displayName":"Pro","inputTokenLimit":1048576}]}')


# --- errors, as each provider shapes them ---


def anthropic_error(status: int, kind: str, retry_after: str = "7") -> Script:
    body = {
        "type": "error",
        "error": {"type": kind, "message": "Try later"},
        "request_id": "req_011CSHoEeqs5C35",
    }
    headers = (
        ("Content-Type", "application/json"),
        ("retry-after", retry_after),
        ("x-should-retry", "true"),
        ("request-id", "req_011CSHoEeqs5C35"),
        ("anthropic-ratelimit-requests-remaining", "0"),
    )
    return reply(msgspec.json.encode(body), status, headers)


def openai_error(status: int, kind: str, retry_after: str = "7") -> Script:
    body = {"error": {"message": "Try later", "type": kind, "param": None, "code": kind}}
    headers = (
        ("Content-Type", "application/json"),
        ("retry-after", retry_after),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-request-id", "req_0a1b2c"),
    )
    return reply(msgspec.json.encode(body), status, headers)


def gemini_error(status: int, kind: str, retry_after: str = "7") -> Script:
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    body = {"error": {"code": status, "message": "Try later", "status": kind, "details": [detail]}}
    headers = (("Content-Type", "application/json; charset=UTF-8"), ("Retry-After", retry_after))
    return reply(msgspec.json.encode(body), status, headers)


def echo(request: Request) -> Script:
    """The body comes back as it went, with its content type."""
    kind = request.header("content-type") or "application/octet-stream"
    return reply(request.body, headers=(("content-type", kind), ("x-echo", f"{request.method} {request.target}")))


def models(request: Request) -> Script:
    """/v1/models is asked of three providers; they differ by their headers."""
    if request.header("anthropic-version"):
        return anthropic_models(request)
    return gemini_models(request) if request.header("x-goog-api-key") else openai_models(request)


ANSWERS: tuple[tuple[str, str, Callable[[Request], Script]], ...] = (
    ("POST", r"/v1/messages", anthropic_messages),
    ("POST", r"/v1/messages/count_tokens", anthropic_count),
    ("POST", r"/v1/chat/completions", chat_completions),
    ("POST", r"/v1/responses", responses),
    ("POST", r"/v1/responses/input_tokens", responses_count),
    ("POST", r"/v1(beta)?/models/[^/]+:generateContent", gemini_generate),
    ("POST", r"/v1(beta)?/models/[^/]+:streamGenerateContent", gemini_stream),
    ("POST", r"/v1(beta)?/models/[^/]+:countTokens", gemini_count),
    ("GET", r"/v1beta/models", gemini_models),
    ("GET", r"/v1/models", models),
)


def default_answer(request: Request) -> Script:
    """The first fitting answer of the table, else an echo. HEAD gets GET's head without a body."""
    method = "GET" if request.method == "HEAD" else request.method
    for wanted, pattern, answer in ANSWERS:
        if method == wanted and re.fullmatch(pattern, request.path):
            return without_body(answer(request)) if request.method == "HEAD" else answer(request)
    return without_body(echo(request)) if request.method == "HEAD" else echo(request)


def without_body(script: Script) -> Script:
    """The head alone of an answer that is one send."""
    head, found, _ = script.steps[0][1].partition(b"\r\n\r\n")
    return Script((("send", head + found),))
