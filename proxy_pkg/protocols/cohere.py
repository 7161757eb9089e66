"""Cohere: its Chat API, version 2. Conversations have OpenAI's form, what an answer cost has its own."""

from msgspec.structs import replace

from proxy_pkg.protocols import openai_chat
from proxy_pkg.protocols.grammar import UsageMap

CHAT = replace(
    openai_chat.CHAT,
    name="cohere_chat",
    usage=UsageMap(
        key="usage",
        input=(("tokens", "input_tokens"),),
        cache_read=(("cached_tokens",),),
        output=(("tokens", "output_tokens"),),
        input_has_cached=True,
        wrapped=True,
        model="",
    ),
)
