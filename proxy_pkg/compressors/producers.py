"""Which tool calls print a file as it is.

Agents edit by exact text, so of a file only what is invertible may change.
"""

import re
from collections.abc import Mapping
from typing import Any

from proxy_pkg.model import Producer

ARGUMENT_CHARS_MAX = 16_384
"""A longer shell command is taken to print a file, which is the careful answer."""

# Compared in small letters, without a server's name before the last "__", ":", "/" or ".".
FILE_READERS = frozenset(
    """
    read readfile read_file readmanyfiles read_many_files read_text_file read_multiple_files read_files file_read
    fs_read view view_file viewfile view_range open open_file get_file get_file_contents notebookread notebook_read
    cat str_replace_editor str_replace_based_edit_tool text_editor edit multiedit multi_edit edit_file replace
    write write_file writefile apply_patch applypatch goto scroll_down scroll_up
    """.split()  # noqa: SIM905  reads better than fifty quoted words
)
SHELLS = frozenset(
    """
    bash shell sh zsh terminal powershell pwsh exec exec_command local_shell local_shell_call shell_command
    run_shell_command run_terminal_cmd run_terminal_command run_in_terminal run_command runcommand command
    execute execute_command execute_bash bash_tool unified_exec write_stdin
    """.split()  # noqa: SIM905
)
FILE_PRINTERS = frozenset(
    """
    cat tac nl head tail sed awk gawk bat batcat less more type get-content gc select-string cut fold expand
    paste column strings
    """.split()  # noqa: SIM905
)
"""Commands whose output is the text of a file where they start a pipeline."""
NUMBERING = re.compile(r"(?:^|[\s;|&(])(?:nl|cat\s+(?:-\w*n|--number)|grep\s+-\w*n|bat|less\s+-N)\b")

_LAST_PART = re.compile(r"__|[:./]")
_PIPELINES = re.compile(r"&&|\|\||[;\n&]")
_WRAPPERS = frozenset(
    "sudo time timeout env nice command exec builtin nohup stdbuf bash sh zsh".split()  # noqa: SIM905
)
_HANDING_ON = frozenset(("xargs", "-exec", "-execdir"))
_ARGUMENTS = ("command", "cmd", "script", "commands", "input", "chars")


def shell_command(producer: Producer) -> str:
    """Return the shell command that `producer` ran, empty if it ran none."""
    if _tool(producer) not in SHELLS:
        return ""
    return next((_text(producer.arguments[name]) for name in _ARGUMENTS if name in producer.arguments), "")


def prints_file(producer: Producer) -> bool:
    """Tell whether the result of `producer` is the text of a file, whole or in part."""
    if _tool(producer) in FILE_READERS:
        return True
    command = shell_command(producer)
    if len(command) > ARGUMENT_CHARS_MAX:
        return True
    return any(map(_prints_file, _PIPELINES.split(command)))


def numbers_lines(producer: Producer) -> bool:
    """Tell whether `producer` is known to put numbers before lines."""
    return _tool(producer) in FILE_READERS or bool(NUMBERING.search(shell_command(producer)[:ARGUMENT_CHARS_MAX]))


def _tool(producer: Producer) -> str:
    return _LAST_PART.split(producer.name)[-1].lower()


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


def _prints_file(pipeline: str) -> bool:
    words = pipeline.split()
    if not _HANDING_ON.isdisjoint(words):
        return not FILE_PRINTERS.isdisjoint(words)
    return _program(pipeline.split("|", 1)[0].split()) in FILE_PRINTERS


def _program(words: list[str]) -> str:
    """Return the program that `words` start, without folder, and without wrapper, option or setting before it."""
    for word in words:
        bare = word.strip("\"'({`$")
        if bare and not bare[0].isdigit() and bare[0] != "-" and "=" not in bare and bare.lower() not in _WRAPPERS:
            return re.split(r"[/\\]", bare)[-1].lower().removesuffix(".exe")
    return ""
