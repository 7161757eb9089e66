"""How answers end, in the words of each API: with an error below a status of 200, or complete."""

import gzip
from base64 import b64encode
from random import Random

import pytest

from proxy_pkg.billing.usage import Copy
from proxy_pkg.protocols import anthropic, bedrock, clouds, gemini, openai_chat, openai_responses
from proxy_pkg.protocols.grammar import Protocol
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.web.endings import error_in, is_ended, look
from proxy_pkg.wire.encoding import encode

START = b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":1}}}\n\n'


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    head = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + len(value).to_bytes(2, "big") + value.encode()
        for name, value in headers.items()
    )
    length = 16 + len(head) + len(payload)
    return length.to_bytes(4, "big") + len(head).to_bytes(4, "big") + b"crc0" + head + payload + b"crc1"


def bedrock_event(kind: str, payload: bytes) -> bytes:
    return frame({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, payload)


THROTTLED = frame(
    {":exception-type": "throttlingException", ":content-type": "application/json", ":message-type": "exception"},
    b'{"message":"Too many requests"}',
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            START
            + b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
            "overloaded_error",
        ),
        (b'data: {"type": "error", "error": {"type": "rate_limit_error"}}\r\n\r\n', "rate_limit_error"),
        (b'data: {"error":{"message":"x","type":"server_error","code":null}}\n\ndata: [DONE]\n\n', "server_error"),
        (b'data: {"error":{"message":"x","code":429}}\n\n', "status_429"),
        (b'data: {"error":{"message":"x"}}\n\n', "unnamed"),
        (
            b'event: response.failed\ndata: {"type":"response.failed","response":{"id":"r","status":"failed","error":'
            b'{"code":"rate_limit_exceeded","message":"x"},"usage":null}}\n\n',
            "rate_limit_exceeded",
        ),
        (b'data: {"type":"response.failed","response":{"error":null}}\n\n', "response.failed"),
        (
            b'event: error\ndata: {"type":"error","code":"server_error","message":"\\"error\\"","param":null}\n\n',
            "server_error",
        ),
        (b'data: {"candidates":[]}\n\ndata: {"error":{"code":503,"status":"UNAVAILABLE"}}\n\n', "UNAVAILABLE"),
        (b'[{"candidates":[]}\n,\n{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}\n]', "UNAVAILABLE"),
        (b'{"error":{"message":"no credit","code":402}}', "status_402"),
        (bedrock_event("messageStart", b'{"role":"assistant"}') + THROTTLED, "throttlingException"),
    ],
)
def test_an_error_below_a_status_of_200(text: bytes, kind: str) -> None:
    assert error_in(text) == kind


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b'{"id":"resp_1","status":"completed","error":null,"output":[]}',
        b'data: {"type":"response.incomplete","response":{"error":null,"incomplete_details":{"reason":"max"}}}\n\n',
        b'data: {"type":"response.output_item.done","item":{"type":"mcp_call","error":{"type":"http_error"}}}\n\n',
        b'data: {"type":"content_block_delta","delta":{"text":"{\\"error\\":{\\"type\\":\\"x\\"}}"}}\n\n',
        b'{"content":[{"type":"tool_use","input":{"error":{"type":"overloaded_error"}}}],"usage":{}}',
        b'{"content":[{"type":"tool_use","input":{"type":"error"}}]}',
        b'data: {"type":"content_block_delta","delta":{"text":"event: error"}}\n\ndata: {"type":"message_stop"}\n\n',
    ],
)
def test_what_only_speaks_of_errors_is_none(text: bytes) -> None:
    assert error_in(text) == ""


def copied(text: bytes, coding: str = "") -> Copy:
    copy = Copy(coding)
    copy.parts.append(text)
    return copy


CHAT_USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'
COMPLETED = (
    b'event: response.completed\ndata: {"type":"response.completed","response":{"usage":{"input_tokens":1}}}\n\n'
)
GEMINI_LAST = b'data: {"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1}}\r\n\r\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


@pytest.mark.parametrize(
    ("protocol", "text", "ended"),
    [
        (anthropic.MESSAGES, START + STOP, True),
        (anthropic.MESSAGES, START, False),
        (anthropic.MESSAGES, START + STOP[:-2], False),
        (anthropic.MESSAGES, START + b'data: {"delta":{"text":"\\"message_stop\\""}}\n\n', False),
        (openai_chat.CHAT, b"data: {}\n\ndata: [DONE]\n\n", True),
        (openai_chat.CHAT, CHAT_USAGE, True),
        (openai_chat.CHAT, b'data: {"choices":[{"finish_reason":null}],"usage":{"total_tokens":1}}\n\n', False),
        (openai_responses.RESPONSES, COMPLETED, True),
        (openai_responses.RESPONSES, b'data: {"type":"response.created","response":{"usage":null}}\n\n', False),
        (gemini.GENERATE, GEMINI_LAST, True),
        (gemini.GENERATE, b'data: {"candidates":[{}],"usageMetadata":{"promptTokenCount":1}}\r\n\r\n', False),
        (bedrock.CONVERSE, bedrock_event("metadata", b'{"usage":{"inputTokens":1}}'), True),
        (bedrock.CONVERSE, bedrock_event("messageStop", b'{"stopReason":"end_turn"}'), False),
        (
            clouds.BEDROCK_INVOKE,
            bedrock_event("chunk", b'{"bytes":"' + b64encode(b'{"type":"message_stop"}') + b'"}'),
            True,
        ),
        (anthropic.OTHER, START + STOP, False),
    ],
)
def test_the_event_that_ends_an_answer(protocol: Protocol, text: bytes, ended: bool) -> None:
    assert is_ended(copied(text), protocol) is ended
    assert is_ended(copied(gzip.compress(text), "gzip"), protocol) is ended


@pytest.mark.parametrize("length", [10, 200_000])
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_an_error_at_the_end_of_a_coded_answer_is_seen(coding: str, length: int) -> None:
    noise = b"data: " + Random(1).randbytes(length).hex().encode() + b"\n\n"
    coded = encode(
        START + noise + b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n', coding
    )
    copy = Copy(coding)
    so_far = 0
    for at in range(0, len(coded) - 30, 1000):
        piece = coded[at : min(at + 1000, len(coded) - 30)]
        so_far += len(piece)
        copy.parts.append(piece)
        if so_far > copy.cut_at_bytes:
            copy.cut(so_far)
    record = RequestRecord(status_class="2xx", outcome="relayed")
    assert look(copy, record, coded[-30:]) == "the upstream's answer ended with an error: overloaded_error"
    assert record.outcome == "failed"
