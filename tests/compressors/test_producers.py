import pytest

from proxy_pkg.compressors.producers import ARGUMENT_CHARS_MAX, numbers_lines, prints_file
from proxy_pkg.model import Producer


def shell(command: object, name: str = "Bash", argument: str = "command") -> Producer:
    return Producer(name, {argument: command})


@pytest.mark.parametrize(
    "name", ["Read", "read_file", "view", "mcp__filesystem__read_text_file", "fs.read_file", "Edit"]
)
def test_reading_tools_print_files(name: str) -> None:
    assert prints_file(Producer(name, {"path": "a.py"}))


@pytest.mark.parametrize(
    "command",
    [
        "cat a.py",
        "cd src && cat -A a.py",
        "sed -n '1,20p' a.py",
        "sudo /usr/bin/head -5 a.py",
        "LC_ALL=C nl -ba a.py | sed -n 3,9p",
        "cat a.json | jq .",
        "git status; tail -n 5 log",
        "timeout 5 cat a.py",
        "bash -lc 'cat a.py'",
        "(cat a.py)",
        r"Get-Content C:\a.py",
        r"C:\bin\cat.exe a.py",
        "find . -name x | xargs cat",
        "find . -name x -exec cat {} +",
        "make\ncat a.py",
    ],
)
def test_shell_commands_that_print_files_are_seen(command: str) -> None:
    assert prints_file(shell(command))
    assert prints_file(shell(["bash", "-lc", command], "shell"))
    assert prints_file(shell({"command": ["sh", "-c", command]}, "local_shell_call", "input"))


@pytest.mark.parametrize(
    "command",
    ["pytest -q | tail -20", "curl -s x | head", "ls -l", "git log --stat | cat", "make 2>&1", "", "find . -type f"],
)
def test_filters_behind_another_program_do_not_print_files(command: str) -> None:
    assert not prints_file(shell(command))


@pytest.mark.parametrize("arguments", [{}, {"command": None}, {"command": 3}, {"command": []}, {"other": "cat a"}])
def test_odd_arguments_are_no_file_print(arguments: dict[str, object]) -> None:
    assert not prints_file(Producer("Bash", arguments))


def test_a_command_too_long_to_read_counts_as_printing_a_file() -> None:
    assert prints_file(shell("echo " + "x" * ARGUMENT_CHARS_MAX))


def test_unknown_tools_print_no_files() -> None:
    assert not prints_file(Producer())
    assert not prints_file(Producer("get_weather", {"command": "cat a.py"}))


def test_commands_that_number_lines_are_seen() -> None:
    assert numbers_lines(shell("nl -ba a.py | sed -n 1,9p"))
    assert numbers_lines(shell("cd x; cat -An a.py"))
    assert numbers_lines(Producer("Read"))
    assert not numbers_lines(shell("cat a.py"))
    assert not numbers_lines(Producer("query_rows"))
