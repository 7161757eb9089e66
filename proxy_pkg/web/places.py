"""Where a request goes. Every address comes from the settings; a request only picks one of them.

The path says which API it is, or names an upstream of the settings; the model that a request names may choose among
upstreams of the same API. No header takes part, so whoever can send requests cannot send them, or the credentials
in them, anywhere else.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from fnmatch import translate
from typing import Any
from urllib.parse import unquote

from proxy_pkg.config.settings import Settings
from proxy_pkg.errors import RefusedError
from proxy_pkg.protocols.table import NAMED_PREFIX, Match, match
from proxy_pkg.web.ended import shown_path
from proxy_pkg.wire.scan import text_at

_climbs = re.compile(r"(?:^|[/\\])[ \t]*\.\.[ \t]*(?:[;/\\\x00?#]|$)").search
_INLINE_BYTES = 256 << 10  # finding the model in a longer body would hold the loop for a millisecond or more


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

    def match(self, method: str, path: str, header_names: Iterable[bytes]) -> Match | None:
        """What the path means, or None where it means nothing here."""
        return match(method, path, header_names, self._named)

    def check(self, matched: Match | None, scope: Mapping[str, Any]) -> Match:
        """The match, if the path may be sent on. Raises RefusedError.

        A segment `..` could lead out of what the settings name, an upstream below a path above all. One may read
        a path less strictly than we do, so a segment is what stands between slashes or backslashes, up to a semicolon,
        and is decoded twice. An upstream that decodes more often has to guard itself.
        """
        path: str = scope["path"]
        if (".." in path or "%" in path) and (_climbs(path) or _climbs(unquote(path))):
            raise RefusedError(f"the path {shown_path(path)} climbs with a segment `..`", "path_climbs", 400)
        if matched is None or not scope["raw_path"].startswith(matched.prefix.encode() + b"/"):
            raise RefusedError(f"no API known here has the path {shown_path(path)}", "unknown_path", 404)
        return matched

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
