"""What the official SDKs do in the tests: for each API the calls of the conformance table.

A call takes the base URL and gives what the client got, as plain values that can be compared.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx2
import openai
from google import genai
from google.genai import errors, types

from tests.fakes.answers import anthropic_error, gemini_error, openai_error
from tests.fakes.scripts import Script

Call = Callable[..., Any]
Events = Callable[[str], Iterator[Any]]

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
TOOL_OUTPUT = "ok, 3 files\n"
QUESTION = "Read it, „genau“ – then say\twhat\\it means \U0001f642"


@dataclass(frozen=True)
class Sdk:
    """One API as its SDK offers it.

    events  the stream, event by event; closing the iterator leaves the stream
    count   counting tokens, None where the API has no such call
    shaped  makes an error as the provider words it
    """

    plain: Call
    events: Events
    tools: Call
    image: Call
    count: Call | None
    shaped: Callable[..., Script]

    def stream(self, url: str) -> Any:
        return list(self.events(url))

    def first_event(self, url: str) -> Any:
        """The first event of a stream that is then left."""
        with closing(self.events(url)) as events:  # type: ignore[type-var]  # a generator has close
            return next(events)


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


def anthropic_events(url: str) -> Iterator[Any]:
    messages: Any = [{"role": "user", "content": QUESTION}]
    with (
        anthropic_client(url) as client,
        client.messages.stream(model="claude-test", max_tokens=256, messages=messages) as events,
    ):
        for event in events:
            yield event.model_dump()
        yield events.get_final_message().model_dump()


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


def anthropic_image(url: str, image: str) -> Any:
    source: Any = {"type": "base64", "media_type": "image/png", "data": image}
    content: Any = [{"type": "image", "source": source}, {"type": "text", "text": QUESTION}]
    with anthropic_client(url) as client:
        messages: Any = [{"role": "user", "content": content}]
        return client.messages.create(model="claude-test", max_tokens=256, messages=messages).model_dump()


def anthropic_count(url: str) -> Any:
    with anthropic_client(url) as client:
        messages: Any = [{"role": "user", "content": QUESTION}]
        return client.messages.count_tokens(model="claude-test", messages=messages).model_dump()


# --- OpenAI ---


def openai_client(url: str) -> openai.OpenAI:
    return openai.OpenAI(api_key="sk-test", base_url=url + "/v1", max_retries=0)


def chat_plain(url: str) -> Any:
    with openai_client(url) as client:
        messages: Any = [{"role": "user", "content": QUESTION}]
        return client.chat.completions.create(model="gpt-4o", messages=messages, seed=7).model_dump()


def chat_events(url: str) -> Iterator[Any]:
    messages: Any = [{"role": "user", "content": QUESTION}]
    with (
        openai_client(url) as client,
        client.chat.completions.create(
            model="gpt-4o", messages=messages, stream=True, stream_options={"include_usage": True}
        ) as events,
    ):
        for event in events:
            yield event.model_dump()


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


def chat_image(url: str, image: str) -> Any:
    part: Any = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}
    with openai_client(url) as client:
        messages: Any = [{"role": "user", "content": [part, {"type": "text", "text": QUESTION}]}]
        return client.chat.completions.create(model="gpt-4o", messages=messages).model_dump()


def responses_plain(url: str) -> Any:
    with openai_client(url) as client:
        return client.responses.create(model="gpt-5", input=QUESTION, store=False).model_dump()


def responses_events(url: str) -> Iterator[Any]:
    with (
        openai_client(url) as client,
        client.responses.create(model="gpt-5", input=QUESTION, stream=True) as events,
    ):
        for event in events:
            yield event.model_dump()


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


def responses_image(url: str, image: str) -> Any:
    part = {"type": "input_image", "image_url": f"data:image/png;base64,{image}", "detail": "auto"}
    given: Any = [{"role": "user", "content": [part, {"type": "input_text", "text": QUESTION}]}]
    with openai_client(url) as client:
        return client.responses.create(model="gpt-5", input=given).model_dump()


def responses_count(url: str) -> Any:
    with openai_client(url) as client:
        return client.responses.input_tokens.count(model="gpt-5", input=QUESTION).model_dump()


# --- Gemini ---


def gemini_client(url: str) -> genai.Client:
    once = types.HttpRetryOptions(attempts=1)
    return genai.Client(api_key="key-test", http_options=types.HttpOptions(base_url=url, retry_options=once))


def gemini_plain(url: str) -> Any:
    return gemini_generated(url, QUESTION)


def gemini_generated(url: str, contents: Any) -> Any:
    with gemini_client(url) as client:
        answer = client.models.generate_content(model="gemini-3-pro", contents=contents)
    return answer.model_dump(exclude={"sdk_http_response"})


def gemini_events(url: str) -> Iterator[Any]:
    with gemini_client(url) as client:
        for part in client.models.generate_content_stream(model="gemini-3-pro", contents=QUESTION):
            yield part.model_dump(exclude={"sdk_http_response"})


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


def gemini_image(url: str, image: str) -> Any:
    part = types.Part(inline_data=types.Blob(mime_type="image/png", data=image.encode()))
    return gemini_generated(url, [part, QUESTION])


def gemini_count(url: str) -> Any:
    with gemini_client(url) as client:
        return client.models.count_tokens(model="gemini-3-pro", contents=QUESTION).total_tokens


RAISED = (anthropic.APIError, openai.APIError, errors.APIError, httpx2.TransportError)
"""What the SDKs raise where a request fails; broken streams come as their HTTP library says it."""

SDKS: dict[str, Sdk] = {
    "anthropic": Sdk(
        plain=anthropic_plain,
        events=anthropic_events,
        tools=anthropic_tools,
        image=anthropic_image,
        count=anthropic_count,
        shaped=anthropic_error,
    ),
    "openai-chat": Sdk(
        plain=chat_plain,
        events=chat_events,
        tools=chat_tools,
        image=chat_image,
        count=None,
        shaped=openai_error,
    ),
    "openai-responses": Sdk(
        plain=responses_plain,
        events=responses_events,
        tools=responses_tools,
        image=responses_image,
        count=responses_count,
        shaped=openai_error,
    ),
    "google-genai": Sdk(
        plain=gemini_plain,
        events=gemini_events,
        tools=gemini_tools,
        image=gemini_image,
        count=gemini_count,
        shaped=gemini_error,
    ),
}
