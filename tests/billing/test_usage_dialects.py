"""Usage in the words of each service that speaks an API, and in no words of a model."""

import base64
import json
import struct
import zlib
from typing import Any

import pytest

from proxy_pkg.billing.usage import Usage, usage_in
from proxy_pkg.protocols import anthropic, bedrock, clouds, cohere, gemini, openai_chat, openai_responses
from proxy_pkg.protocols.grammar import Protocol
from proxy_pkg.wire.tellings import TRIES_MAX

FAKE = {
    "usage": {
        "input_tokens": 10**6,
        "cache_read_input_tokens": 10**6,
        "output_tokens": 10**6,
        "inputTokens": 10**6,
        "outputTokens": 10**6,
        "prompt_tokens": 10**6,
    },
    "usageMetadata": {"promptTokenCount": 10**6, "cachedContentTokenCount": 10**6, "candidatesTokenCount": 10**6},
}
"""What a model may write as the arguments of a tool."""


def counts(protocol: Protocol, data: bytes, *, ends: bool = True) -> Usage | None:
    assert protocol.usage is not None
    return usage_in(data, protocol.usage, ends=ends)


def events(*values: object) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


def frame(payload: object, kind: str = "chunk") -> bytes:
    """A message of Amazon's event stream: lengths, headers, payload, checksums."""
    headers = b"".join(
        bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value
        for name, value in (
            (b":event-type", kind.encode()),
            (b":content-type", b"application/json"),
            (b":message-type", b"event"),
        )
    )
    data = json.dumps(payload, separators=(",", ":")).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(data), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + data
    return message + struct.pack(">I", zlib.crc32(message))


def coded(value: object) -> bytes:
    return frame({"bytes": base64.b64encode(json.dumps(value).encode()).decode(), "p": "abcdefgh"})


START = {
    "type": "message_start",
    "message": {
        "model": "claude-x",
        "usage": {"input_tokens": 7, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 9},
    },
}
DELTA = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
CALL = {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "input": FAKE}}


def test_summing_a_conversation_up_is_paid_beside_the_answer() -> None:
    usage = {
        "input_tokens": 612,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 2819,
        "iterations": [
            {"type": "compaction", "input_tokens": 385, "cache_read_input_tokens": 60_000, "output_tokens": 522},
            {"type": "message", "input_tokens": 612, "cache_read_input_tokens": 0, "output_tokens": 2819},
        ],
    }
    assert counts(anthropic.MESSAGES, events(START, DELTA | {"usage": usage})) == Usage(997, 60_000, 0, 3341)


