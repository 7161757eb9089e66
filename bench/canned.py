"""A cheap upstream that always gives the same answer, so that what is measured is the server before it.

A request with the header `x-bench: events` gets server-sent events, EVENTS_PER_SECOND for STREAM_SECONDS, each
with the nanosecond of the monotonic clock at which it left. A body that asks for a stream gets a short one at once,
everything else gets one chat completion.
Run as `python -m bench.canned PORT`.
"""

import asyncio
import sys
import time
from typing import cast

import uvloop

EVENTS_PER_SECOND = 20
STREAM_SECONDS = 5
EVENTS_PER_STREAM = EVENTS_PER_SECOND * STREAM_SECONDS

CHAT_ANSWER = (
    b'{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion","created":1741570283,'
    b'"model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"The build failed because `parse_header` expects bytes since the last release, while the test '
    b'passes a string. Encode the value before the call, or let the function accept both.",'
    b'"refusal":null,"annotations":[]},"logprobs":null,'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":212,"completion_tokens":38,"total_tokens":250,'
    b'"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0}},"service_tier":"default"}'
)
PLAIN = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_0123456789abcdef\r\n"
    b"openai-processing-ms: 312\r\ncontent-length: %d\r\n\r\n" % len(CHAT_ANSWER)
) + CHAT_ANSWER
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
EVENT = (
    b"event: content_block_delta\ndata: "
    b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" @%d@ and so on"}}\n\n'
)
LAST_CHUNK = b"0\r\n\r\n"
SHORT_STREAM = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"model":"m","content":[],"usage":{"input_tokens":9,"cache_read_input_tokens":41000,"output_tokens":1}}}\n\n'
    + EVENT
    % 0
    * 10
    + b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":41}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
)


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Canned(asyncio.Protocol):
    """One connection. It knows no chunked request bodies."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.head = b""
        self.missing = 0
        self.streaming = False
        self.timed = False
        self.timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self.missing:
            self._body(data)
            return
        self.head += data
        head, found, rest = self.head.partition(b"\r\n\r\n")
        if found:
            self.head = b""
            self.streaming = False
            self.timed = b"\r\nx-bench: events" in head
            self.missing = content_length(head)
            self._body(rest)

    def _body(self, data: bytes) -> None:
        self.missing -= len(data)
        self.streaming = self.streaming or b'"stream":true' in data
        if self.missing > 0:
            return
        self.missing = 0
        if self.timed:
            self.transport.write(STREAM_HEAD)
            self._event(EVENTS_PER_STREAM)
        elif self.streaming:
            self.transport.write(STREAM_HEAD + chunked(SHORT_STREAM) + LAST_CHUNK)
        else:
            self.transport.write(PLAIN)

    def _event(self, left: int) -> None:
        if not left:
            self.transport.write(LAST_CHUNK)
            return
        self.transport.write(chunked(EVENT % time.monotonic_ns()))
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(1 / EVENTS_PER_SECOND, self._event, left - 1)


def content_length(head: bytes) -> int:
    """The length of the body as the head gives it, 0 if it does not."""
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
