"""Where the texts of tool results are, in each API's shape; and what is never one."""

import json
from typing import Any

import pytest

from proxy_pkg.planning.find import Outline, outline, question_in
from proxy_pkg.protocols.anthropic import MESSAGES
from proxy_pkg.protocols.bedrock import CONVERSE
from proxy_pkg.protocols.gemini import GENERATE
from proxy_pkg.protocols.grammar import Protocol
from proxy_pkg.protocols.openai_chat import CHAT
from proxy_pkg.protocols.openai_responses import RESPONSES

RESULT = "line one\nline two"


def read(item: Any, protocol: Protocol, **options: Any) -> tuple[bytes, Outline]:
    assert protocol.conversation is not None
    data = json.dumps(item, **options).encode()
    return data, outline(data, protocol.conversation)


RESULTS: list[tuple[str, Protocol, Any]] = [
    (
        "anthropic string",
        MESSAGES,
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": RESULT}]},
    ),
    (
        "anthropic parts",
        MESSAGES,
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "not this"},
                {
                    "type": "tool_result",
                    "tool_use_id": "c1",
                    "is_error": True,
                    "content": [
                        {"type": "image", "source": {"type": "base64", "data": "AAAA"}},
                        {"type": "text", "text": RESULT, "cache_control": {"type": "ephemeral"}},
                    ],
                },
            ],
        },
    ),
    (
        "bedrock text",
        CONVERSE,
        {
            "role": "user",
            "content": [
                {"text": "not this"},
                {
                    "toolResult": {
                        "toolUseId": "c1",
                        "status": "success",
                        "content": [
                            {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
                            {"text": RESULT},
                            {"document": {"name": "n", "format": "txt", "source": {"bytes": "AAAA"}}},
                        ],
                    }
                },
                {"cachePoint": {"type": "default"}},
            ],
        },
    ),
    (
        "bedrock json",
        CONVERSE,
        {
            "role": "user",
            "content": [{"toolResult": {"toolUseId": "c1", "content": [{"json": {"a": [1, {"out": RESULT}]}}]}}],
        },
    ),
    ("chat string", CHAT, {"role": "tool", "tool_call_id": "c1", "content": RESULT}),
    ("chat parts", CHAT, {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": RESULT}]}),
    ("responses string", RESPONSES, {"type": "function_call_output", "call_id": "c1", "output": RESULT}),
    ("responses custom", RESPONSES, {"type": "custom_tool_call_output", "call_id": "c1", "output": RESULT}),
    (
        "responses parts",
        RESPONSES,
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": RESULT}]},
    ),
    (
        "responses shell",
        RESPONSES,
        {"type": "shell_call_output", "call_id": "c1", "output": [{"stdout": RESULT, "outcome": {"exit_code": 0}}]},
    ),
    (
        "gemini",
        GENERATE,
        {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "f", "response": {"output": RESULT}}}]},
    ),
    (
        "gemini deeper, snake case",
        GENERATE,
        {"parts": [{"function_response": {"id": "c1", "name": "f", "response": {"a": [{"b": RESULT}], "n": 1}}}]},
    ),
]


@pytest.mark.parametrize(("protocol", "item"), [case[1:] for case in RESULTS], ids=[case[0] for case in RESULTS])
@pytest.mark.parametrize("indent", [None, 2])
def test_the_text_of_a_tool_result_is_found_where_it_stands(protocol: Protocol, item: Any, indent: int | None) -> None:
    data, found = read(item, protocol, indent=indent)
    assert [text.text for text in found.texts] == [RESULT]
    text = found.texts[0]
    assert text.call == "c1"
    assert json.loads(data[text.start : text.end]) == RESULT


