"""What an answer says that it cost is found in each API's form, however the answer is cut; nothing else is."""

import gzip
import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_pkg.protocols import anthropic, bedrock, gemini, openai_chat, openai_responses
from proxy_pkg.protocols.grammar import Protocol, UsageMap
from proxy_pkg.web.usage import CODED_BYTES_MAX, HEAD_BYTES, TAIL_BYTES, Copy, Usage, usage_in


def places(protocol: Protocol) -> UsageMap:
    assert protocol.usage is not None
    return protocol.usage


MESSAGES, CHAT, RESPONSES, GENERATE, CONVERSE = map(
    places,
    (
        anthropic.MESSAGES,
        openai_chat.CHAT,
        openai_responses.RESPONSES,
        gemini.GENERATE,
        bedrock.CONVERSE,
    ),
)


def events(*values: object) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


STREAM = events(
    {
        "type": "message_start",
        "message": {
            "content": [],
            "usage": {
                "input_tokens": 12,
                "cache_creation_input_tokens": 300,
                "cache_read_input_tokens": 4000,
                "cache_creation": {"ephemeral_5m_input_tokens": 300},
                "output_tokens": 1,
            },
        },
    },
    *(
        {"type": "content_block_delta", "delta": {"text": f'He said "usage": {{"output_tokens": 9}} {n}'}}
        for n in range(900)
    ),
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 77}},
    {"type": "message_stop"},
)
CASES = {
    "anthropic": (
        MESSAGES,
        {"content": [], "usage": {"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 3}},
        Usage(5, 7, 0, 3),
    ),
    "chat": (
        CHAT,
        {"usage": {"prompt_tokens": 100, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 64}}},
        Usage(36, 64, 0, 9),
    ),
    "chat without details": (CHAT, {"usage": {"prompt_tokens": 100, "completion_tokens": 9}}, Usage(100, 0, 0, 9)),
    "responses": (
        RESPONSES,
        {
            "response": {
                "usage": {"input_tokens": 50, "input_tokens_details": {"cached_tokens": 20}, "output_tokens": 4}
            }
        },
        Usage(30, 20, 0, 4),
    ),
    "gemini": (
        GENERATE,
        {
            "usageMetadata": {
                "promptTokenCount": 80,
                "cachedContentTokenCount": 60,
                "candidatesTokenCount": 5,
                "thoughtsTokenCount": 6,
                "totalTokenCount": 91,
            }
        },
        Usage(20, 60, 0, 11),
    ),
    "bedrock": (
        CONVERSE,
        {"usage": {"inputTokens": 1, "outputTokens": 2, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 4}},
        Usage(1, 3, 4, 2),
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("indent", [None, 2])
def test_each_api_tells_it_in_its_own_words(name: str, indent: int | None) -> None:
    usage_map, body, usage = CASES[name]
    assert usage_in(json.dumps(body, indent=indent).encode(), usage_map) == usage


def test_a_stream_tells_it_in_two_events() -> None:
    assert usage_in(STREAM, MESSAGES) == Usage(12, 4000, 300, 77)


@given(st.integers(0, 2**32))
def test_chunks_may_be_cut_anywhere(seed: int) -> None:
    chance, copy, at = Random(seed), Copy(), 0
    while at < len(STREAM):
        end = at + chance.choice([1, 2, 3, 50, 700, 5000])
        copy.take(STREAM[at:end])
        at = end
    assert usage_in(copy.text(), MESSAGES) == Usage(12, 4000, 300, 77)


def test_a_stream_that_was_cut_tells_what_came() -> None:
    assert usage_in(STREAM[:20_000], MESSAGES) == Usage(12, 4000, 300, 1)
    assert usage_in(STREAM[:90], MESSAGES) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'{"usage": null}',
        b'{"usage": {}}',
        b'{"usage": {"input_tokens": "many", "output_tokens": -3}}',
        b'{"usage": {"input_tokens": 99999999999999999999}}',
        b'{"usage": [1, 2]}',
        b'{"usage": {"input_tokens": {"deep": 1}}}',
        b'{"text": "\\"usage\\": {\\"input_tokens\\": 5}"}',
        b'{"usage": {' + b'"a": {' * 5000,
        b"\xff\xfe" * 100 + b'"usage": {"' + b"\xff" * 99,
    ],
)
def test_what_tells_nothing_is_none(data: bytes) -> None:
    assert usage_in(data, MESSAGES) is None


def test_a_copy_is_bounded() -> None:
    copy = Copy()
    for _ in range(10_000):
        copy.take(b"x" * 1000)
    assert len(copy.text()) <= HEAD_BYTES + TAIL_BYTES + 2000


def test_coded_answers_are_read_up_to_a_bound() -> None:
    copy = Copy("gzip")
    coded = gzip.compress(STREAM)
    for at in range(0, len(coded), 100):
        copy.take(coded[at : at + 100])
    assert usage_in(copy.text(), MESSAGES) == Usage(12, 4000, 300, 77)
    copy.take(b"rubbish")
    assert copy.text() == b""
    long = Copy("gzip")
    for _ in range(CODED_BYTES_MAX // 1000 + 3):
        long.take(b"x" * 1000)
    assert long.text() == b""
