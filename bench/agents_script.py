"""What the fake upstream answers to an agent: one tool call after the other, then a sentence.

An answer depends on the request alone: which calls it shows to be answered. So an agent may ask again after a fault.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tests.fakes import answers
from tests.fakes.exchange import Request
from tests.fakes.scripts import Script, stream

Call = tuple[str, dict[str, Any]]
"""A tool's name and its arguments."""
Api = Callable[[Request, Sequence[Call]], Script]

_ID = re.compile(rb"call_bench_([0-9]+)")


def _id(number: int) -> str:
    return f"call_bench_{number:03}"


def calls_made(request: Request) -> int:
    """How many of the calls the request knows."""
    return len(set(_ID.findall(request.body)))


def has_tools(request: Request) -> bool:
    """Whether the request belongs to the conversation with tools, and not to one that asks for a title."""
    return bool(answers.parsed(request).get("tools"))


def _next(request: Request, calls: Sequence[Call], made: int) -> Call | None:
    return calls[made] if has_tools(request) and made < len(calls) else None


def messages(request: Request, calls: Sequence[Call]) -> Script:
    """As Anthropic's API streams it."""
    body, made = answers.parsed(request), calls_made(request)
    call = _next(request, calls, made)
    if call is None:
        return answers.anthropic_messages(_without_tools(request))
    block = {"type": "tool_use", "id": _id(made), "name": call[0], "input": call[1]}
    return stream(answers.anthropic_events(body, block, "tool_use"))


def responses(request: Request, calls: Sequence[Call]) -> Script:
    """As OpenAI's newer API streams it."""
    body, made = answers.parsed(request), calls_made(request)
    call = _next(request, calls, made)
    if call is None:
        return answers.responses(_without_tools(request))
    item = {
        "type": "function_call",
        "id": f"fc_{made}",
        "call_id": _id(made),
        "name": call[0],
        "arguments": msgspec.json.encode(call[1]).decode(),
        "status": "completed",
    }
    return stream([answers.data_event(event, event["type"]) for event in answers.response_events(body, item)])


def chat(request: Request, calls: Sequence[Call]) -> Script:
    """As OpenAI's older API streams it, and all that speak it."""
    body, made = answers.parsed(request), calls_made(request)
    call = _next(request, calls, made)
    if call is None:
        return answers.chat_completions(_without_tools(request))
    function = {"name": call[0], "arguments": msgspec.json.encode(call[1]).decode()}
    message = {"role": "assistant", "content": None}
    message |= {"tool_calls": [{"id": _id(made), "type": "function", "function": function}]}
    common = {"id": f"chatcmpl-{made}", "created": 1_741_570_283, "model": body.get("model", "")}
    common["object"] = "chat.completion.chunk"
    return stream([*answers.chat_events(common, message, "tool_calls", with_usage=True), b"data: [DONE]\n\n"])


def gemini(request: Request, calls: Sequence[Call]) -> Script:
    """As Google's API streams it. Its calls need no id, so the results are counted."""
    contents = answers.parsed(request).get("contents") or []
    made = sum("functionResponse" in part for content in contents for part in content.get("parts", ()))
    call = _next(request, calls, made)
    if call is None:
        return answers.gemini_stream(_without_tools(request))
    part = {"functionCall": {"name": call[0], "args": call[1]}, "thoughtSignature": answers.SIGNATURE}
    answer = answers.gemini_answer([part], last=True)
    return stream([b"data: " + msgspec.json.encode(answer) + b"\r\n\r\n"])


def _without_tools(request: Request) -> Request:
    """The request, so changed that answers.py answers with a sentence."""
    body = answers.parsed(request)
    body.pop("tools", None)
    changed = Request(request.connection, request.number, request.head, request.head_at)
    changed.body = msgspec.json.encode(body)
    return changed
