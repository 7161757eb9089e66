"""OpenAI: the Chat Completions API, which many other servers speak too."""

from proxy_pkg.protocols.grammar import CallPlace, Conversation, Protocol, ResultPlace, UsageMap
from proxy_pkg.protocols.openai import API

CHAT = Protocol(
    name="openai_chat",
    api=API,
    endings=(
        (r"\[DONE\]",),
        (r'"usage"\s*:\s*\{', r'"choices"\s*:\s*\[\s*\]|"finish_reason"\s*:\s*"'),
    ),
    usage=UsageMap(
        key="usage",
        input=(("prompt_tokens",),),
        # The last two are DeepSeek's and Moonshot's words.
        cache_read=(("prompt_tokens_details", "cached_tokens"), ("prompt_cache_hit_tokens",), ("cached_tokens",)),
        cache_write=(("prompt_tokens_details", "cache_write_tokens"),),
        output=(("completion_tokens",),),
        total=(("total_tokens",),),  # xAI and Gemini count what a model thinks here alone
        input_has_cached=True,
        wrapped=True,
        in_items=True,  # by Moonshot, in the last choice of a stream
    ),
    conversation=Conversation(
        items="messages",
        signs=(b'"tool', b'"function'),
        calls=(
            CallPlace(parts="tool_calls", holder="function", name="name", arguments="arguments"),
            CallPlace(parts="tool_calls", holder="custom", name="name", arguments="input"),
            # What came before `tool_calls`: one call in a message, without an id.
            CallPlace(holder="function_call", id="", name="name", arguments="arguments"),
        ),
        results=(
            ResultPlace(
                when=("role", ("tool",)),
                id="tool_call_id",
                text="content",
                text_types=("text",),
                name="name",
                other_name="tool_name",
            ),
            ResultPlace(when=("role", ("function",)), id="name", text="content", name="name", by_order=True),
        ),
        questions=(ResultPlace(when=("role", ("user",)), id="", text="content", text_types=("text",)),),
    ),
)
