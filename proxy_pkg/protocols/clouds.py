"""The formats of the three APIs where other services serve them: each has an upstream of its own.

Credentials for one of these services are never sent to another, so none of them shares an upstream with the API
whose format it speaks.
"""

from msgspec.structs import replace

from proxy_pkg.protocols import anthropic, bedrock, gemini, openai, openai_chat, openai_responses
from proxy_pkg.protocols.grammar import Api, Protocol, UsageMap

VERTEX = Api(name="vertex", errors=gemini.API.errors)
_VERTEX_ANTHROPIC = Api(name="vertex", errors=anthropic.API.errors)
_VERTEX_OPENAI = Api(name="vertex", errors=openai.API.errors)

VERTEX_MESSAGES = replace(anthropic.MESSAGES, api=_VERTEX_ANTHROPIC)
VERTEX_CHAT = replace(openai_chat.CHAT, api=_VERTEX_OPENAI)
VERTEX_GENERATE = replace(gemini.GENERATE, api=VERTEX)
VERTEX_OTHER = replace(gemini.OTHER, api=VERTEX)
VERTEX_INTERACTIONS = replace(gemini.INTERACTIONS, api=VERTEX)

# Whatever a model's own format is, the answer to an invocation comes in the same frames.
_INVOKED = UsageMap(
    key="usage",
    input=(("input_tokens",), ("inputTokens",)),
    cache_read=(("cache_read_input_tokens",), ("cacheReadInputTokenCount",)),
    cache_write=(("cache_creation_input_tokens",), ("cacheWriteInputTokenCount",)),
    cache_write_1h=(("cache_creation", "ephemeral_1h_input_tokens"),),
    output=(("output_tokens",), ("outputTokens",)),
    wrapped=True,
    is_split=True,
    coded_at="bytes",
)
BEDROCK_MESSAGES = replace(anthropic.MESSAGES, api=bedrock.API, usage=_INVOKED)
BEDROCK_OTHER = replace(anthropic.OTHER, api=bedrock.API)

_CHATGPT = Api(name="chatgpt", errors=openai_responses.RESPONSES.api.errors)
CHATGPT_RESPONSES = replace(openai_responses.RESPONSES, api=_CHATGPT)
CHATGPT_OTHER = replace(openai.OTHER, api=_CHATGPT)

_CODE_ASSIST = Api(name="code_assist", errors=gemini.API.errors)
CODE_ASSIST_GENERATE = Protocol(
    name="gemini_generate",
    api=_CODE_ASSIST,
    usage=gemini.USAGE,
    endings=gemini.ENDINGS,
    # The request as the Gemini API knows it is wrapped once more, beside the model and the project.
    conversation=replace(gemini.CONVERSATION, within=("request",)),
)
CODE_ASSIST_OTHER = replace(gemini.OTHER, api=_CODE_ASSIST)

# Google's own paths for clients of OpenAI's: its key, its upstream, and OpenAI's words.
_GEMINI_OPENAI = replace(gemini.API, errors=openai.API.errors)
GEMINI_CHAT = replace(openai_chat.CHAT, api=_GEMINI_OPENAI)
