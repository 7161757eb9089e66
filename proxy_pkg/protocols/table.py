"""Which protocol a request speaks: by its path, and where several APIs share a path, by what only one API's clients
send: a header, a key of a known kind, their name.

A path that holds a conversation, or that one API alone has, is never overruled by a header. An upstream that the
settings name is chosen by the prefix `/u/NAME`, and never by a header either.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from proxy_pkg.protocols import anthropic, gemini, openai
from proxy_pkg.protocols.addresses import tidy, with_single_slashes
from proxy_pkg.protocols.grammar import Protocol
from proxy_pkg.protocols.rows import CONVERSATIONS, ENDS, PASSTHROUGH, SHARED, UNVERSIONED, SharedRow
from proxy_pkg.protocols.senders import RawHeaders, api_of_sender, is_azure_client


class Match(Struct, frozen=True):
    """What the table says about a path.

    prefix      the part of it that only chose the upstream and is not sent on
    model       the model that the path names, empty if it names none
    version     goes before the path, which was written without one
    is_spelled  the path goes on as it is spelled, where `prefix` and `version` are empty too
    """

    protocol: Protocol
    route: str
    prefix: str = ""
    model: str = ""
    version: str = ""
    is_spelled: bool = True

    @property
    def is_unknown(self) -> bool:
        """Whether nothing is known of what a body on this path holds."""
        return self.route == "other" and not self.protocol.names_model and self.protocol.conversation is None


class _Shared(Struct, frozen=True):
    """A path that several APIs have: the row, and what else there is to say of the path."""

    row: SharedRow
    version: str = ""
    is_spelled: bool = True


NAMED_PREFIX: Final = "/u/"
"""Begins the paths for upstreams that the settings name."""

_NOBODY: Final[Mapping[str, str]] = {}
_OTHERS: Final = {"anthropic": anthropic.OTHER, "openai": openai.OTHER, "gemini": gemini.OTHER}
_PREFIXES: Final = {f"/{name}": other for name, other in _OTHERS.items()}
_AZURE: Final = "/openai/"
_WHOLE: Final = ("/openai/deployments/",)


def match(
    method: str, path: str, headers: RawHeaders, named: Mapping[str, str] = _NOBODY, query: bytes = b""
) -> Match | None:
    """The protocol of a request, or None for a path of no API that we know.

    `named` has the upstreams of the settings: the API that each one speaks, by its prefix `/u/NAME`.
    """
    if path.startswith("//"):
        path = tidy(path)
        found = match(method, path, headers, named, query)
        return None if found is None else replace(found, is_spelled=False)
    if path.startswith(NAMED_PREFIX) and named:
        return _match_named(method == "POST", path, named)
    if path.startswith(_AZURE) and not path.startswith(_WHOLE) and is_azure_client(headers, query):
        return _match_azure(method == "POST", path)
    found_or_row = _match_path(method == "POST", path)
    if not isinstance(found_or_row, _Shared):
        return found_or_row
    return _resolve(found_or_row, api_of_sender(headers, query))


def nowhere(headers: RawHeaders) -> Match:
    """What stands for a path of no API: its errors have the shape that the client knows, as far as that is told."""
    return Match(_OTHERS.get(api_of_sender(headers), openai.OTHER), "unknown")


def _resolve(shared: _Shared, sender: str) -> Match | None:
    row = shared.row
    protocol = row.google if sender == "gemini" else _OTHERS.get(sender, row.protocol)
    if protocol is None:
        return None
    return Match(protocol, row.route, version=shared.version, is_spelled=shared.is_spelled)


@lru_cache(maxsize=1024)
def _match_path(is_post: bool, path: str) -> Match | _Shared | None:
    plain = tidy(path)
    is_spelled = plain == path
    plain = with_single_slashes(plain)
    for prefix, other in _PREFIXES.items():
        if plain.startswith(prefix + "/") and not plain.startswith(_WHOLE):
            found = _look_up(is_post, tidy(plain[len(prefix) :]), is_spelled=False)
            if isinstance(found, Match) and found.protocol.api.name == other.api.name:
                return replace(found, prefix=prefix)
            version = found.version if isinstance(found, _Shared) else ""
            return Match(other, "other", prefix, version=version, is_spelled=False)
    return _look_up(is_post, plain, is_spelled=is_spelled)


def _look_up(is_post: bool, path: str, *, is_spelled: bool) -> Match | _Shared | None:
    version = next((version for pattern, version in UNVERSIONED if pattern.match(path)), "")
    path = version + path
    if is_post:
        whole = path.removesuffix("/")
        for row in CONVERSATIONS:
            if (parts := row.pattern.fullmatch(whole)) and row.protocol is not None:
                model = parts.groupdict().get("model") or ""
                return Match(row.protocol, row.route, "", model, version, is_spelled)
    for row in PASSTHROUGH:
        if (parts := row.pattern.match(path)) and row.protocol is not None:
            return Match(row.protocol, row.route, "", parts.groupdict().get("model") or "", version, is_spelled)
    for shared in SHARED:
        if shared.pattern.match(path):
            return _Shared(shared, version, is_spelled)
    return None


def _match_named(is_post: bool, path: str, named: Mapping[str, str]) -> Match | None:
    """Behind the prefix the path is sent on whole."""
    name, slash, rest = path.removeprefix(NAMED_PREFIX).partition("/")
    prefix = NAMED_PREFIX + name
    if prefix not in named or not slash:
        return None
    protocol, route, model = _match_end(is_post, "/" + rest)
    return Match(protocol or _OTHERS[named[prefix]], route, prefix, model)


def _match_azure(is_post: bool, path: str) -> Match:
    """Azure OpenAI has paths below `/openai` itself, some without a version. They are sent on whole."""
    protocol, route, model = _match_end(is_post, path)
    if protocol is None or protocol.api.name != "openai":
        protocol = openai.OTHER
    return Match(protocol, route, "", model, "", tidy(path) == path)


@lru_cache(maxsize=1024)
def _match_end(is_post: bool, path: str) -> tuple[Protocol | None, str, str]:
    """What a path means whatever stands before its end: the protocol, None for no known one, the route, the model."""
    found = _match_path(is_post, path)
    if isinstance(found, Match) and (found.protocol.conversation or found.protocol.frames):
        return found.protocol, found.route, found.model
    plain = with_single_slashes(tidy(path)).removesuffix("/")
    for row in ENDS if is_post else ():
        if parts := row.pattern.fullmatch(plain):
            return row.protocol, row.route, parts.groupdict().get("model") or ""
    if found is None:
        return None, "other", ""
    return None, found.route if isinstance(found, Match) else found.row.route, ""
