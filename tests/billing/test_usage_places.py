"""Usage where few look for it: in a choice, in answers without a conversation, on sockets."""

import pytest

from proxy_pkg.billing.usage import Usage, usage_in
from proxy_pkg.protocols.grammar import UsageMap
from proxy_pkg.protocols.table import match

KIMI = (
    b'data: {"choices":[{"index":0,"delta":{"content":"\\"usage\\":{\\"total\\":7}"},"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop",'
    b'"usage":{"prompt_tokens":19,"completion_tokens":21,"total_tokens":40,"cached_tokens":10}}]}\n\ndata: [DONE]\n\n'
)


def places(path: str) -> UsageMap:
    found = match("POST", path, [])
    assert found is not None
    assert found.protocol.usage is not None
    return found.protocol.usage


@pytest.mark.parametrize(
    ("path", "answer", "usage"),
    [
        ("/v1/chat/completions", KIMI, Usage(input=9, cache_read=10, output=21)),
        ("/v1/embeddings", b'{"data":[],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}}', Usage(input=8)),
        ("/v1/completions", b'{"usage":{"prompt_tokens":5,"completion_tokens":7}}', Usage(input=5, output=7)),
        ("/v1/responses/compact", b'{"usage":{"input_tokens":139,"output_tokens":438}}', Usage(input=139, output=438)),
        (
            "/v1/realtime",
            b'{"type":"response.done","response":{"usage":{"input_tokens":127,"output_tokens":148,'
            b'"input_token_details":{"cached_tokens":64}}}}',
            Usage(input=63, cache_read=64, output=148),
        ),
        (
            "/v1beta/openai/chat/completions",
            b'{"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":20}}',
            Usage(input=5, output=15),
        ),
    ],
)
def test_usage_is_read_where_each_api_has_it(path: str, answer: bytes, usage: Usage) -> None:
    assert usage_in(answer, places(path)) == usage
