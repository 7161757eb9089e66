"""The table itself: what each path means. Rows of one list are tried in order, and the first that fits counts.

Paths stand here with their version. `UNVERSIONED` says which are known without one.
"""

import re
from typing import Final

from msgspec import Struct

from proxy_pkg.protocols import anthropic, bedrock, clouds, cohere, gemini, openai, openai_chat, openai_responses
from proxy_pkg.protocols.grammar import Protocol


class Row(Struct, frozen=True):
    """What a path means. `protocol` is None where no API has the path for itself and none is likelier."""

    pattern: re.Pattern[str]
    route: str
    protocol: Protocol | None


class SharedRow(Struct, frozen=True):
    """A path that several APIs have. `protocol` is for a request that says nothing of its sender, None for none.

    `google` is for one that comes from a client of Google's.
    """

    pattern: re.Pattern[str]
    route: str
    protocol: Protocol | None = openai.OTHER
    google: Protocol = gemini.OTHER


def _row(pattern: str, route: str, protocol: Protocol | None) -> Row:
    return Row(re.compile(pattern), route, protocol)


def _end(pattern: str, route: str, protocol: Protocol | None) -> Row:
    return Row(re.compile(rf"(?:.*/)?{pattern}", re.IGNORECASE), route, protocol)


METHODS: Final = "generateContent|streamGenerateContent"
MODEL: Final = "(?P<model>[^/:]+)"
_VERTEX_PLACE: Final = r"/v1\w*(/projects/[^/]+/locations/[^/]+)?"
# What Azure's clients call, with whatever base: these paths are sent on whole.
_AZURE: Final = "/openai/deployments/"
_AZURE_MODELS: Final = "/models/(?:chat/completions|embeddings|images/embeddings|info)"
# The name that stands for a model where the tokens of a request to Claude are counted: the body names the model.
_COUNTING: Final = "count-tokens:rawPredict"
_GEMINI_OPENAI: Final = r"/v1(?:beta|alpha)?\w*/openai"

# POST only, and the whole path: these bodies hold a conversation.
CONVERSATIONS: Final = (
    _row(r"/v1/messages", "messages", anthropic.MESSAGES),
    _row(r"/v1/messages/count_tokens", "count_tokens", anthropic.MESSAGES),
    _row(r"/v1/chat/completions", "chat_completions", openai_chat.CHAT),
    _row(rf"{_AZURE}{MODEL}/chat/completions", "chat_completions", openai_chat.CHAT),
    _row(r"/models/chat/completions", "chat_completions", openai_chat.CHAT),
    _row(rf"{_GEMINI_OPENAI}/chat/completions", "chat_completions", clouds.GEMINI_CHAT),
    _row(r"/v1/responses", "responses", openai_responses.RESPONSES),
    _row(r"/v1/responses/input_tokens", "input_tokens", openai_responses.RESPONSES),
    _row(r"/v1/responses/compact", "compact", openai_responses.RESPONSES),
    _row(r"/backend-api/codex/responses", "responses", clouds.CHATGPT_RESPONSES),
    _row(r"/backend-api/codex/responses/compact", "compact", clouds.CHATGPT_RESPONSES),
    _row(rf"/v1(beta|alpha)?\w*/(models|tunedModels)/{MODEL}:({METHODS})", "generate_content", gemini.GENERATE),
    _row(rf"/v1(beta|alpha)?\w*/(models|tunedModels)/{MODEL}:countTokens", "count_tokens", gemini.COUNT),
    _row(r"/v1(beta|alpha)?\w*/interactions", "interactions", gemini.INTERACTIONS),
    _row(r"/v1\w*/projects/[^/]+/locations/[^/]+/interactions", "interactions", clouds.VERTEX_INTERACTIONS),
    _row(
        rf"{_VERTEX_PLACE}/(publishers/[^/]+/models|endpoints)/{MODEL}:({METHODS})",
        "generate_content",
        clouds.VERTEX_GENERATE,
    ),
    _row(
        rf"{_VERTEX_PLACE}/(publishers/[^/]+/models|endpoints)/{MODEL}:countTokens", "count_tokens", clouds.VERTEX_COUNT
    ),
    _row(rf"{_VERTEX_PLACE}/publishers/anthropic/models/{_COUNTING}", "count_tokens", clouds.VERTEX_MESSAGES),
    _row(
        rf"{_VERTEX_PLACE}/publishers/anthropic/models/{MODEL}:(rawPredict|streamRawPredict)",
        "raw_predict",
        clouds.VERTEX_MESSAGES,
    ),
    _row(rf"{_VERTEX_PLACE}/endpoints/[^/]+/chat/completions", "chat_completions", clouds.VERTEX_CHAT),
    _row(r"/model/(?P<model>.+)/invoke(-with-response-stream)?", "invoke", clouds.BEDROCK_INVOKE),
    _row(r"/model/(?P<model>.+)/converse(-stream)?", "converse", bedrock.CONVERSE),
    _row(r"/model/(?P<model>.+)/count-tokens", "count_tokens", clouds.BEDROCK_COUNT),
    _row(rf"/v1internal:({METHODS})", "generate_content", clouds.CODE_ASSIST_GENERATE),
    _row(r"/v1internal:countTokens", "count_tokens", clouds.CODE_ASSIST_GENERATE),
)

