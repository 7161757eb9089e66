"""Whose words a result holds, which decides what references in it may point at.

A page of the web can hold a copy of a file between lines of its own. Were a read of that file sent as a pointer into
the page, the page would speak in the file's place. So a result of a tool that reads files or runs commands points at
results of such tools alone, and any other at those and at results of its own origin.
"""

import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from proxy_pkg.compressors.producers import (
    ARGUMENT_CHARS_MAX,
    FILE_READERS,
    SHELLS,
    Tools,
    shell_command,
)
from proxy_pkg.model import Producer

HOME = ""
"""The origin of all that local tools print: files, commands, searches in files."""

_ELSEWHERE = frozenset(
    """
    readmcpresourcetool readmcpresource read_mcp_resource read_resource get_resource fetch_file download_file
    """.split()  # noqa: SIM905
)
"""Tools that read what another server holds, whatever it is called there."""
_LOCAL = (
    FILE_READERS
    | SHELLS
    | frozenset(
        """
        grep grep_search search_file_content search_files search_code codebase_search file_search find find_files
        find_by_name glob ls list list_dir list_directory list_files rg ripgrep tree
        """.split()  # noqa: SIM905
    )
) - _ELSEWHERE
_NAMESPACE = re.compile(r"(?:functions|default_api|tools|builtin)[.:]")
"""What some APIs put before the name of every tool of the client."""
_FOLDERS = re.compile(r"[/\\]")
_SEPARATOR = re.compile(r"__|[:./]")
_WEB_PARTS = frozenset(
    "web fetch url urls http page browse browser crawl scrape navigate search google tavily exa internet".split()  # noqa: SIM905
)
_NAME_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_FROM_WEB = re.compile(
    r"://|(?<![\w./-])(?:curl|wget|aria2c|httpie|xh|lynx|w3m|links|elinks|iwr|irm|invoke-webrequest|invoke-restmethod|gh"
    r"|glab|ssh|nc|ncat|socat)(?![\w.-])",
    re.IGNORECASE,
)
"""Commands that print what another host answers."""

_PATHS = ("file_path", "filePath", "path", "absolute_path", "notebook_path", "target_file")
_EDITORS = frozenset(
    """
    edit multiedit multi_edit edit_file replace write write_file writefile write_to_file create_file replace_in_file
    replace_string_in_file search_replace search_and_replace str_replace strreplace insert_content
    insert_edit_into_file apply_diff fs_write fswrite apply_patch applypatch notebookedit notebook_edit
    str_replace_editor str_replace_based_edit_tool text_editor file_editor
    """.split()  # noqa: SIM905
)
_PATCHED = re.compile(r"^\*\*\* (?:Update|Add) File: ([^\n]{1,4096})$", re.MULTILINE)
_WRITES = re.compile(
    r"(?<![-=<&0-9])[0-9]?>(?!\s*(?:&|/dev/null))|(?<![\w./-])(?:sed\s+(?:-\w*i|--in-place)|perl\s+-\w*i|tee|mv|cp|patch"
    r"|apply_patch|dd|rsync|truncate|(?:python[0-9.]*|node|ruby|perl|php)\s+(?:-\s|-c|-e|<<)|prettier|gofmt|goimports"
    r"|git\s+(?:apply|am|checkout|restore|reset|revert|stash|pull|merge|rebase|switch|cherry-pick)|rustfmt|black|isort"
    r"|ruff|eslint|clang-format)\b"
)
"""Commands that may change a file."""
_WORD = re.compile(r"[\w.+@-]+")
ANY_FILE = "*"
"""Stands for every file where a command may have changed it, and does not say which."""


class Origin(NamedTuple):
    """What references ask about a tool call."""

    words: str | None
    """Where the words of its result come from; HOME for local tools. None: nobody knows, so nothing may point at it.

    What the web sends is told apart by the whole call, what another server sends by that server's name.
    """
    changed: tuple[str, ...]
    """The names, without folders, of the files that it may have changed; ANY_FILE where it does not say which."""


_KNOWN_MAX = 4096
_known: dict[tuple[bytes, Tools], Origin] = {}
"""By a digest of the call: its command may be 16 KB long, and is asked about on every turn."""


def origin(producer: Producer, tools: Tools) -> Origin:
    """What there is to know of a tool call."""
    key = producer.digest, tools
    if (known := _known.get(key)) is None:
        if len(_known) >= _KNOWN_MAX:
            _known.clear()
        known = _known[key] = Origin(_words(producer, tools), tuple(sorted(_changed(producer, tools))))
    return known


def _words(producer: Producer, tools: Tools) -> str | None:
    name = producer.name
    if not name:
        return None
    if _is_local(producer, tools):
        command = shell_command(producer, tools)
        if len(command) > ARGUMENT_CHARS_MAX:
            return f"{name}\0{producer.digest.hex()}"
        return f"{name}\0{producer.digest.hex()}" if _FROM_WEB.search(command) else HOME
    parts = {part.lower() for part in _NAME_PARTS.findall(name)}
    if not _WEB_PARTS.isdisjoint(parts) or any("://" in value for value in _texts(producer)):
        return f"{name}\0{producer.digest.hex()}"
    *server, _ = _SEPARATOR.split(name)
    return f"{name[: -len(_)]}\0" if server and _ else f"{name}\0"


def _changed(producer: Producer, tools: Tools) -> Collection[str]:
    if command := shell_command(producer, tools):
        return (ANY_FILE,) if _WRITES.search(command[:ARGUMENT_CHARS_MAX]) else ()
    if _SEPARATOR.split(producer.name)[-1].lower() not in _EDITORS or producer.arguments.get("command") == "view":
        return ()
    paths = [path for key in _PATHS if isinstance(path := producer.arguments.get(key), str)]
    patches = (producer.arguments.get(key) for key in ("input", "patch", "diff"))
    paths += [path for patch in patches if isinstance(patch, str) for path in _PATCHED.findall(patch)]
    return {_base(path) for path in paths} or (ANY_FILE,)


def read_files(producer: Producer, tools: Tools) -> Collection[str]:
    """The names, without folders, of the files that a call may have read."""
    if command := shell_command(producer, tools):
        return set(_WORD.findall(command[:ARGUMENT_CHARS_MAX]))
    return {_base(path) for key in _PATHS if isinstance(path := producer.arguments.get(key), str)}


def _base(path: str) -> str:
    return _FOLDERS.split(path.strip())[-1]


def _is_local(producer: Producer, tools: Tools) -> bool:
    name = producer.name.lower()
    if _NAMESPACE.sub("", name, count=1) in _LOCAL:
        return True
    return any(fnmatchcase(name, glob) for glob in (*tools.files, *tools.shells))


def _texts(producer: Producer) -> Iterator[str]:
    return (value for value in producer.arguments.values() if isinstance(value, str))
