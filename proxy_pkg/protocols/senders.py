"""Who sent a request, as far as its headers say: the API whose client it is, and the provider whose key it carries.

Keys tell their provider by the header that they stand in, or by how they begin. A beginning says more than a header:
several APIs take any of the headers.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from msgspec import Struct

from proxy_pkg.protocols import anthropic, gemini, openai

RawHeaders = Iterable[tuple[bytes, bytes]]

PROVIDERS: Final = {
    "anthropic": "Anthropic",
    "openai": "OpenAI",
    "google": "Google",
    "azure": "Azure",
    "aws": "AWS",
    "openai_like": "OpenAI, or a service with keys like OpenAI's",
    "openrouter": "OpenRouter",
    "groq": "Groq",
    "xai": "xAI",
    "github": "GitHub",
    "huggingface": "Hugging Face",
    "perplexity": "Perplexity",
    "nvidia": "NVIDIA",
    "fireworks": "Fireworks",
    "together": "Together",
    "cerebras": "Cerebras",
    "replicate": "Replicate",
}
"""Provider -> its name for people."""

_OWNERS: Final = (
    ("anthropic", r"api\.anthropic\.com"),
    ("openai", r"(?:[a-z]+\.)?api\.openai\.com|chatgpt\.com"),
    ("google", r"(?:.+\.)?googleapis\.com"),
    ("openrouter", r"openrouter\.ai"),
    ("groq", r"api\.groq\.com"),
    ("xai", r"api\.x\.ai"),
    ("deepseek", r"api\.deepseek\.com"),
)
"""Public addresses that take the keys of one provider alone."""
_BEGINNINGS: Final = (
    ("anthropic", rb"sk-ant-"),
    ("openrouter", rb"sk-or-"),
    ("openai", rb"sk-(?:proj|svcacct|admin|None)-|sess-|ek_"),
    ("openai_like", rb"sk-"),
    ("google", rb"AIza|AQ\.|ya29\.|1//0"),
    ("aws", rb"AWS4-|ABSK|bedrock-api-key-"),
    ("groq", rb"gsk_"),
    ("xai", rb"xai-"),
    ("github", rb"gh[opsu]_|github_pat_"),
    ("huggingface", rb"hf_"),
    ("perplexity", rb"pplx-"),
    ("nvidia", rb"nvapi-"),
    ("fireworks", rb"fw_"),
    ("together", rb"tgp_v1_"),
    ("cerebras", rb"csk-"),
    ("replicate", rb"r8_"),
)
_beginning = re.compile(
    rb"\s*(?:(?i:bearer|token|key)\s+)?(?:" + b"|".join(b"(?P<%b>%b)" % (n.encode(), p) for n, p in _BEGINNINGS) + b")"
).match

# A key of unknown beginning is of the provider that the header names, "" for a header that all of them take.
_KEY_HEADERS: Final = {
    b"authorization": "",
    b"x-api-key": "anthropic",
    b"x-goog-api-key": "google",
    b"api-key": "azure",
}
_SUBPROTOCOLS: Final = b"sec-websocket-protocol"
_SUBPROTOCOL_KEY: Final = b"openai-insecure-api-key."
_query_key = re.compile(rb"(?:^|&)(key|access_token|api[-_]key)=([^&]+)").finditer

_MARKS: Final = {mark: api.name for api in (anthropic.API, gemini.API, openai.API) for mark in api.marks}
_API_OF_PROVIDER: Final = {"anthropic": "anthropic", "google": "gemini", "openai": "openai", "openai_like": "openai"}
_agent = re.compile(
    rb"(?i)(?:async)?(?:(?P<anthropic>anthropic|claude)|(?P<openai>openai|codex)|(?P<gemini>google-genai|geminicli))"
).match


def owner_of(url: str) -> str:
    """The provider whose public address a URL has; empty for all other addresses."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    return next((name for name, pattern in _OWNERS if re.fullmatch(pattern, host)), "")


class Key(Struct, frozen=True):
    """A key of a request that names its provider. `where` is where it stands, in words for people.

    `by_itself` says that its beginning names the provider, and not only the place that it stands in.
    """

    provider: str
    where: str
    by_itself: bool


def keys_in(headers: RawHeaders, query: bytes = b"") -> list[Key]:
    """The keys of a request that name a provider."""
    found = []
    for name, value in headers:
        if name in _KEY_HEADERS:
            if key := _key(value, _KEY_HEADERS[name], "the header " + name.decode()):
                found.append(key)
        elif name == _SUBPROTOCOLS and _SUBPROTOCOL_KEY in value:
            for part in value.split(_SUBPROTOCOL_KEY)[1:]:
                if key := _key(part, "openai", "the header sec-websocket-protocol"):
                    found.append(key)
    if query:
        for parameter in _query_key(unquote_to_bytes(query) if b"%" in query else query):
            otherwise = "google" if parameter[1] == b"key" else ""
            if key := _key(parameter[2], otherwise, f"the query parameter {parameter[1].decode()}"):
                found.append(key)
    return found


def _key(value: bytes, otherwise: str, where: str) -> Key | None:
    """The key that a value is, of the provider `otherwise` if its beginning tells none."""
    if found := _beginning(value):
        return Key(found.lastgroup or "", where, by_itself=True)
    return Key(otherwise, where, by_itself=False) if otherwise and value else None


def api_of_sender(headers: RawHeaders, query: bytes = b"") -> str:
    """The API whose client sent a request: by a header that only its clients send, else by its key, else by the name
    that the client gives itself. Empty where nothing says it.
    """
    headers = list(headers)
    by_mark = [_MARKS[name] for name, _ in headers if name in _MARKS]
    if by_mark:
        return min(by_mark)  # which is Anthropic's before Gemini's before OpenAI's
    for key in keys_in(headers, query):
        if api := _API_OF_PROVIDER.get(key.provider):
            return api
    for name, value in headers:
        if name == b"user-agent" and (found := _agent(value)):
            return found.lastgroup or ""
    return ""


def is_azure_client(headers: RawHeaders, query: bytes) -> bool:
    """Whether a request is one for Azure OpenAI, which has paths below `/openai` itself."""
    return b"api-version=" in query or any(name == b"api-key" for name, _ in headers)
