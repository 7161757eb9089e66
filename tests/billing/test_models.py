"""The model of a request is told without reading the request through, and no text or tool is taken for one."""

import json
from typing import Any

import pytest

from proxy_pkg.billing.models import asked_in, label, reported_in
from proxy_pkg.protocols import anthropic, bedrock, gemini
from proxy_pkg.protocols.grammar import Protocol, UsageMap


def usage(protocol: Protocol) -> UsageMap:
    assert protocol.usage is not None
    return protocol.usage


LONG = {"role": "user", "content": 'He wrote "model": "not-this", and {"model": "nor-this"}. ' * 1000}
TOOL = {"type": "tool_use", "input": {"model": "nor-this"}}


@pytest.mark.parametrize(
    ("body", "model"),
    [
        ({"model": "claude-x", "messages": [LONG]}, "claude-x"),
        ({"stream": True, "temperature": 0.5, "stop": None, "model": "gpt-5", "messages": [LONG]}, "gpt-5"),
        ({"max_tokens": 5, "messages": [LONG], "model": "gpt-5", "n": 1}, "gpt-5"),
        ({"messages": [LONG], "model": "a/b:c", "tools": [{"type": "function"}]}, "a/b:c"),
        ({"messages": [LONG, TOOL]}, ""),
        ({"messages": [LONG, TOOL], "stream": True}, ""),
        ({"messages": [TOOL], "model": "short"}, "short"),
        ({"metadata": {"model": "nor-this"}, "model": "short", "messages": []}, "short"),
        ({"messages": []}, ""),
        ({"model": {"name": "x"}, "messages": [LONG]}, ""),
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_a_request_names_its_model(body: dict[str, Any], model: str, indent: int | None) -> None:
    assert asked_in(json.dumps(body, indent=indent).encode()) == model


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"model"', b'{"model":"', b'"model":"x"', b"\xff" * 9000, b'{"model":"x']
)
def test_what_is_no_request_names_none(data: bytes) -> None:
    assert asked_in(data) == ""


def test_an_answer_names_its_model() -> None:
    stream = b'data: {"type":"message_start","message":{"id":"m","model":"claude-x"}}'
    assert reported_in(stream, usage(anthropic.MESSAGES)) == ("claude-x", stream.index(b'"model"'))
    answer = b'{"candidates":[{"args":{"model":"no"},"text":"\\"modelVersion\\": 5"}],"modelVersion": "gemini-x"}'
    assert reported_in(answer, usage(gemini.GENERATE))[0] == "gemini-x"
    assert reported_in(b"{}", usage(anthropic.MESSAGES)) == ("", 0)
    assert reported_in(stream, usage(bedrock.CONVERSE)) == ("", 0)


def test_labels_are_plain() -> None:
    assert label("us.anthropic.claude-sonnet-4@20250514-v1:0") == "us.anthropic.claude-sonnet-4@20250514-v1:0"
    assert (label(""), label("a b"), label("x" * 65), label("\n")) == ("unknown", "other", "other", "other")
