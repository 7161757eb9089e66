"""Which tool calls print a file as it is.

Agents edit by exact text, so of a file only what is invertible may change.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct

from proxy_pkg.compressors import programs
from proxy_pkg.model import Producer

ARGUMENT_CHARS_MAX = 16_384
"""A longer shell command is taken to print a file, which is the careful answer."""


class Tools(Struct, frozen=True):
    """Names of tools beside those below, as globs: `*`, `?` and `[…]`.

    They are compared in small letters with the whole name, the server's included. A name in `files` prints files,
    whatever else it is; one in `data` prints no file.
    """

    files: tuple[str, ...] = ()
    shells: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    """Tools whose results are never changed; these are compared with the name behind the server's too."""
    exact_reads: bool = False
    """Nothing that prints a file is ever changed."""
    data: tuple[str, ...] = ()


NO_MORE = Tools()


# Compared in small letters, without a server's name before the last "__", ":", "/" or ".".
FILE_READERS = frozenset(
    """
    read readfile read_file readmanyfiles read_many_files read_text_file read_multiple_files read_files file_read
    fs_read view view_file viewfile view_range open open_file get_file get_file_contents notebookread notebook_read
    cat str_replace_editor str_replace_based_edit_tool text_editor edit multiedit multi_edit edit_file replace
    write write_file writefile write_to_file create_file replace_in_file replace_string_in_file search_replace
    search_and_replace str_replace strreplace insert_content insert_edit_into_file apply_diff fs_write fswrite
    apply_patch applypatch goto scroll_down scroll_up get_file_text_by_path view_code_item
    readmultiplefiles view_line_range get_symbol_body find_symbol
    file_editor file_viewer builtin_read_file builtinreadfile ctx_read open_files openfiles readmcpresourcetool
    readmcpresource read_mcp_resource read_resource get_resource read_many read_lines readlines file_view
    read_notebook notebook_edit notebookedit get_source read_source read_code show_file display_file print_file
    load_file fetch_file download_file get_file_content getfilecontents read_file_content read_file_contents
    read_file_range read_file_lines readtextfile read_document view_source open_document get_text
    """.split()  # noqa: SIM905  reads better than fifty quoted words
)
SHELLS = frozenset(
    """
    bash shell sh zsh terminal powershell pwsh exec exec_command local_shell local_shell_call shell_command
    run_shell_command run_terminal_cmd run_terminal_command run_in_terminal run_command runcommand command
    execute execute_command execute_bash bash_tool unified_exec write_stdin exec executebash execute_pwsh
    executepwsh start_process interact_with_process runinterminal execute_shell_command
    """.split()  # noqa: SIM905
)
SEEKERS = frozenset(
    """
    grep grep_search search_file_content search_files search_code codebase_search file_search find find_files
    find_by_name glob ls list list_dir list_directory list_files rg ripgrep tree webfetch web_fetch fetch fetch_url
    read_url read_web_page websearch web_search browser_snapshot query sql execute_sql run_query read_query
    bashoutput taskoutput read_terminal get_terminal_output test run_tests runtests
    """.split()  # noqa: SIM905
)
"""Tools that look something up, or tell how a run went: their results are read, not edited."""
NO_FILE_TOOLS = frozenset(
    """
    webfetch web_fetch fetch fetch_url read_url read_web_page websearch web_search google_search google_web_search
    brave_web_search tavily_search exa_search browser_snapshot query sql execute_sql run_query read_query run_sql
    execute_query http_request list_issues list_pull_requests glob ls list_dir list_directory list_files find_by_name
    """.split()  # noqa: SIM905
)
"""Tools whose results come from the web, a database, or a list of names: known to be no file's text."""
_LOOKING_UP = frozenset(("list", "query", "count", "browser", "search", "describe"))
_OF_FILES = frozenset(
    "file files code source content contents text texts resource resources document documents note notes".split()  # noqa: SIM905
)
_NAME_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
NUMBERING = re.compile(r"(?:^|[\s;|&(])(?:nl|cat\s+(?:-\w*n|--number)|grep\s+-\w*n|bat|less\s+-N)\b")

_LAST_PART = re.compile(r"__|[:./]")
_PRINTED_READ = re.compile(
    r"\bget-content\b|::read(?:all|lines)|\b(?:print|puts|echo|log|write)\b.{0,60}?"
    r"(?:\bopen\([^()]{0,200}\)\.read|read_text\(|readfilesync\(|file\.read\(|file_get_contents\()",
    re.IGNORECASE,
)
"""A file's text printed by PowerShell, or by a line of Python, Node, Ruby or PHP."""
_PATHS = ("file_path", "path", "filename", "target_file", "absolute_path", "filePath", "file", "relative_path")
"""Arguments that name the file that is read."""
_FOLDERS = ("workdir", "cwd", "working_directory", "working_dir", "directory")
_WRITING = re.compile("edit|write|replace|insert|patch|create")
"""Tools whose result shows a file that was just changed."""
_CALLS_OTHERS = frozenset(("use_mcp_tool",))
_ARGUMENTS = ("command", "cmd", "script", "commands", "input", "chars")


