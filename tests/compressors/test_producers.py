import pytest

from proxy_pkg.compressors.producers import ARGUMENT_CHARS_MAX, may_lose_lines, numbers_lines, prints_file, tools
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
        "cat a.py 2>/dev/null",
        "cat a.py > /dev/stdout",
        "cat > a.py <<'EOF'\nprint(1)\nEOF\ncat a.py",
        "bash <<EOF\ncat a.py\nEOF",
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


@pytest.mark.parametrize(
    "command",
    [
        "cat > a.py <<'EOF'\nhead = 3\ntype(head)\nEOF\npython a.py",
        "cat <<EOF >> notes.txt\ncat a.py\nEOF",
        "python - <<-'END'\nhead = 3\nless = head\n\tEND\nmake",
        "cat a.txt b.txt > c.txt",
    ],
)
def test_what_is_handed_to_a_program_or_written_to_a_file_is_not_printed(command: str) -> None:
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


@pytest.mark.parametrize(
    "command",
    [
        'powershell -NoProfile -Command "Get-Content a.py | Select-Object -First 20"',
        "pwsh -ExecutionPolicy Bypass -c 'gc a.py'",
        "$lines = Get-Content a.py; $lines[0..20]",
        "[System.IO.File]::ReadAllText('a.py')",
        r"cmd.exe /c type C:\a.py",
        "docker exec web cat /srv/a.py",
        "ssh host 'sed -n 1,9p a.py'",
        "git show HEAD:src/a.py",
        "git cat-file -p HEAD:src/a.py",
        "python3 -c \"print(open('a.py').read())\"",
        "python3 -c \"from pathlib import Path; print(Path('a.py').read_text())\"",
        "node -e \"console.log(require('fs').readFileSync('a.js', 'utf8'))\"",
    ],
)
def test_other_ways_to_print_a_file_are_seen(command: str) -> None:
    assert prints_file(shell(command))


@pytest.mark.parametrize(
    "command",
    [
        "git show HEAD",
        "git show --format=%h:%s HEAD~3",
        "docker ps | head",
        "kubectl get pods",
        "pwsh -c 'Get-ChildItem'",
    ],
)
def test_what_runs_elsewhere_or_shows_commits_prints_no_file(command: str) -> None:
    assert not prints_file(shell(command))


def test_globs_name_more_tools() -> None:
    more = tools("mcp__*__fetch_source, Peek", "mcp__box__*")
    assert prints_file(Producer("mcp__Repo__fetch_source"), more)
    assert prints_file(Producer("peek"), more)
    assert numbers_lines(Producer("peek"), more)
    assert not prints_file(Producer("mcp__repo__fetch_source"))
    assert not prints_file(Producer("peeking"), more)
    run = Producer("mcp__box__do", {"command": "cat a.py"})
    assert prints_file(run, more)
    assert not prints_file(run)
    assert may_lose_lines(Producer("mcp__box__do", {"command": "make"}), more)
    assert not may_lose_lines(run, more)


def test_a_tool_that_calls_another_counts_as_the_other() -> None:
    assert prints_file(Producer("use_mcp_tool", {"server_name": "fs", "tool_name": "read_text_file"}))
    assert not prints_file(Producer("use_mcp_tool", {"tool_name": 3}))