ROWS = [{"id": n, "name": f"näme {n}", "of": {"a": [1.50, None]}} for n in range(4)]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("protocol", "wrap"),
    [
        (
            GENERATE,
            lambda value: {"parts": [{"functionResponse": {"id": "c1", "name": "f", "response": value}}]},
        ),
        (
            CONVERSE,
            lambda value: {"content": [{"toolResult": {"toolUseId": "c1", "content": [{"json": value}]}}]},
        ),
    ],
)
def test_an_array_of_records_is_one_text_as_it_is_spelled(protocol: Protocol, wrap: Any, indent: int | None) -> None:
    data, found = read(wrap({"data": {"rows": ROWS, "total": 4}, "note": RESULT}), protocol, indent=indent)
    rows, note = found.texts
    assert json.loads(rows.text) == ROWS
    assert data[rows.start : rows.end].decode() == rows.text
    assert (note.text, rows.call, note.call) == (RESULT, "c1", "c1")
    assert [rows.index, note.index] == [0, 1]


def test_records_that_hold_long_texts_are_planned_text_by_text() -> None:
    rows = [{"id": n, "body": {"text": "x" * 400}} for n in range(3)]
    item = {"parts": [{"functionResponse": {"name": "f", "response": {"rows": rows, "few": ROWS[:2]}}}]}
    _, found = read(item, GENERATE)
    assert [text.text for text in found.texts] == ["x" * 400] * 3 + ["näme 0", "näme 1"]


def test_an_array_that_its_api_knows_stays_an_array() -> None:
    outputs = [{"stdout": RESULT, "outcome": {"exit_code": 0}, "more": ROWS}] * 3
    _, found = read({"type": "shell_call_output", "call_id": "c1", "output": outputs}, RESPONSES)
    assert RESULT in [text.text for text in found.texts]
    assert not any(text.text.startswith("[") for text in found.texts)


CALLS: list[tuple[str, Protocol, Any]] = [
    (
        "anthropic",
        MESSAGES,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {"path": "a"}}]},
    ),
    (
        "chat",
        CHAT,
        {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": '{"path":"a"}'}}]},
    ),
    (
        "responses",
        RESPONSES,
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"path": "a"}'},
    ),
    (
        "bedrock",
        CONVERSE,
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "f", "input": {"path": "a"}}}]},
    ),
    ("gemini", GENERATE, {"parts": [{"functionCall": {"id": "c1", "name": "f", "args": {"path": "a"}}}]}),
]


@pytest.mark.parametrize(("protocol", "item"), [case[1:] for case in CALLS], ids=[case[0] for case in CALLS])
def test_a_tool_call_is_known_by_id_name_and_arguments(protocol: Protocol, item: Any) -> None:
    _, found = read(item, protocol)
    [(call, producer)] = found.calls
    assert (call, producer.name, dict(producer.arguments)) == ("c1", "f", {"path": "a"})
    assert found.texts == ()


NOT_RESULTS: list[tuple[Protocol, Any]] = [
    (MESSAGES, {"role": "user", "content": "tool_result is a word"}),
    (MESSAGES, {"role": "user", "content": [{"type": "text", "text": "tool_result"}]}),
    (MESSAGES, {"role": "assistant", "content": [{"type": "thinking", "thinking": "tool_use", "signature": "s"}]}),
    (
        MESSAGES,
        {"content": [{"type": "web_search_tool_result", "tool_use_id": "c", "content": [{"encrypted_content": "x"}]}]},
    ),
    (
        MESSAGES,
        {"content": [{"type": "tool_result", "tool_use_id": "c", "content": [{"type": "document", "text": "x"}]}]},
    ),
    (MESSAGES, {"content": [{"type": "tool_result", "tool_use_id": "c", "content": {"text": "odd"}}]}),
    (MESSAGES, {"content": [{"type": "tool_result", "tool_use_id": "c"}]}),
    (CONVERSE, {"role": "user", "content": [{"text": "toolResult"}]}),
    (CONVERSE, {"content": [{"toolResult": {"toolUseId": "c", "content": [{"image": {"source": {"bytes": "A"}}}]}}]}),
    (CONVERSE, {"content": [{"toolResult": {"toolUseId": "c", "content": [{"type": "odd", "text": "x"}]}}]}),
    (MESSAGES, {"content": [{"type": "tool_result", "tool_use_id": "c", "content": [{"text": "no type"}]}]}),
    (CHAT, {"role": "user", "content": "tool"}),
    (CHAT, {"role": "assistant", "content": "the tool said", "tool_calls": None}),
    (RESPONSES, {"type": "reasoning", "encrypted_content": "function_call", "summary": []}),
    (RESPONSES, {"type": "mcp_call", "output": "x", "name": "_call"}),
    (GENERATE, {"parts": [{"text": "functionResponse"}, {"functionResponse": "odd"}]}),
    (GENERATE, {"parts": "functionCall"}),
]