def test_many_iterations_are_read_whole() -> None:
    iteration = {"type": "message", "input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 3}
    usage = {"input_tokens": 100, "output_tokens": 300, "iterations": [iteration] * 200}
    data = events(START, DELTA | {"usage": usage})
    assert counts(anthropic.MESSAGES, data) == Usage(100, 50, 9, 300)


def test_writes_that_are_kept_for_an_hour_are_told_apart() -> None:
    split = {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 7}
    message = START["message"] | {"usage": START["message"]["usage"] | {"cache_creation": split}}  # type: ignore[index, operator]
    found = counts(anthropic.MESSAGES, events({"type": "message_start", "message": message}, DELTA))
    assert found == Usage(7, 50, 9, 5, cache_write_1h=7)


@pytest.mark.parametrize("cut", range(0, 12))
def test_bedrock_has_each_event_in_base64_in_a_frame(cut: int) -> None:
    stream = b"".join(map(coded, (START, CALL, *[{"type": "ping"}] * 20, DELTA)))
    assert counts(clouds.BEDROCK_INVOKE, stream) == Usage(7, 50, 9, 5)
    assert counts(clouds.BEDROCK_INVOKE, stream[: -1 - cut * 20], ends=False) in (
        Usage(7, 50, 9, 5),
        Usage(7, 50, 9, 0),
    )


def test_bedrock_tells_a_whole_answer_as_the_model_does() -> None:
    body = {"content": [CALL["content_block"]], "usage": {"input_tokens": 3, "output_tokens": 2}}
    assert counts(clouds.BEDROCK_INVOKE, json.dumps(body).encode()) == Usage(3, 0, 0, 2)
    nova = [
        {"contentBlockStart": {"start": {"toolUse": {"input": FAKE}}}},
        {"metadata": {"usage": {"inputTokens": 30, "outputTokens": 4, "cacheReadInputTokenCount": 6}}},
    ]
    assert counts(clouds.BEDROCK_INVOKE, b"".join(map(coded, nova))) == Usage(30, 6, 0, 4)


def test_converse_streams_json_in_frames() -> None:
    usage = {"inputTokens": 30, "outputTokens": 4, "cacheReadInputTokens": 6, "cacheWriteInputTokens": 8}
    stream = (
        frame({"role": "assistant"}, "messageStart")
        + frame({"contentBlockIndex": 0, "delta": {"toolUse": {"input": json.dumps(FAKE)}}}, "contentBlockDelta")
        + frame({"contentBlockIndex": 0, "delta": FAKE}, "contentBlockDelta")
        + frame({"metrics": {"latencyMs": 5}, "usage": usage, "p": "ab"}, "metadata")
    )
    assert counts(bedrock.CONVERSE, stream) == Usage(30, 6, 8, 4)


def test_gemini_tells_it_in_every_part_of_a_stream_or_list_and_wrapped_by_code_assist() -> None:
    def part(output: int, **more: Any) -> dict[str, Any]:
        usage = {"promptTokenCount": 80, "candidatesTokenCount": output, "toolUsePromptTokenCount": 4} | more
        call = {"functionCall": {"name": "f", "args": FAKE}}
        return {"candidates": [{"content": {"parts": [call]}}], "usageMetadata": usage, "modelVersion": "gemini-x"}

    parts = [part(1), part(5), part(9, thoughtsTokenCount=6, cachedContentTokenCount=60)]
    wanted = Usage(24, 60, 0, 15)
    assert counts(gemini.GENERATE, events(*parts)) == wanted
    for indent in (None, 2):
        assert counts(gemini.GENERATE, json.dumps(parts, indent=indent).encode()) == wanted
        assert counts(gemini.GENERATE, json.dumps(parts[-1], indent=indent).encode()) == wanted
    wrapped = [{"response": each, "traceId": "t"} for each in parts]
    assert counts(clouds.CODE_ASSIST_GENERATE, events(*wrapped)) == wanted
    assert counts(clouds.CODE_ASSIST_GENERATE, json.dumps(wrapped).encode()) == wanted


@pytest.mark.parametrize(
    ("usage", "wanted"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}, Usage(9, 0, 0, 2)),
        # What is thought is in the total alone.
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "total_tokens": 31,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            Usage(9, 0, 0, 22),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 5}, Usage(4, 5, 0, 2)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 5},
                "prompt_cache_hit_tokens": 5,
                "cached_tokens": 5,
            },
            Usage(4, 5, 0, 2),
        ),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 50, "cache_write_tokens": 30, "audio_tokens": 1},
            },
            Usage(20, 50, 30, 2),
        ),
        ({"prompt_tokens": 9.5, "completion_tokens": True, "total_tokens": -1}, None),
        ({"prompt_tokens": "9", "completion_tokens": None, "total_tokens": 10**30}, None),
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": None}, Usage(9, 0, 0, 2)),
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": [5]}, Usage(9, 0, 0, 2)),
    ],
)
def test_servers_that_speak_chat_have_words_of_their_own(usage: dict[str, Any], wanted: Usage | None) -> None:
    chunk = {"choices": [], "usage": usage, "service_tier": "default"}
    assert counts(openai_chat.CHAT, events({"choices": [], "usage": None}, chunk) + b"data: [DONE]\n\n") == wanted
    assert counts(openai_chat.CHAT, json.dumps(chunk, indent=1).encode()) == wanted
    assert counts(openai_chat.CHAT, events({"choices": [], "x_groq": {"id": "r", "usage": usage}})) == wanted


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete", "response.failed"])
def test_a_response_tells_it_in_whichever_event_ends_it(kind: str) -> None:
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 50, "cache_write_tokens": 30},
        "output_tokens": 9,
        "total_tokens": 109,
    }
    schema = {"type": "object", "properties": {"usage": {"type": "object", "input_tokens": {"type": "integer"}}}}
    response = {"instructions": "x" * 60_000, "tools": [{"parameters": schema}], "usage": usage, "user": None}
    stream = events({"type": "response.created", "response": {"usage": None}}, {"type": kind, "response": response})
    for data in (stream, stream[-20_000:], stream.replace(b"\n", b"\r\n")):
        assert counts(openai_responses.RESPONSES, data) == Usage(20, 50, 30, 9)
    after = {"type": kind, "response": {"usage": usage, "tools": [{"parameters": schema}]}}
    assert counts(openai_responses.RESPONSES, events(after)) == Usage(20, 50, 30, 9)


