"""Which protocol a request speaks: by its path, and where two APIs share a path, by a header only one of them has.

Credentials never decide: every SDK may send them in `authorization`. An upstream that the settings name is chosen
by the prefix `/u/NAME`, and never by a header either.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from proxy_pkg.protocols import anthropic, bedrock, clouds, gemini, openai, openai_chat, openai_responses
from proxy_pkg.protocols.grammar import Protocol


class Match(Struct, frozen=True):
    """What the table says about a path. `prefix` is the part of it that only chose the API and is not sent on.

    `model` is the model that the path names, empty if it names none.
    """

    protocol: Protocol
    route: str
    prefix: str = ""
    model: str = ""


NAMED_PREFIX = "/u/"
"""Begins the paths for upstreams that the settings name."""

_NOBODY: Mapping[str, str] = {}


def match(method: str, path: str, header_names: Iterable[bytes], named: Mapping[str, str] = _NOBODY) -> Match | None:
    """The protocol of a request, or None for a path of no API that we know.

    `named` has the upstreams of the settings: the API that each one speaks, by its prefix `/u/NAME`.
    """
    if path.startswith(NAMED_PREFIX) and named:
        return _match_named(method == "POST", path, named)
    found = _match_path(method == "POST", path)
    if isinstance(found, Match):
        return found
    if found is None:
        return None
    names = set(header_names)
    for protocol in _BY_MARK:
        if not names.isdisjoint(protocol.api.marks):
            return Match(protocol, found)
    return Match(openai.OTHER, found)


def _match_named(is_post: bool, path: str, named: Mapping[str, str]) -> Match | None:
    """Behind the prefix the path says what it says everywhere, but it is sent on whole."""
    name, slash, rest = path.removeprefix(NAMED_PREFIX).partition("/")
    prefix = NAMED_PREFIX + name
    if prefix not in named or not slash:
        return None
    found = _match_path(is_post, "/" + rest)
    if isinstance(found, Match):
        if found.protocol.conversation is not None or found.protocol.frames is not None:
            return Match(found.protocol, found.route, prefix, found.model)
        found = found.route
    return Match(_OTHERS[named[prefix]], found or "other", prefix)


@lru_cache(maxsize=1024)
def _match_path(is_post: bool, path: str) -> Match | str | None:
    """A match, or the name of a route that several APIs share, or None."""
    if is_post:
        for pattern, route, protocol in _CONVERSATIONS:
            if parts := pattern.fullmatch(path):
                return Match(protocol, route, "", parts.groupdict().get("model") or "")
    for prefix, other in _PREFIXES.items():
        if path.startswith(prefix + "/") and not path.startswith(_AZURE):
            found = _match_path(is_post, path[len(prefix) :])
            if isinstance(found, Match) and found.protocol.api.name == other.api.name:
                return Match(found.protocol, found.route, prefix, found.model)
            return Match(other, "other", prefix)
    for pattern, route, owner in _PASSTHROUGH:
        if parts := pattern.match(path):
            return Match(owner, route, "", parts.groupdict().get("model") or "") if owner else route
    return None


def _row(pattern: str, route: str, protocol: Protocol) -> tuple[re.Pattern[str], str, Protocol]:
    return re.compile(pattern), route, protocol


def _open_row(pattern: str, route: str, owner: Protocol | None) -> tuple[re.Pattern[str], str, Protocol | None]:
    return re.compile(pattern), route, owner


_PREFIXES = {"/anthropic": anthropic.OTHER, "/openai": openai.OTHER, "/gemini": gemini.OTHER}

_BY_MARK = (anthropic.OTHER, gemini.OTHER)

_OTHERS = {"anthropic": anthropic.OTHER, "openai": openai.OTHER, "gemini": gemini.OTHER}

# What Azure's clients call, with whatever base: these paths are sent on whole.
_AZURE = "/openai/deployments/"

_GEMINI_METHODS = "generateContent|streamGenerateContent|countTokens"
_MODEL = "(?P<model>[^/:]+)"
_VERTEX_PLACE = r"/v1\w*(/projects/[^/]+/locations/[^/]+)?"

_GEMINI_CHAT = replace(openai_chat.CHAT, api=replace(openai_chat.CHAT.api, name="gemini"))
"""Gemini models in the words of OpenAI, on Gemini's host."""