# POST only, behind the name of an upstream: the end of the path says what the body is, with anything before it.
ENDS: Final = (
    _end(r"threads/[^/]+/messages", "other", None),
    _end(rf"deployments/{MODEL}/chat/completions", "chat_completions", openai_chat.CHAT),
    _end(r"(chat|agents)/completions", "chat_completions", openai_chat.CHAT),
    _end(r"messages", "messages", anthropic.MESSAGES),
    _end(r"messages/count_tokens", "count_tokens", anthropic.MESSAGES),
    _end(r"responses", "responses", openai_responses.RESPONSES),
    _end(r"responses/input_tokens", "input_tokens", openai_responses.RESPONSES),
    _end(r"responses/compact", "compact", openai_responses.RESPONSES),
    _end(rf"{MODEL}:({METHODS})", "generate_content", gemini.GENERATE),
    _end(rf"{MODEL}:countTokens", "count_tokens", gemini.COUNT),
    _end(r"interactions", "interactions", gemini.INTERACTIONS),
    _end(_COUNTING, "count_tokens", clouds.VERTEX_MESSAGES),
    _end(rf"{MODEL}:(rawPredict|streamRawPredict)", "raw_predict", clouds.VERTEX_MESSAGES),
    _end(r"model/(?P<model>.+)/invoke(-with-response-stream)?", "invoke", clouds.BEDROCK_INVOKE),
    _end(r"model/(?P<model>.+)/converse(-stream)?", "converse", bedrock.CONVERSE),
    _end(r"model/(?P<model>.+)/count-tokens", "count_tokens", clouds.BEDROCK_COUNT),
    _end(r"v2/chat", "chat", cohere.CHAT),
    _end(r"realtime", "realtime", openai_responses.REALTIME),
    _end(r"embeddings", "embeddings", openai.COUNTED),
    _end(r"completions", "other", openai.COUNTED),
)

# Any method, everything below the path too: one API alone has it.
PASSTHROUGH: Final = (
    _row(r"/v1/messages(/|$)", "batches", anthropic.OTHER),
    _row(r"/v1/complete(/|$)", "other", anthropic.OTHER),
    # What Claude Code asks besides conversations. Other programs have paths below /api too.
    _row(
        r"/api/(hello|oauth|claude_\w+|event_logging\w*|organizations?|web/domain_info|eval|directory|feedback)(/|$)",
        "client",
        anthropic.OTHER,
    ),
    _row(rf"{_AZURE}({MODEL}/)?", "other", openai.OTHER),
    _row(rf"{_AZURE_MODELS}$", "other", openai.OTHER),
    _row(r"/(backend-api|wham|ps)/", "client", clouds.CHATGPT_OTHER),
    _row(r"/v1internal[:/]", "client", clouds.CODE_ASSIST_OTHER),
    _row(r"/v1/interactions$", "other", gemini.OTHER),
    _row(r"/v1\w*/(projects/[^/]+/locations|publishers)/", "other", clouds.VERTEX_OTHER),
    _row(r"/v1\w+/projects/", "other", clouds.VERTEX_OTHER),
    _row(r"/(model|inference-profiles|foundation-models)(/|$)", "other", clouds.BEDROCK_OTHER),
    _row(rf"/v1(beta|alpha)\w*/(models|tunedModels)/{MODEL}", "other", gemini.OTHER),
    _row(r"(/upload|/download|/resumable/upload)?/v1(beta|alpha)", "other", gemini.OTHER),
    _row(r"/(upload|download)/", "files", gemini.OTHER),
    _row(r"/ws/google\.cloud\.", "live", clouds.VERTEX_OTHER),
    _row(r"/ws/google\.", "live", gemini.OTHER),
    _row(rf"/v1/(models|tunedModels)/{MODEL}:\w+$", "other", gemini.OTHER),
    _row(r"/v1/(cachedContents|operations|corpora|tunedModels|fileSearchStores)(/|$)", "other", gemini.OTHER),
    _row(r"/v1/embeddings$", "embeddings", openai.COUNTED),
    _row(r"/v1/completions$", "other", openai.COUNTED),
    _row(r"/v1/(moderations|rerank|videos)$", "other", openai.NAMING),
    _row(r"/v1/images/", "images", openai.NAMING),
    _row(r"/v1/audio/", "audio", openai.NAMING),
    _row(r"/v1/responses/", "responses_other", openai.OTHER),
    _row(r"/v1/realtime(/|$)", "realtime", openai_responses.REALTIME),
)

# Any method: what the sender says of itself decides.
SHARED: Final = (
    SharedRow(re.compile(r"/v1/models(/|$)"), "models"),
    SharedRow(re.compile(r"/v1/files(/|$)"), "files"),
    SharedRow(re.compile(r"/v1/batches(/|$)"), "batches"),
    SharedRow(re.compile(r"/v1/projects(/|$)"), "other", google=clouds.VERTEX_OTHER),
    # Mistral's, whose clients say nothing of themselves.
    SharedRow(re.compile(r"/v1/agents/completions$"), "other", None),
    SharedRow(re.compile(r"/v1/organizations(/|$)"), "other", anthropic.OTHER),
    SharedRow(re.compile(r"/v1(/|$)"), "other"),
)

UNVERSIONED: Final = (
    (re.compile(rf"/(models|tunedModels)/{MODEL}:\w+$"), "/v1beta"),
    (re.compile(r"/(projects/[^/]+/locations|publishers)/"), "/v1"),
    (
        re.compile(
            rf"(?!{_AZURE_MODELS}$)/(messages|complete|chat/completions|responses|completions|embeddings|models|files"
            r"|batches|images|audio|moderations|rerank|videos|realtime|uploads|vector_stores|conversations)(/|$)"
        ),
        "/v1",
    ),
)
"""Paths that are known without their version too, and the version that goes before them."""
