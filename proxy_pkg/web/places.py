"""Where a request goes. Every address comes from the settings; a request only picks one of them.

The path says which API it is, or names an upstream of the settings; the model that a request names may choose among
upstreams of the same API. No header takes part, so whoever can send requests cannot send them, or the credentials
in them, anywhere else.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from fnmatch import translate
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from proxy_pkg.config.settings import Settings
from proxy_pkg.errors import RefusedError, RelayError
from proxy_pkg.protocols.addresses import joined, path_of, tidy
from proxy_pkg.protocols.senders import PROVIDERS, keys_in, owner_of
from proxy_pkg.protocols.table import NAMED_PREFIX, Match, match
from proxy_pkg.telemetry.outcome import shown_path
from proxy_pkg.wire.scan import text_at

# Readers of URLs drop controls and blanks; some decode UTF-8 that is longer than it need be, or take wide forms for the
# plain characters.
_DOT: Final = r"(?:\.|\xc0\xae|\xe0\x80\xae|\xef\xbc\x8e)"
_SLASH: Final = r"[/\\]|\xc0\xaf|\xe0\x80\xaf|\xc1\x9c|\xef\xbc\x8f"
_GAP: Final = r"[\x00-\x20]*"
_climbs = re.compile(rf"(?:^|{_SLASH}){_GAP}{_DOT}{_GAP}{_DOT}{_GAP}(?:{_SLASH}|[;\x00?#]|$)").search
_DECODINGS_MAX: Final = 8
_INLINE_BYTES = 256 << 10  # finding the model in a longer body would hold the loop for a millisecond or more
_AZURE_PREFIX: Final = "/openai"
_AZURE_HOST: Final = re.compile(r".+\.(openai|services\.ai|cognitiveservices)\.azure\.(com|us|cn)")
_HOW_TO_NAME: Final = "a table [upstreams.NAME] in the settings names one, see docs/settings.md"
_UPSTREAM: Final = "the upstream "
"""What comes before an upstream's host and port in an error."""
_OPENAI_LIKE: Final = frozenset(("openai", "deepseek"))
"""Providers whose keys may begin with no more than `sk-`."""
_HEADERS_COUNT: Final = frozenset(("anthropic", "openai", "google"))
"""Providers to whose addresses no key goes in the header of another."""


