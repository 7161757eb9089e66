"""The formats of the three APIs where other services serve them: each has an upstream of its own.

Credentials for one of these services are never sent to another, so none of them shares an upstream with the API
whose format it speaks.
"""

from msgspec.structs import replace

from proxy_pkg.protocols import anthropic, bedrock, gemini, openai, openai_chat, openai_responses
from proxy_pkg.protocols.grammar import Api, Conversation, Envelope, Protocol, UsageMap

VERTEX = Api(name="vertex", errors=gemini.API.errors)
_VERTEX_ANTHROPIC = Api(name="vertex", errors=anthropic.API.errors)
_VERTEX_OPENAI = Api(name="vertex", errors=openai.API.errors)

VERTEX_MESSAGES = replace(anthropic.MESSAGES, api=_VERTEX_ANTHROPIC)
VERTEX_CHAT = replace(openai_chat.CHAT, api=_VERTEX_OPENAI)
VERTEX_GENERATE = replace(gemini.GENERATE, api=VERTEX)
VERTEX_COUNT = replace(gemini.COUNT, api=VERTEX)
VERTEX_OTHER = replace(gemini.OTHER, api=VERTEX)
VERTEX_INTERACTIONS = replace(gemini.INTERACTIONS, api=VERTEX)

# Whatever a model's own format is, the answer to an invocation comes in the same frames.
_INVOKED = UsageMap(
    key="usage",
    input=(("input_tokens",), ("inputTokens",), ("prompt_tokens",)),
    cache_read=(("cache_read_input_tokens",), ("cacheReadInputTokenCount",)),
    cache_write=(("cache_creation_input_tokens",), ("cacheWriteInputTokenCount",)),
    cache_write_1h=(("cache_creation", "ephemeral_1h_input_tokens"),),
    output=(("output_tokens",), ("outputTokens",), ("completion_tokens",)),
    wrapped=True,
    is_split=True,
    coded_at="bytes",
)


def _of_any_model(*protocols: Protocol) -> Conversation:
    """One conversation in the words of several formats whose items stand at the same key.

    No format has the words of another, so what a body says tells which it is. Its path does not always: the name of
    an inference profile says nothing of the model.
    """
    each = [protocol.conversation for protocol in protocols if protocol.conversation is not None]
    return Conversation(
        items=each[0].items,
        signs=tuple(sign for one in each for sign in one.signs),
        calls=tuple(place for one in each for place in one.calls),
        results=tuple(place for one in each for place in one.results),
        forgetting=tuple(sign for one in each for sign in one.forgetting),
        questions=tuple(place for one in each for place in one.questions),
    )


# Claude's bodies are those of Messages, Nova's those of Converse, and gpt-oss and others take those of Chat.
_INVOKING = _of_any_model(anthropic.MESSAGES, bedrock.CONVERSE, openai_chat.CHAT)
BEDROCK_INVOKE = replace(
    anthropic.MESSAGES, name="bedrock_invoke", api=bedrock.API, usage=_INVOKED, conversation=_INVOKING
)
BEDROCK_COUNT = replace(
    bedrock.CONVERSE,
    conversation=replace(
        _INVOKING,
        envelopes=(
            Envelope(("input", "converse"), bedrock.CONVERSE.conversation),
            Envelope(("input", "invokeModel", "body"), _INVOKING, is_base64=True),
        ),
    ),
)
"""CountTokens: a request of Converse, or the bytes of one that invokes a model."""
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
