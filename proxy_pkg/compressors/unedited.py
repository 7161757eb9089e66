"""Files that a program wrote and that nobody edits: logs, lock files and dumps.

A printed file stays as it is, because an agent edits by exact text. Of these files alone a form that an inverse turns
back byte for byte is right. Both must say so: the path of every file that the call prints, and the content. What lies
among tests or examples is input that an agent may well edit, whatever its name.
"""

import re
from enum import StrEnum

from proxy_pkg.compressors.producers import NO_MORE, Tools, named_files
from proxy_pkg.model import Producer

HASHES_MIN = 3
"""So many hashes stand in any stretch of a lock file that is worth a form."""
DUMP_LINES_MIN = 50
"""A table of fewer lines may have been written by hand."""


class Origin(StrEnum):
    """What wrote a file, by its path."""

    LOG = "log"
    LOCK = "lock"
    """The exact versions that a package manager chose."""
    DUMP = "dump"
    """Records that a program wrote out."""


_PARTS = re.compile(r"[\\/]+")
_INPUT = re.compile(
    r"_*(?:tests?|specs?|e2e|fixtures?|cases?|corpus|goldens?|snapshots?|mocks?|stubs|expected|examples?|samples?|demos?"
    r"|docs?|templates?|resources)(?:[-_].*)?|.*[-_]?(?:tests?|fixtures?)|testdata|src|lib",
    re.IGNORECASE,
)
"""Folders whose files people write, or choose to keep."""
_LOG = re.compile(
    r".+\.log(?:[-.][0-9][0-9T:_.-]*)*(?:\.(?:gz|xz|bz2|zst|lz4))?|(?:nohup|catalina)\.out|.+\.(?:stdout|stderr)"
    r"|.+\.(?:out|err|trace)\.[0-9]+",
    re.IGNORECASE,
)
_SYSTEM_LOGS = re.compile(r"[\\/]var[\\/]log[\\/].")
_LOCK = re.compile(
    r"package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lock|deno\.lock|cargo\.lock|poetry\.lock"
    r"|uv\.lock|pdm\.lock|pixi\.lock|pipfile\.lock|composer\.lock|gemfile\.lock|flake\.lock|mix\.lock|pubspec\.lock"
    r"|podfile\.lock|package\.resolved|packages\.lock\.json|gradle\.lockfile|go\.sum|go\.work\.sum|\.terraform\.lock\.hcl",
    re.IGNORECASE,
)
_DUMP = re.compile(r".+\.(?:csv|tsv)(?:\.(?:gz|xz|bz2|zst))?", re.IGNORECASE)
_DUMPS = re.compile(r"_*(?:te?mp|dumps?|exports?|backups?)(?:[-_].*)?", re.IGNORECASE)
"""Folders that hold what programs wrote out."""
_HASH = re.compile(
    r"(?<![0-9A-Za-z])(?:sha(?:1|256|384|512)[-:]|h1:)[0-9A-Za-z+/=]{16,128}|(?<![0-9A-Za-z])[0-9a-f]{40,128}(?![0-9A-Za-z])"
)


def origin(producer: Producer, tools: Tools = NO_MORE) -> Origin | None:
    """Return what wrote the files that `producer` prints, None where they are not all of one origin and known."""
    names = named_files(producer, tools)
    folders = [_PARTS.split(name.rstrip()) for name in names]
    if any(_INPUT.fullmatch(part) for parts in folders for part in parts[:-1]):
        return None
    found = {_origin(name, parts) for name, parts in zip(names, folders, strict=True) if parts[-1]}
    return found.pop() if len(found) == 1 else None


def _origin(name: str, parts: list[str]) -> Origin | None:
    if _LOCK.fullmatch(parts[-1]):
        return Origin.LOCK
    if _LOG.fullmatch(parts[-1]) or _SYSTEM_LOGS.match(name):
        return Origin.LOG
    if _DUMP.fullmatch(parts[-1]) and any(map(_DUMPS.fullmatch, parts[:-1])):
        return Origin.DUMP
    return None


def has_hashes(sample: str) -> str:
    """Return why `sample` is a part of a lock file, empty if its content does not say so."""
    found = sum(1 for _ in _HASH.finditer(sample))
    return f"a lock file with {found} hashes" if found >= HASHES_MIN else ""
