"""Reads the table of named upstreams: `[upstreams.NAME]` in TOML, or the same as a JSON object."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from proxy_pkg.config import urls
from proxy_pkg.model import Upstream

APIS: Final = ("anthropic", "openai", "gemini")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
PATTERN: Final = re.compile(r"[\x21-\x7e]{1,200}")
UPSTREAMS_MAX: Final = 64
PATTERNS_MAX: Final = 64
KEYS: Final = ("url", "api", "models")


def upstreams(raw: object) -> tuple[Upstream, ...]:
    """The upstreams in the order in which they stand. ValueError names every fault, and never repeats a value."""
    if isinstance(raw, str):
        raw = _decoded(raw)
    if not isinstance(raw, dict):
        raise ValueError("not a table of upstreams by name")
    if len(raw) > UPSTREAMS_MAX:
        raise ValueError(f"longer than {UPSTREAMS_MAX} upstreams")
    faults = [fault for name, entry in raw.items() for fault in _faults(name, entry)]
    if faults:
        raise ValueError("not usable: " + "; ".join(faults))
    return tuple(
        Upstream(name, urls.origin(entry["url"]), entry["api"], tuple(entry.get("models", ())))
        for name, entry in raw.items()
    )


def _decoded(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ValueError("not a JSON object") from None


def _faults(name: object, entry: object) -> Iterator[str]:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        yield "a name has other characters than a-z, 0-9, _ and -, or is longer than 32"
        return
    if not isinstance(entry, dict):
        yield f"{name} is not a table"
        return
    unknown = sum(1 for key in entry if key not in KEYS)
    if unknown:
        yield f"{name} has {unknown} keys that do not exist; there are {', '.join(KEYS)}"
    if not isinstance(entry.get("url"), str):
        yield f"{name} has no url"
    else:
        try:
            urls.origin(entry["url"])
        except ValueError as error:
            yield f"the url of {name}: {error}"
    if entry.get("api") not in APIS:
        yield f"the api of {name} is not one of {', '.join(APIS)}"
    models = entry.get("models", [])
    if not isinstance(models, list | tuple) or len(models) > PATTERNS_MAX:
        yield f"the models of {name} are not a list of at most {PATTERNS_MAX} patterns"
    elif not all(isinstance(model, str) and PATTERN.fullmatch(model) for model in models):
        yield f"a pattern in the models of {name} is not a text of visible ASCII characters"
