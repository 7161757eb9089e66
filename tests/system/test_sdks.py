"""The official SDKs as clients: through the server they send and see what they would without it.

Each scene is played twice, against the fake upstream itself and through the server. What the client got must
be equal, and so must what the upstream got.
"""

import http.client
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types

from bench.processes import Server
from tests.fakes.answers import anthropic_error, gemini_error, openai_error
from tests.fakes.exchange import Request
from tests.fakes.scripts import Script
from tests.fakes.upstream import Upstream

Scene = Callable[[str], Any]
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}
OF_THE_WAY = HOP_BY_HOP | {"host", "content-length"}
ERROR_HEADERS = ("retry-after", "x-should-retry", "request-id", "x-request-id", "content-type")
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
TOOL_OUTPUT = "ok, 3 files\n"
NUMBERED_READ = "\n".join(f"{n:6}→    total_{n % 7} = read_part({n}) + total_{n % 5}" for n in range(1, 90))
QUESTION = "Read it, „genau“ – then say\twhat\\it means \U0001f642"


# --- Anthropic ---


def anthropic_client(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="sk-ant-test", base_url=url, max_retries=0)


def anthropic_plain(url: str) -> Any:
    with anthropic_client(url) as client:
        answer = client.messages.create(
            model="claude-test",
            max_tokens=256,
            messages=[{"role": "user", "content": QUESTION}],
            extra_headers={"anthropic-beta": "context-1m-2025-08-07, not-known-yet"},
            extra_body={"a_field_of_tomorrow": {"kept": [1, 2.50, None]}},
            extra_query={"beta": "true"},
        )
    return answer.model_dump()


def anthropic_stream(url: str) -> Any:
    messages: Any = [{"role": "user", "content": QUESTION}]
    with (
        anthropic_client(url) as client,
        client.messages.stream(model="claude-test", max_tokens=256, messages=messages) as events,
    ):
        return [event.model_dump() for event in events], events.get_final_message().model_dump()


def anthropic_tools(url: str, output: str = TOOL_OUTPUT) -> Any:
    tools: Any = [{"name": "read_file", "description": "Reads a file", "input_schema": SCHEMA}]
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    ask: Any = {"model": "claude-test", "max_tokens": 256, "tools": tools}
    with anthropic_client(url) as client:
        first = client.messages.create(messages=messages, **ask)
        call: Any = first.content[0]
        result = {"type": "tool_result", "tool_use_id": call.id, "content": output}
        messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        second = client.messages.create(messages=messages, **ask)
    return first.model_dump(), second.model_dump()


def anthropic_probes(url: str) -> Any:
    with anthropic_client(url) as client:
        counted = client.messages.count_tokens(model="claude-test", messages=[{"role": "user", "content": QUESTION}])
        return counted.model_dump(), [model.model_dump() for model in client.models.list(limit=7)]


# --- OpenAI ---


def openai_client(url: str) -> openai.OpenAI:
    return openai.OpenAI(api_key="sk-test", base_url=url + "/v1", max_retries=0)


def chat_plain(url: str) -> Any:
    with openai_client(url) as client:
        messages: Any = [{"role": "user", "content": QUESTION}]
        return client.chat.completions.create(model="gpt-4o", messages=messages, seed=7).model_dump()


def chat_stream(url: str) -> Any:
    messages: Any = [{"role": "user", "content": QUESTION}]
    with openai_client(url) as client:
        without_usage = client.chat.completions.create(model="gpt-4o", messages=messages, stream=True)
        chunks = [chunk.model_dump() for chunk in without_usage]
        with_usage = client.chat.completions.create(
            model="gpt-4o", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        return chunks, [chunk.model_dump() for chunk in with_usage]


def chat_tools(url: str, output: str = TOOL_OUTPUT) -> Any:
    tools: Any = [{"type": "function", "function": {"name": "read_file", "parameters": SCHEMA}}]
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    with openai_client(url) as client:
        first = client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools)
        asked: Any = first.choices[0].message
        result = {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": output}
        messages += [asked.model_dump(exclude_none=True), result]
        second = client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools)
    return first.model_dump(), second.model_dump()