# POST only, and the whole path: these bodies hold a conversation.
_CONVERSATIONS = (
    _row(r"/v1/messages", "messages", anthropic.MESSAGES),
    _row(r"/v1/messages/count_tokens", "count_tokens", anthropic.MESSAGES),
    _row(r"(/v1)?/chat/completions", "chat_completions", openai_chat.CHAT),
    _row(rf"{_AZURE}{_MODEL}/chat/completions", "chat_completions", openai_chat.CHAT),
    _row(r"(/v1)?/responses", "responses", openai_responses.RESPONSES),
    _row(r"/v1/responses/input_tokens", "input_tokens", openai_responses.RESPONSES),
    _row(r"/backend-api/codex/responses", "responses", clouds.CHATGPT_RESPONSES),
    _row(
        rf"/v1(beta|alpha)?\w*/(models|tunedModels)/{_MODEL}:({_GEMINI_METHODS})",
        "generate_content",
        gemini.GENERATE,
    ),
    _row(
        rf"{_VERTEX_PLACE}/(publishers/[^/]+/models|endpoints)/{_MODEL}:({_GEMINI_METHODS})",
        "generate_content",
        clouds.VERTEX_GENERATE,
    ),
    _row(
        rf"{_VERTEX_PLACE}/publishers/anthropic/models/{_MODEL}:(rawPredict|streamRawPredict)",
        "raw_predict",
        clouds.VERTEX_MESSAGES,
    ),
    _row(rf"{_VERTEX_PLACE}/endpoints/[^/]+/chat/completions", "chat_completions", clouds.VERTEX_CHAT),
    _row(r"/model/(?P<model>.+)/invoke(-with-response-stream)?", "invoke", clouds.BEDROCK_MESSAGES),
    _row(r"/model/(?P<model>.+)/converse(-stream)?", "converse", bedrock.CONVERSE),
    _row(r"/v1(beta|alpha)?\w*/openai/chat/completions", "chat_completions", _GEMINI_CHAT),
    _row(rf"/v1internal:({_GEMINI_METHODS})", "generate_content", clouds.CODE_ASSIST_GENERATE),
)

# Any method, everything below the path too. Without an owner, several APIs have the path.
_PASSTHROUGH = (
    _open_row(r"/v1/messages(/|$)", "batches", anthropic.OTHER),
    _open_row(r"/v1/(complete|skills|organizations|environments|agents|sessions)(/|$)", "other", anthropic.OTHER),
    _open_row(r"/api/", "client", anthropic.OTHER),
    _open_row(rf"{_AZURE}({_MODEL}/)?", "other", openai.OTHER),
    _open_row(r"/(backend-api|wham|ps)/", "client", clouds.CHATGPT_OTHER),
    _open_row(r"/v1internal[:/]", "client", clouds.CODE_ASSIST_OTHER),
    _open_row(r"/v1\w*/(projects|publishers)/", "other", clouds.VERTEX_OTHER),
    _open_row(r"/(model|inference-profiles|foundation-models)(/|$)", "other", clouds.BEDROCK_OTHER),
    _open_row(rf"/v1(beta|alpha)\w*/(models|tunedModels)/{_MODEL}", "other", gemini.OTHER),
    _open_row(r"(/upload|/download|/resumable/upload)?/v1(beta|alpha)", "other", gemini.OTHER),
    _open_row(r"/(upload|download)/", "files", gemini.OTHER),
    _open_row(r"/ws/google\.", "live", gemini.OTHER),
    _open_row(rf"/v1/(models|tunedModels)/{_MODEL}:\w+$", "other", gemini.OTHER),
    _open_row(r"/v1/(cachedContents|operations|corpora)(/|$)", "other", gemini.OTHER),
    _open_row(r"/v1/models(/|$)", "models", None),
    _open_row(r"/v1/files(/|$)", "files", None),
    _open_row(r"(/v1)?/embeddings$", "embeddings", openai.COUNTED),
    _open_row(r"(/v1)?/completions$", "other", openai.COUNTED),
    _open_row(r"(/v1)?/(moderations|rerank|videos)$", "other", openai.NAMING),
    _open_row(r"/v1/batches(/|$)", "batches", openai.OTHER),
    _open_row(r"/v1/images/", "images", openai.NAMING),
    _open_row(r"/v1/audio/", "audio", openai.NAMING),
    _open_row(r"/v1/responses/compact$", "responses_other", openai.COUNTED),
    _open_row(r"/v1/responses/", "responses_other", openai.OTHER),
    _open_row(r"(/v1)?/realtime(/|$)", "realtime", openai_responses.REALTIME),
    _open_row(r"/v1(/|$)", "other", None),
    _open_row(r"/(models|embeddings|responses|chat|completions)(/|$)", "other", openai.OTHER),
)
