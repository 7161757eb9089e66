"""OpenAI: the Responses API, over HTTP and in the frames of its WebSocket."""

from proxy_pkg.protocols.grammar import AnswerMap, CallPlace, Conversation, FrameMap, Protocol, ResultPlace, UsageMap
from proxy_pkg.protocols.openai import API, RESPONSES_API

_OUTPUTS = ("function_call_output", "custom_tool_call_output", "local_shell_call_output", "apply_patch_call_output")

CONVERSATION = Conversation(
    items="input",
    signs=(b'_call"', b'_call_output"'),
    forgetting=(b'"truncation"', b"context_management"),
    calls=(
        CallPlace(when=("type", ("function_call",)), id="call_id", name="name", arguments="arguments"),
        CallPlace(when=("type", ("custom_tool_call",)), id="call_id", name="name", arguments="input"),
        CallPlace(
            when=("type", ("local_shell_call", "shell_call")),
            id="call_id",
            other_id="id",
            name="",
            fixed_name="shell",
            arguments="action",
        ),
        CallPlace(
            when=("type", ("apply_patch_call",)),
            id="call_id",
            name="",
            fixed_name="apply_patch",
            arguments="operation",
        ),
    ),
    results=(
        ResultPlace(
            when=("type", _OUTPUTS),
            id="call_id",
            other_id="id",  # all that a local_shell_call_output may have
            text="output",
            text_types=("input_text", "output_text", "text"),
            name="name",
            other_name="tool_name",
        ),
        ResultPlace(when=("type", ("shell_call_output",)), id="call_id", text="output", leaves=True, by_command=True),
    ),
    questions=(ResultPlace(when=("role", ("user",)), id="", text="content", text_types=("input_text",)),),
    # `previous_response_id`, `conversation` and `item_reference` stand for items that the provider has.
    answer=AnswerMap(
        items="output",
        event="response.output_item.done",
        item="item",
        unless=(b'"store":false', b'"store": false'),
    ),
)

USAGE = UsageMap(
    key="usage",
    input=(("input_tokens",),),
    cache_read=(("input_tokens_details", "cached_tokens"), ("input_token_details", "cached_tokens")),  # Realtime's word
    cache_write=(("input_tokens_details", "cache_write_tokens"),),
    output=(("output_tokens",),),
    input_has_cached=True,
    wrapped=True,
)

FRAMES = FrameMap(
    conversation=CONVERSATION,
    requests=("response.create",),
    holders=("", "response"),
    brings=("response.output_item.done",),
    item="item",
    ends=("response.completed", "response.done", "response.failed", "response.incomplete", "error"),
    fails=("response.failed", "error"),
    refusal={
        "type": "error",
        "event_id": "{request_id}",
        "status": 0,
        "error": {"type": "{kind}", "code": "{code}", "message": "{message}", "param": None, "event_id": None},
        "headers": {"retry-after": "{retry_after}"},
    },
)

RESPONSES = Protocol(
    name="openai_responses",
    api=RESPONSES_API,
    conversation=CONVERSATION,
    frames=FRAMES,
    usage=USAGE,
    # The event has the whole answer in it, so its type may have been before what is looked at.
    endings=((r'response\.(?:completed|incomplete|failed)"',), (r'"usage"\s*:\s*\{',)),
)

REALTIME = Protocol(name="openai_realtime", api=API, frames=FRAMES, usage=USAGE)