def test_what_a_model_writes_is_not_usage() -> None:
    block = CALL["content_block"]
    assert counts(anthropic.MESSAGES, json.dumps({"content": [block]}).encode()) is None
    assert counts(anthropic.MESSAGES, events(CALL)) is None
    whole = {"usage": {"input_tokens": 3, "output_tokens": 2}, "content": [block]}  # as a gateway might order it
    assert counts(anthropic.MESSAGES, json.dumps(whole).encode()) == Usage(3, 0, 0, 2)
    assert counts(anthropic.MESSAGES, json.dumps(whole | {"usage": None}).encode()) is None
    converse = {"output": {"message": {"content": [{"toolUse": {"input": FAKE}}]}}}
    assert counts(bedrock.CONVERSE, json.dumps(converse).encode()) is None
    call = {"candidates": [{"content": {"parts": [{"functionCall": {"args": FAKE}}]}}]}
    assert counts(gemini.GENERATE, json.dumps(call).encode()) is None
    assert counts(gemini.GENERATE, json.dumps([call, call]).encode()) is None
    assert counts(gemini.GENERATE, events(call)) is None


def test_a_text_made_of_such_keys_is_left_soon() -> None:
    """Each of them would be read to its end: as many of these as fit would take a second."""
    nested = b'{"usage":' * 4000 + b"{}" + b"}" * 4000
    assert counts(anthropic.MESSAGES, b'{"content":[' + nested + b"]}") is None
    many = json.dumps({"content": [FAKE] * (TRIES_MAX * 20)}).encode()
    assert counts(anthropic.MESSAGES, many) is None


@pytest.mark.parametrize("separator", [b"\n", b"\r\n", b"\r"])
def test_every_cut_of_a_stream_tells_what_had_come(separator: bytes) -> None:
    parts = [events(each).replace(b"\n", separator) for each in (START, CALL, DELTA)]
    stream, started = b"".join(parts), len(parts[0]) - 2 * len(separator)
    for cut in range(len(stream)):
        wanted = Usage(7, 50, 9, 0) if cut > started else None
        if cut > len(stream) - 2 * len(separator):
            wanted = Usage(7, 50, 9, 5)
        assert counts(anthropic.MESSAGES, stream[:cut], ends=False) == wanted, cut
    assert counts(anthropic.MESSAGES, stream.rstrip()) == Usage(7, 50, 9, 5)


def test_no_cut_of_a_whole_answer_takes_a_models_words_for_usage() -> None:
    for protocol, body in (
        (anthropic.MESSAGES, {"content": [CALL["content_block"]], "stop_reason": "tool_use"}),
        (bedrock.CONVERSE, {"output": {"message": {"content": [{"toolUse": {"input": FAKE}}]}}}),
        (gemini.GENERATE, [{"candidates": [{"content": {"parts": [{"functionCall": {"args": FAKE}}]}}]}]),
    ):
        data = json.dumps(body).encode()
        assert all(counts(protocol, data[:cut], ends=False) is None for cut in range(len(data) + 1))


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    data = b'{"usage":{"input_tokens":5,"output_tokens":1},"usage":{"input_tokens":6,"input_tokens":7}}'
    assert counts(anthropic.MESSAGES, data) == Usage(7, 0, 0, 0)


def test_cohere_tells_it_at_the_end_of_a_stream_too() -> None:
    usage = {
        "billed_units": {"input_tokens": 5, "output_tokens": 7},
        "tokens": {"input_tokens": 20, "output_tokens": 7},
    }
    plain = json.dumps({"id": "x", "message": {"role": "assistant"}, "usage": usage}).encode()
    stream = events(
        {"type": "content-delta", "delta": {"message": {"content": {"text": "x"}}}},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}},
    )
    for text in (plain, stream):
        found = counts(cohere.CHAT, text)
        assert found is not None
        assert (found.input_total, found.output) == (20, 7)


INTERACTION = {
    "id": "i",
    "model": "gemini-3.8-flash",
    "outputs": [{"type": "function_call", "arguments": FAKE}],
    "usage": {
        "total_input_tokens": 100,
        "total_cached_tokens": 40,
        "total_tool_use_tokens": 6,
        "total_output_tokens": 20,
        "total_thought_tokens": 5,
        "total_tokens": 131,
    },
}


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(INTERACTION).encode(),
        events({"event_type": "content.delta"}, {"event_type": "interaction.complete", "interaction": INTERACTION})
        + b"data: [DONE]\n\n",
    ],
)
def test_an_interaction_tells_its_usage(data: bytes) -> None:
    assert counts(gemini.INTERACTIONS, data) == Usage(input=66, cache_read=40, output=25)