def responses_plain(url: str) -> Any:
    with openai_client(url) as client:
        return client.responses.create(model="gpt-5", input=QUESTION, store=False).model_dump()


def responses_stream(url: str) -> Any:
    with (
        openai_client(url) as client,
        client.responses.create(model="gpt-5", input=QUESTION, stream=True) as events,
    ):
        return [event.model_dump() for event in events]


def responses_tools(url: str, output: str = TOOL_OUTPUT) -> Any:
    tools: Any = [{"type": "function", "name": "read_file", "parameters": SCHEMA, "strict": False}]
    given: list[Any] = [{"role": "user", "content": QUESTION}]
    with openai_client(url) as client:
        first = client.responses.create(model="gpt-5", input=given, tools=tools)
        call: Any = first.output[0]
        result = {"type": "function_call_output", "call_id": call.call_id, "output": output}
        given += [call.model_dump(exclude_none=True), result]
        second = client.responses.create(model="gpt-5", input=given, tools=tools)
    return first.model_dump(), second.model_dump()


def openai_probes(url: str) -> Any:
    with openai_client(url) as client:
        return [model.model_dump() for model in client.models.list()]


# --- Gemini ---


def gemini_client(url: str) -> genai.Client:
    once = types.HttpRetryOptions(attempts=1)
    return genai.Client(api_key="key-test", http_options=types.HttpOptions(base_url=url, retry_options=once))


def gemini_plain(url: str) -> Any:
    with gemini_client(url) as client:
        answer = client.models.generate_content(model="gemini-3-pro", contents=QUESTION)
    return answer.model_dump(exclude={"sdk_http_response"})


def gemini_stream(url: str) -> Any:
    with gemini_client(url) as client:
        parts = client.models.generate_content_stream(model="gemini-3-pro", contents=QUESTION)
        return [part.model_dump(exclude={"sdk_http_response"}) for part in parts]


def gemini_tools(url: str, output: str = TOOL_OUTPUT) -> Any:
    declared: Any = {"name": "read_file", "description": "Reads a file", "parameters": SCHEMA}
    config: Any = {
        "tools": [{"function_declarations": [declared]}],
        "automatic_function_calling": {"disable": True},
    }
    contents: list[Any] = [types.Content(role="user", parts=[types.Part(text=QUESTION)])]
    with gemini_client(url) as client:
        first = client.models.generate_content(model="gemini-3-pro", contents=contents, config=config)
        called: Any = first.candidates
        result = types.Part.from_function_response(name="read_file", response={"output": output})
        contents += [called[0].content, types.Content(role="user", parts=[result])]
        second = client.models.generate_content(model="gemini-3-pro", contents=contents, config=config)
    return [answer.model_dump(exclude={"sdk_http_response"}) for answer in (first, second)]


def gemini_probes(url: str) -> Any:
    with gemini_client(url) as client:
        counted = client.models.count_tokens(model="gemini-3-pro", contents=QUESTION)
        return counted.total_tokens, [model.name for model in client.models.list()]


# --- no SDK: what agents ask beside it ---


def raw(url: str, method: str, target: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, bytes]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        return (
            answer.status,
            [answer.headers[name] for name in ("content-type", "content-length", "x-echo")],
            data,
        )
    finally:
        connection.close()


def bare_probes(url: str) -> Any:
    return [
        raw(url, "HEAD", "/api/hello", accept="*/*"),
        raw(url, "HEAD", "/v1/models"),
        raw(url, "GET", "/v1/models/gpt-4o?a=%2F%20b&a="),
        raw(url, "DELETE", "/v1/files/file-1"),
        raw(url, "PATCH", "/v1/unknown/thing", b"\x00\xff not json", **{"content-type": "application/x-odd"}),
    ]


def gemini_array(url: str) -> Any:
    body = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
    status, _, data = raw(url, "POST", "/v1beta/models/gemini-3-pro:streamGenerateContent", body)
    return status, data


SCENES: list[Scene] = [
    *(anthropic_plain, anthropic_stream, anthropic_tools, anthropic_probes),
    *(chat_plain, chat_stream, chat_tools, responses_plain, responses_stream, responses_tools, openai_probes),
    *(gemini_plain, gemini_stream, gemini_tools, gemini_probes),
    *(bare_probes, gemini_array),
]


