"""What an answer says that it cost is found in each API's form, however the answer is cut; nothing else is."""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_pkg.billing.usage import DECODED_BYTES_MAX, HEAD_BYTES, TAIL_BYTES, Copy, Usage, usage_in
from proxy_pkg.protocols import anthropic, bedrock, gemini, openai_chat, openai_responses
from proxy_pkg.protocols.grammar import Protocol, UsageMap
from proxy_pkg.wire.encoding import encode


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


def copied(chunks: Iterable[bytes], coding: str = "") -> Copy:
    """What is kept of these, as the exchange has it kept."""
    copy, so_far = Copy(coding), 0
    for chunk in chunks:
        so_far += len(chunk)
        copy.parts.append(chunk)
        if so_far > copy.cut_at_bytes:
            copy.cut(so_far)
    return copy


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
    chance, chunks, at = Random(seed), list[bytes](), 0
    while at < len(STREAM):
        end = at + chance.choice([1, 2, 3, 50, 700, 5000])
        chunks.append(STREAM[at:end])
        at = end
    copy = copied(chunks)
    assert usage_in(copy.text(), MESSAGES) == Usage(12, 4000, 300, 77)
    assert STREAM.endswith(copy.tail[-4:])


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


def test_a_copy_is_bounded_and_has_both_ends() -> None:
    def chunks() -> Iterator[bytes]:
        for number in range(100_000):
            yield b"%08d" % number

    text = copied(chunks()).text()
    assert text.startswith(b"".join(islice(chunks(), HEAD_BYTES // 8)))
    assert text.endswith(b"".join(chunks())[-TAIL_BYTES:])
    assert len(text) <= HEAD_BYTES + 3 * TAIL_BYTES


def test_coded_answers_are_read_up_to_a_bound() -> None:
    coded = gzip.compress(STREAM)
    chunks = [coded[at : at + 100] for at in range(0, len(coded), 100)]
    assert usage_in(copied(chunks, "gzip").text(), MESSAGES) == Usage(12, 4000, 300, 77)
    assert copied([*chunks, b"rubbish"], "gzip").text() == b""
    assert copied([gzip.compress(b"x" * (DECODED_BYTES_MAX + 1))], "gzip").text() == b""


def test_what_is_told_last_counts_and_the_beginning_fills_the_gaps() -> None:
    counts = events(
        {"usage": {"input_tokens": 5, "cache_read_input_tokens": 8, "output_tokens": 1}},
        {"usage": {"input_tokens": 6, "output_tokens": 2}},
        {"usage": None},
        {"usage": {}},
        {"usage": {"input_tokens": 7, "output_tokens": 3}},
        {"usage": None},
        {"usage": "x"},
    )
    assert usage_in(counts, MESSAGES) == Usage(7, 8, 0, 3)
    assert usage_in(counts + b'data: {"usage": {"output_tok', MESSAGES) == Usage(7, 8, 0, 3)


def flushed(text: bytes) -> bytes:
    """What has come of a stream whose end is still to come."""
    coder = zlib.compressobj(wbits=31)
    return coder.compress(text) + coder.flush(zlib.Z_SYNC_FLUSH)


START, _, REST = STREAM.partition(b"\n\n")
LONG = START + b"\n\ndata: " + Random(1).randbytes(400_000).hex().encode() + b"\n\n" + REST


@pytest.mark.parametrize(
    ("coded", "coding"),
    [(encode(LONG, coding), coding) for coding in ("gzip", "deflate", "br", "zstd", "gzip, br")]
    + [(flushed(LONG), "gzip")],
    ids=["gzip", "deflate", "br", "zstd", "two", "cut"],
)
def test_the_end_of_a_long_coded_answer_is_read(coded: bytes, coding: str) -> None:
    assert len(coded) > 300_000
    chunks = [coded[at : at + 5000] for at in range(0, len(coded), 5000)]
    copy = copied(chunks[:-1], coding)
    assert usage_in(copy.text(chunks[-1]), MESSAGES) == Usage(12, 4000, 300, 77)
    copy.parts.append(chunks[-1])  # which was read before it came
    assert usage_in(copy.text(), MESSAGES) == Usage(12, 4000, 300, 77)
    assert len(copy.text()) <= HEAD_BYTES + 3 * TAIL_BYTES
