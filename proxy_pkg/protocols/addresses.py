"""Paths as people write base URLs: with a version or without, once or twice, with one slash or several.

A base URL that ends with a version means what it means to the SDKs: the rest of the path comes behind it. Each
function takes paths as they stand in a URL, and none of them looks at anything but slashes and versions.
"""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

VERSION: Final = r"/v[0-9]+(?:(?:alpha|beta)[0-9]*)?"
_several = re.compile("/{2,}").sub
_several_first = re.compile("^/{2,}").sub
_several_behind_version = re.compile(rf"^((?:{VERSION})+)/{{2,}}").sub
_doubled = re.compile(rf"{VERSION}(?=/*{VERSION}(?:/|$))").match
_version = re.compile(rf"{VERSION}(?=/|$)").match
# Google serves OpenAI's paths behind its version and this word.
_ends_with_version = re.compile(rf"({VERSION})(?:/openai)?$").search
_NUMBERED_TWICE: Final = "gemini"
"""The API whose versions stand side by side at one address, so that the client's counts and not the target's."""


def tidy(path: str) -> str:
    """The path as a base URL written well would have given it: with one slash at its beginning and one behind its
    version, and with the last one of two versions.
    """
    if "//" in path:
        path = _several_first("/", path)
        path = _several_behind_version(r"\1/", path)
    while found := _doubled(path):
        path = _several_first("/", path[found.end() :])
    return path


def with_single_slashes(path: str) -> str:
    """The path with one slash wherever it has several."""
    return _several("/", path) if "//" in path else path


def path_of(origin: str) -> str:
    """The path of a target as the settings hold it, without a slash at its end."""
    return urlsplit(origin).path.rstrip("/")


@lru_cache(maxsize=1024)
def joined(origin: str, path: str, api: str) -> str:
    """The URL of `path` at a target. What the end of the target and the beginning of the path share stands once;
    of two versions the target's stays, for Gemini the path's.
    """
    base = path_of(origin)
    if not base:
        return origin + path
    root, parts, rest = origin[: -len(base)], base.split("/")[1:], path.split("/")[1:]
    for length in range(min(len(parts), len(rest)), 0, -1):
        if parts[-length:] == rest[:length]:
            return "/".join((root + base, *rest[length:]))
    ending, beginning = _ends_with_version(base), _version(path)
    if ending is None:
        return root + base + path
    if parts[:-1] and parts[:-1] == rest[: len(parts) - 1]:  # /openai/v1 and /openai/deployments/…
        return root + path
    if beginning is None:
        return root + base + path
    if api == _NUMBERED_TWICE and base.endswith(ending[1]):
        return root + base[: -len(ending[1])] + path
    return root + base + path[beginning.end() :]