def tools(files: str, shells: str, exact: str = "", exact_reads: bool = False, data: str = "") -> Tools:
    """Return the tools of lists of globs, each separated by commas."""
    return Tools(_globs(files), _globs(shells), _globs(exact), exact_reads, _globs(data))


def _globs(text: str) -> tuple[str, ...]:
    return tuple(glob for part in text.split(",") if (glob := part.strip().lower()))


def _is_among(producer: Producer, globs: tuple[str, ...]) -> bool:
    name = producer.name.lower() if globs else ""
    return any(fnmatchcase(name, glob) for glob in globs)


def stays_exact(producer: Producer, tools: Tools) -> bool:
    """Tell whether the operator wants the result of `producer` left as it is."""
    if tools.exact and (_is_among(producer, tools.exact) or _is_among(Producer(_tool(producer)), tools.exact)):
        return True
    return tools.exact_reads and prints_file(producer, tools)


def shell_command(producer: Producer, tools: Tools = NO_MORE) -> str:
    """Return the shell command that `producer` ran, empty if it ran none."""
    if not runs_shell(producer, tools):
        return ""
    name = next((name for name in _ARGUMENTS if name in producer.arguments), "")
    between = "\n" if name == "commands" else " "
    return _text(producer.arguments[name], between) if name else ""


def runs_shell(producer: Producer, tools: Tools = NO_MORE) -> bool:
    """Tell whether `producer` is a shell, whatever it ran."""
    return _tool(producer) in SHELLS or _is_among(producer, tools.shells)


def prints_file(producer: Producer, tools: Tools = NO_MORE) -> bool:
    """Tell whether the result of `producer` is the text of a file, whole or in part."""
    if _tool(producer) in FILE_READERS or _is_among(producer, tools.files):
        return True
    command = shell_command(producer, tools)
    if len(command) > ARGUMENT_CHARS_MAX or _PRINTED_READ.search(command):
        return True
    return programs.prints_file(command)


def named_files(producer: Producer, tools: Tools = NO_MORE) -> tuple[str, ...]:
    """Return the paths of the files that `producer` prints, empty where not each of them is known.

    The folder that a call names to run in, and those its shell command changes to, stand among them with a slash at
    their end.
    """
    folders = tuple(f"{folder.rstrip('/')}/" for key in _FOLDERS if (folder := _text(producer.arguments.get(key))))
    command = shell_command(producer, tools)
    if command:
        is_short = len(command) <= ARGUMENT_CHARS_MAX and not _PRINTED_READ.search(command)
        names = programs.printed_files(command) if is_short else ()
    else:
        is_reader = not _WRITING.search(_tool(producer)) and prints_file(producer, tools)
        names = tuple(name for key in _PATHS if (name := _text(producer.arguments.get(key)))) if is_reader else ()
    return (*folders, *names) if names else ()


def prints_no_file(producer: Producer, tools: Tools = NO_MORE) -> bool:
    """Tell whether the result of `producer` is known to be no file's text. Of an unknown tool it may be one."""
    if prints_file(producer, tools):
        return False
    command = shell_command(producer, tools)
    if command:
        return programs.prints_no_file(command)
    name = _tool(producer)
    return name in NO_FILE_TOOLS or _is_among(producer, tools.data) or _looks_up(name)


def _looks_up(name: str) -> bool:
    """Whether a name says that its tool lists or looks up records, and nothing of files."""
    parts = _NAME_PARTS.findall(name)
    return len(parts) > 1 and parts[0].lower() in _LOOKING_UP and _OF_FILES.isdisjoint(map(str.lower, parts))


def may_lose_lines(producer: Producer, tools: Tools = NO_MORE) -> bool:
    """Tell whether the result of `producer` is known to be no file's text: of an unknown tool it may be one."""
    is_known = _tool(producer) in SHELLS | SEEKERS or _is_among(producer, tools.shells)
    return is_known and not prints_file(producer, tools)


def numbers_lines(producer: Producer, tools: Tools = NO_MORE) -> bool:
    """Tell whether `producer` is known to put numbers before lines."""
    if _tool(producer) in FILE_READERS or _is_among(producer, tools.files):
        return True
    return bool(NUMBERING.search(shell_command(producer, tools)[:ARGUMENT_CHARS_MAX]))


def _tool(producer: Producer) -> str:
    name = producer.name
    if name in _CALLS_OTHERS:
        name = _text(producer.arguments.get("tool_name")) or name
    return _LAST_PART.split(name)[-1].lower()


def _text(argument: Any, between: str = " ") -> str:
    """Return a command given as text, as a list of words (or of commands, with "\\n" `between` them), or as either
    under `command`. A list of which a part is missing (planning/arguments.py) gives nothing.
    """
    if isinstance(argument, str):
        return argument
    if isinstance(argument, Mapping):
        return _text(argument.get("command", ""))
    if isinstance(argument, list | tuple) and None not in argument:
        words = [word for word in argument if isinstance(word, str)]
        return words[-1] if len(words) > 2 and words[1].startswith("-") else between.join(words)
    return ""