@pytest.mark.parametrize(("protocol", "item"), NOT_RESULTS)
def test_what_is_no_tool_result_is_never_touched(protocol: Protocol, item: Any) -> None:
    assert read(item, protocol)[1].texts == ()


def test_a_doubtful_item_is_left_alone_and_says_so() -> None:
    twice = b'{"content":[{"type":"tool_result","tool_use_id":"c","content":"a","content":"b"}]}'
    assert MESSAGES.conversation is not None
    assert outline(twice, MESSAGES.conversation) == Outline(doubt="item_unreadable")
    deep = b'{"content":[{"type":"tool_result","content":' + b"[" * 3000 + b"]" * 3000 + b"}]}"
    assert outline(deep, MESSAGES.conversation).doubt == "item_unreadable"
    huge = b'{"content":[{"type":"tool_result","content":"' + b"x" * (9 << 20) + b'"}]}'
    assert outline(huge, MESSAGES.conversation).doubt == "item_too_large"


def test_leading_comma_and_blanks_of_an_item_do_not_shift_its_texts() -> None:
    item = json.dumps({"role": "tool", "tool_call_id": "c", "content": RESULT}).encode()
    assert CHAT.conversation is not None
    plain = outline(item, CHAT.conversation).texts[0]
    shifted = outline(b" ,\n  " + item, CHAT.conversation).texts[0]
    assert (shifted.start, shifted.end) == (plain.start + 5, plain.end + 5)


def test_a_lone_surrogate_elsewhere_in_an_item_does_not_hide_its_results() -> None:
    item = rb'{"role":"tool","tool_call_id":"c","content":"fine","note":"\ud83d"}'
    assert CHAT.conversation is not None
    assert [text.text for text in outline(item, CHAT.conversation).texts] == ["fine"]


QUESTIONS: list[tuple[str, Protocol, Any]] = [
    ("anthropic string", MESSAGES, {"role": "user", "content": "Why?"}),
    ("anthropic parts", MESSAGES, {"role": "user", "content": [{"type": "text", "text": "Why?"}]}),
    ("chat string", CHAT, {"role": "user", "content": "Why?"}),
    ("responses parts", RESPONSES, {"role": "user", "content": [{"type": "input_text", "text": "Why?"}]}),
    ("gemini", GENERATE, {"role": "user", "parts": [{"text": "Why?"}]}),
]


@pytest.mark.parametrize(("protocol", "item"), [case[1:] for case in QUESTIONS], ids=[case[0] for case in QUESTIONS])
def test_the_users_own_words_are_found(protocol: Protocol, item: Any) -> None:
    assert protocol.conversation is not None
    assert question_in(b", " + json.dumps(item).encode(), protocol.conversation) == "Why?"


@pytest.mark.parametrize("item", [{"role": "assistant", "content": "So."}, {"role": "user"}, [], "x", 1])
def test_nobody_elses_words_are_a_question(item: Any) -> None:
    assert MESSAGES.conversation is not None
    assert question_in(json.dumps(item).encode(), MESSAGES.conversation) == ""
    assert question_in(b"{broken", MESSAGES.conversation) == ""