class Places:
    """The upstreams of one worker."""

    def __init__(self, settings: Settings) -> None:
        self._origins = {
            "anthropic": settings.anthropic_target_api_url,
            "openai": settings.openai_target_api_url,
            "gemini": settings.gemini_target_api_url,
            "vertex": settings.vertex_target_api_url,
            "bedrock": settings.bedrock_target_api_url,
            "chatgpt": settings.chatgpt_target_api_url,
            "code_assist": settings.code_assist_target_api_url,
        }
        self._named = {NAMED_PREFIX + upstream.name: upstream.api for upstream in settings.upstreams}
        self._origins |= {NAMED_PREFIX + upstream.name: upstream.url for upstream in settings.upstreams}
        self._by_model: dict[str, list[tuple[Callable[[str], object], str]]] = {}
        for upstream in settings.upstreams:
            for pattern in upstream.models:
                row = (re.compile(translate(pattern)).match, upstream.url)
                self._by_model.setdefault(upstream.api, []).append(row)

        self._names = {(one.url, one.api): NAMED_PREFIX + one.name for one in reversed(settings.upstreams)}
        self._bare = {url for url in self._origins.values() if not path_of(url)}
        self._azure = {url for url in self._origins.values() if _AZURE_HOST.fullmatch(urlsplit(url).hostname or "")}
        self._owners = {url: owner for url in self._origins.values() if (owner := owner_of(url))}

    def match(self, scope: Mapping[str, Any], method: str = "") -> Match | None:
        """What the path of a request means, or None where it means nothing here; `method` stands for its own."""
        found = match(
            method or scope["method"], scope["path"], scope["headers"], self._named, scope.get("query_string", b"")
        )
        if found is None or (found.prefix and not _raw_path(scope).startswith(found.prefix + "/")):
            return None
        return found

    def nowhere(self, scope: Mapping[str, Any]) -> RefusedError:
        """The refusal of a path that means nothing here: it says how to have it relayed."""
        path = scope["path"]
        known = ", ".join(prefix.removeprefix(NAMED_PREFIX) for prefix in self._named)
        if path.startswith(NAMED_PREFIX):
            name = shown_path(path.removeprefix(NAMED_PREFIX).partition("/")[0])
            there = f"known are {known}" if known else "the settings name none"
            message = f"no upstream is named {name!r} in {shown_path(path)}: {there}; {_HOW_TO_NAME}"
        else:
            there = f" (known are {known})" if known else ""
            message = (
                f"no API known here has the path {shown_path(path)}: for another service send it to "
                f"{NAMED_PREFIX}NAME{shown_path(path)}{there}; {_HOW_TO_NAME}"
            )
        return RefusedError(message, "unknown_path", 404)

    def url(self, origin: str, matched: Match, scope: Mapping[str, Any]) -> str:
        """The URL to ask at an origin, with the query as it came."""
        path = scope["raw_path"].decode("latin-1")
        if not matched.is_spelled or matched.prefix or matched.version or origin not in self._bare:
            path = self._path(origin, matched, path)
        else:
            path = origin + path
        query = scope["query_string"]
        return f"{path}?{query.decode('latin-1')}" if query else path

    def _path(self, origin: str, matched: Match, raw_path: str) -> str:
        path = _one_slash(raw_path)
        if matched.prefix in self._named:
            path = _one_slash(path.removeprefix(matched.prefix))
            if matched.protocol.conversation is not None:
                path = tidy(path)
        elif not (matched.prefix == _AZURE_PREFIX and origin in self._azure):
            path = matched.version + tidy(tidy(path).removeprefix(matched.prefix))
        return joined(origin, path, matched.protocol.api.name)

    def check_keys(self, origin: str, scope: Mapping[str, Any], matched: Match) -> None:
        """Refuse to send the key of one provider to the public address of another. Raises RefusedError (403).

        What the settings name beside those addresses is the operator's own affair: a gateway may take any key.
        """
        owner = self._owners.get(origin)
        if owner is None:
            return
        headers, query = scope["headers"], scope["query_string"]
        for key in keys_in(headers, query):
            if key.provider == owner or (key.provider == "openai_like" and owner in _OPENAI_LIKE):
                continue
            if key.by_itself or owner in _HEADERS_COUNT:  # the others take any header, for the clients of these
                raise _refusal(PROVIDERS[key.provider], key.where, origin, scope, matched)
        if owner == "openai" and query and b"api-version=" in query:
            raise _refusal(PROVIDERS["azure"], "", origin, scope, matched)

    def check(self, matched: Match | None, scope: Mapping[str, Any]) -> Match:
        """The match, if the path may be sent on. Raises RefusedError.

        A segment `..` could lead out of what the settings name, an upstream below a path above all. One may read
        a path less strictly than we do, so a segment is what stands between slashes or backslashes, up to a semicolon,
        and is decoded as often as it can be.
        """
        raw = scope["raw_path"]
        if (b".." in raw or b"%" in raw or not raw.isascii()) and _leads_up(raw.decode("latin-1")):
            raise RefusedError(f"the path {shown_path(scope['path'])} climbs with a segment `..`", "path_climbs", 400)
        if matched is None:
            raise self.nowhere(scope)
        return matched

    def named(self, error: RelayError, origin: str, matched: Match) -> RelayError:
        """The same error, with the name that the settings give its upstream beside host and port."""
        name = matched.prefix if matched.prefix in self._named else self._names.get((origin, matched.protocol.api.name))
        if not name:
            return error
        text = str(error)
        shown = text.replace(_UPSTREAM, f"{_UPSTREAM}{name} ", 1) if _UPSTREAM in text else f"{text} (upstream {name})"
        return type(error)(shown, error.phase)

    def origin(self, matched: Match) -> str:
        """The address for a path. Raises RefusedError (404) where the settings name none."""
        origin = self._origins.get(matched.prefix) or self._origins[matched.protocol.api.name]
        if not origin:
            name = matched.protocol.api.name
            raise RefusedError(
                f"no upstream is set for paths of {name}: set {name.upper()}_TARGET_API_URL, or name an upstream "
                f"in the settings and use its path {NAMED_PREFIX}NAME",
                "upstream_not_set",
                404,
            )
        return origin

    def chosen_by_model(self, matched: Match) -> bool:
        """Whether the model that a request names may say that it goes elsewhere."""
        return matched.protocol.api.name in self._by_model and matched.prefix not in self._named

    def origin_for_model(self, matched: Match, model: str) -> str:
        """The address for a request that names `model` outside its body."""
        return self._fitting(matched, model) or self.origin(matched)

    async def origin_for_body(
        self, matched: Match, plain: bytes, elsewhere: Callable[[Callable[[], str]], Awaitable[str]]
    ) -> str:
        """The address for a request whose decoded body is `plain`. `elsewhere` does work off the loop."""
        if len(plain) <= _INLINE_BYTES:
            model = text_at(plain, "model")
        else:
            model = await elsewhere(lambda: text_at(plain, "model"))
        return self.origin_for_model(matched, model or matched.model)

    def _fitting(self, matched: Match, model: str) -> str:
        rows = self._by_model[matched.protocol.api.name]
        return next((url for fits, url in rows if model and fits(model)), "")


def _leads_up(path: str) -> bool:
    """Whether a path has a segment `..`, however often it is encoded. Each character stands for one byte."""
    for _ in range(_DECODINGS_MAX):
        if _climbs(path):
            return True
        decoded = unquote(path, "latin-1")
        if decoded == path:
            return False
        path = decoded
    return True


def _one_slash(path: str) -> str:
    """The path without more than one slash at its beginning."""
    return "/" + path.lstrip("/")


def _raw_path(scope: Mapping[str, Any]) -> str:
    return _one_slash(scope["raw_path"].decode("latin-1"))


def _refusal(provider: str, where: str, origin: str, scope: Mapping[str, Any], matched: Match) -> RefusedError:
    seen = f"{where} holds a key of {provider}" if where else f"api-version in the query is for {provider}"
    name = matched.protocol.api.name
    prefixes = ", ".join(f"/{prefix}" for prefix in ("anthropic", "openai", "gemini"))
    return RefusedError(
        f"{seen}, but the path {shown_path(scope['path'])} goes to {urlsplit(origin).hostname}, so it was not sent. "
        f"Send it where the key belongs: with a base URL for its API ({prefixes} say which), or to {NAMED_PREFIX}NAME "
        f"with a table [upstreams.NAME] in the settings, or set {name.upper()}_TARGET_API_URL to your own gateway",
        "foreign_key",
        403,
    )
