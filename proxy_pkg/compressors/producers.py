"""Which tool calls print a file as it is.

Agents edit by exact text, so of a file only what is invertible may change.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct

from proxy_pkg.model import Producer

ARGUMENT_CHARS_MAX = 16_384
"""A longer shell command is taken to print a file, which is the careful answer."""


class Tools(Struct, frozen=True):
    """Names of tools beside those below, as globs: `*`, `?` and `[…]`.

    They are compared in small letters with the whole name, the server's included. A name in `files` prints files,
    whatever else it is.
    """

    files: tuple[str, ...] = ()
    shells: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    """Tools whose results are never changed; these are compared with the name behind the server's too."""
    exact_reads: bool = False
    """Nothing that prints a file is ever changed."""


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
FILE_PRINTERS = frozenset(
    """
    cat tac nl head tail sed awk gawk bat batcat less more type get-content gc select-string cut fold expand
    paste column strings gcat ghead gtail highlight
    pygmentize glow mdcat iconv zcat bzcat xzcat
    """.split()  # noqa: SIM905
)
"""Commands whose output is the text of a file where they start a pipeline."""
NUMBERING = re.compile(r"(?:^|[\s;|&(])(?:nl|cat\s+(?:-\w*n|--number)|grep\s+-\w*n|bat|less\s+-N)\b")

_LAST_PART = re.compile(r"__|[:./]")
_FOLDER = re.compile(r".*[/\\](?=.)")
_PIPELINES = re.compile(r"&&|\|\||[;\n&]")
_WRAPPERS = frozenset(
    """
    sudo doas time timeout env nice command exec builtin nohup stdbuf busybox bash sh zsh
    powershell pwsh cmd c bypass unrestricted remotesigned
    """.split()  # noqa: SIM905
)
_RUNNING_ELSEWHERE = frozenset("ssh docker podman kubectl oc wsl adb multipass vagrant".split())  # noqa: SIM905
_PRINTED_READ = re.compile(
    r"\bget-content\b|::read(?:all|lines)|\b(?:print|puts|echo|log|write)\b.{0,60}?"
    r"(?:\bopen\([^()]{0,200}\)\.read|read_text\(|readfilesync\(|file\.read\(|file_get_contents\()",
    re.IGNORECASE,
)
"""A file's text printed by PowerShell, or by a line of Python, Node, Ruby or PHP."""
_DOCUMENT = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
_SHELL = re.compile(r"\b(?:[bzkd]?a?sh|ssh|docker|podman|kubectl|exec|eval|source)\b")
_WRITES = re.compile(r"(?:^|\s)1?>{1,2}\s*(?!/dev/(?:stdout|tty))[^\s&>]")
_CALLS_OTHERS = frozenset(("use_mcp_tool",))
_HANDING_ON = frozenset(("xargs", "-exec", "-execdir"))
_ARGUMENTS = ("command", "cmd", "script", "commands", "input", "chars")


def tools(files: str, shells: str, exact: str = "", exact_reads: bool = False) -> Tools:
    """Return the tools of lists of globs, each separated by commas."""
    return Tools(_globs(files), _globs(shells), _globs(exact), exact_reads)


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
    if _tool(producer) not in SHELLS and not _is_among(producer, tools.shells):
        return ""
    return next((_text(producer.arguments[name]) for name in _ARGUMENTS if name in producer.arguments), "")


def prints_file(producer: Producer, tools: Tools = NO_MORE) -> bool:
    """Tell whether the result of `producer` is the text of a file, whole or in part."""
    if _tool(producer) in FILE_READERS or _is_among(producer, tools.files):
        return True
    command = shell_command(producer, tools)
    if len(command) > ARGUMENT_CHARS_MAX or _PRINTED_READ.search(command):
        return True
    return any(map(_prints_file, _PIPELINES.split(_without_documents(command))))


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


def _text(argument: Any) -> str:
    """Return a command given as text, as a list of words, or as either under `command`."""
    if isinstance(argument, str):
        return argument
    if isinstance(argument, Mapping):
        return _text(argument.get("command", ""))
    if isinstance(argument, list | tuple):
        words = [word for word in argument if isinstance(word, str)]
        return words[-1] if len(words) > 2 and words[1].startswith("-") else " ".join(words)
    return ""


def _without_documents(command: str) -> str:
    """The command without the lines that it hands to a program as its input, unless that is a shell."""
    kept: list[str] = []
    end = ""
    for line in command.split("\n"):
        if end:
            end = "" if line.strip() == end else end
            continue
        kept.append(line)
        document = _DOCUMENT.search(line)
        if document is not None and not _SHELL.search(line):
            end = document[2]
    return "\n".join(kept)


def _prints_file(pipeline: str) -> bool:
    words = pipeline.split()
    if not _HANDING_ON.isdisjoint(words):
        return not FILE_PRINTERS.isdisjoint(words)
    first = pipeline.split("|", 1)[0].split()
    program = _program(first)
    if program in _RUNNING_ELSEWHERE:
        return not FILE_PRINTERS.isdisjoint(word.strip("\"'") for word in first)
    if program == "git":
        return "cat-file" in first or ("show" in first and any(":" in word and word[0] != "-" for word in first))
    if program == "cat" and _WRITES.search(pipeline.split("|", 1)[0]):
        return False
    return program in FILE_PRINTERS


def _program(words: list[str]) -> str:
    """Return the program that `words` start, without folder, and without wrapper, option or setting before it."""
    for word in words:
        bare = word.strip("\"'({`$")
        program = _FOLDER.sub("", bare).lower().removesuffix(".exe")
        if bare and not bare[0].isdigit() and bare[0] != "-" and "=" not in bare and program not in _WRAPPERS:
            return program
    return ""