def sent(request: Request) -> tuple[str, str, list[tuple[str, str]], bytes]:
    """What of a request must not depend on the way it took."""
    pairs = sorted((name.decode().lower(), value.decode()) for name, value in request.headers)
    return request.method, request.target, [pair for pair in pairs if pair[0] not in OF_THE_WAY], request.body


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_nothing_differs_through_the_server(scene: Scene, upstream: Upstream, shared_server: Server) -> None:
    without = scene(upstream.url)
    directly = [sent(request) for request in upstream.requests]
    upstream.requests.clear()
    assert scene(shared_server.url) == without
    assert [sent(request) for request in upstream.requests] == directly
    assert directly


# --- errors ---

ERRORS: list[tuple[Scene, Callable[..., Script], int, str, type[Exception]]] = [
    (anthropic_plain, anthropic_error, 429, "rate_limit_error", anthropic.RateLimitError),
    (anthropic_stream, anthropic_error, 429, "rate_limit_error", anthropic.RateLimitError),
    (anthropic_plain, anthropic_error, 529, "overloaded_error", anthropic.APIStatusError),
    (anthropic_stream, anthropic_error, 529, "overloaded_error", anthropic.APIStatusError),
    (chat_plain, openai_error, 429, "rate_limit_exceeded", openai.RateLimitError),
    (chat_stream, openai_error, 429, "rate_limit_exceeded", openai.RateLimitError),
    (chat_plain, openai_error, 529, "overloaded", openai.InternalServerError),
    (responses_plain, openai_error, 429, "rate_limit_exceeded", openai.RateLimitError),
    (responses_stream, openai_error, 529, "overloaded", openai.InternalServerError),
    (gemini_plain, gemini_error, 429, "RESOURCE_EXHAUSTED", errors.ClientError),
    (gemini_stream, gemini_error, 529, "UNAVAILABLE", errors.ServerError),
]


def failure(scene: Scene, url: str, kind: type[Exception]) -> Any:
    """What a client learns from a failed call: the exception's class, status, text, body and headers."""
    with pytest.raises(kind) as caught:
        scene(url)
    error: Any = caught.value
    status = getattr(error, "status_code", None) or error.code
    body = getattr(error, "body", None) or error.details
    return type(error), status, str(error), body, [error.response.headers.get(name) for name in ERROR_HEADERS]


@pytest.mark.parametrize(
    ("scene", "shaped", "status", "kind", "raised"),
    ERRORS,
    ids=[f"{scene.__name__}-{status}" for scene, _, status, _, _ in ERRORS],
)
def test_an_error_arrives_as_the_provider_sent_it(
    scene: Scene,
    shaped: Callable[..., Script],
    status: int,
    kind: str,
    raised: type[Exception],
    upstream: Upstream,
    shared_server: Server,
) -> None:
    upstream.play(shaped(status, kind, "23"), times=2)
    without = failure(scene, upstream.url, raised)
    assert failure(scene, shared_server.url, raised) == without
    assert without[1] == status
    assert without[4][0] == "23"
    assert len(upstream.requests) == 2, upstream.describe()


# --- compression ---


def texts(value: Any) -> list[str]:
    """All strings in a JSON value, in order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *texts(item))]
    return [text for item in value for text in texts(item)] if isinstance(value, list) else []


@pytest.mark.parametrize("scene", [anthropic_tools, chat_tools, responses_tools, gemini_tools])
def test_of_a_tool_round_trip_only_the_tool_result_shrinks(
    scene: Callable[[str, str], Any], upstream: Upstream, shared_server: Server
) -> None:
    scene(upstream.url, NUMBERED_READ)
    scene(shared_server.url, NUMBERED_READ)
    assert len(upstream.requests) == 4
    plain, shrunk = upstream.requests[1], upstream.requests[3]
    assert upstream.requests[0].body == upstream.requests[2].body
    pairs = list(zip(texts(plain.json()), texts(shrunk.json()), strict=True))
    assert [before for before, after in pairs if before != after] == [NUMBERED_READ]
    assert len(shrunk.body) < 0.9 * len(plain.body)
    assert sent(plain)[:3] == sent(shrunk)[:3]
