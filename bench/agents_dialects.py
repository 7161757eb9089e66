"""How each agent's tools are called: one table of clients, and one of the outputs that each of them is made to read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import agents_script
from bench.agents_script import Api, Call
from tests.agents import programs
from tests.agents.programs import Prepare


@dataclass(frozen=True)
class Client:
    """An agent: its npm package, how it is started, the format it speaks, and how its tools are called.

    `search` and `names` are None where it has no tool but the shell for them.
    """

    title: str
    package: str
    program: str
    prepare: Prepare
    protocol: str
    api: Api
    read: Callable[[Path], Call]
    shell: Callable[[str], Call]
    edit: Callable[[Path, str, str], Call]
    search: Callable[[str], Call] | None = None
    names: Callable[[str], Call] | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of output. `ask` gives its tool call in a folder, with the served files below `url`; None without a
    tool for it.
    """

    title: str
    ask: Callable[[Client, Path, str], Call | None]


def _read(path: str) -> Callable[[Client, Path, str], Call]:
    return lambda client, folder, url: client.read(folder / path)


def _shell(command: str) -> Callable[[Client, Path, str], Call]:
    return lambda client, folder, url: client.shell(command.replace("URL", url))


def _edit(path: str, old: str, new: str) -> Callable[[Client, Path, str], Call]:
    return lambda client, folder, url: client.edit(folder / path, old, new)


EDITED = "src/parcel.py"
KINDS = (
    Kind("file read, source", _read("src/invoice.py")),
    Kind("file read, another", _read(EDITED)),
    Kind("edit", _edit(EDITED, "    note: str = ''\n", "    note: str = 'none'\n")),
    Kind("file read again after the edit", _read(EDITED)),
    Kind("file read, JSON", _read("orders.json")),
    Kind("file read, log", _read("server.log")),
    Kind("file read, page", _read("page.html")),
    Kind("file read, CSV", _read("table.csv")),
    Kind("own search", lambda client, folder, url: client.search("total") if client.search else None),
    Kind("own list of names", lambda client, folder, url: client.names("**/*.py") if client.names else None),
    Kind("shell: cat of a source", _shell("cat src/ledger.py")),
    Kind("shell: JSON of an API", _shell("curl -s URL/orders.json")),
    Kind("shell: CSV of an API", _shell("curl -s URL/table.csv")),
    Kind("shell: page of a site", _shell("curl -s URL/page.html")),
    Kind("shell: log", _shell("tail -n 200 server.log")),
    Kind("shell: pytest -v", _shell("../programs/pytest -v tests")),
    Kind("shell: build with errors", _shell("make build")),
    Kind("shell: git log", _shell("git log")),
    Kind("shell: git diff", _shell("git diff --no-ext-diff")),
    Kind("shell: git status", _shell("git status")),
    Kind("shell: ls -laR", _shell("ls -laR src tests native")),
    Kind("shell: grep -rn", _shell("grep -rn total src")),
)


CLIENTS = {
    "claude-code": Client(
        "Claude Code",
        "@anthropic-ai/claude-code",
        "claude",
        programs.claude_with_tools,
        "anthropic_messages",
        agents_script.messages,
        read=lambda path: ("Read", {"file_path": str(path)}),
        shell=lambda command: ("Bash", {"command": command, "description": "Run it"}),
        edit=lambda path, old, new: ("Edit", {"file_path": str(path), "old_string": old, "new_string": new}),
        search=lambda pattern: ("Grep", {"pattern": pattern, "output_mode": "content", "-n": True}),
        names=lambda pattern: ("Glob", {"pattern": pattern}),
    ),
    "codex": Client(
        "Codex",
        "@openai/codex",
        "codex",
        programs.codex_newest,
        "openai_responses",
        agents_script.responses,
        read=lambda path: ("exec_command", {"cmd": f"sed -n '1,400p' {path}", "max_output_tokens": 100_000}),
        shell=lambda command: ("exec_command", {"cmd": command, "max_output_tokens": 100_000}),
        edit=lambda path, old, new: ("exec_command", {"cmd": f'sed -i "s/{old.strip()}/{new.strip()}/" {path}'}),
    ),
    "gemini-cli": Client(
        "Gemini CLI",
        "@google/gemini-cli",
        "gemini",
        programs.gemini,
        "gemini_generate",
        agents_script.gemini,
        read=lambda path: ("read_file", {"file_path": str(path)}),
        shell=lambda command: ("run_shell_command", {"command": command}),
        edit=lambda path, old, new: (
            "replace",
            {"file_path": str(path), "instruction": "Edit it", "old_string": old, "new_string": new},
        ),
        search=lambda pattern: ("grep_search", {"pattern": pattern}),
        names=lambda pattern: ("glob", {"pattern": pattern}),
    ),
    "opencode": Client(
        "opencode",
        "opencode-ai",
        "opencode",
        programs.opencode,
        "anthropic_messages",
        agents_script.messages,
        read=lambda path: ("read", {"filePath": str(path)}),
        shell=lambda command: ("bash", {"command": command, "description": "Run it"}),
        edit=lambda path, old, new: ("edit", {"filePath": str(path), "oldString": old, "newString": new}),
        search=lambda pattern: ("grep", {"pattern": pattern}),
        names=lambda pattern: ("glob", {"pattern": pattern}),
    ),
    "pi": Client(
        "pi",
        "@mariozechner/pi-coding-agent",
        "pi",
        programs.pi,
        "anthropic_messages",
        agents_script.messages,
        read=lambda path: ("read", {"path": str(path)}),
        shell=lambda command: ("bash", {"command": command}),
        edit=lambda path, old, new: ("edit", {"path": str(path), "edits": [{"oldText": old, "newText": new}]}),
    ),
    "qwen-code": Client(
        "Qwen Code",
        "@qwen-code/qwen-code",
        "qwen",
        programs.qwen,
        "openai_chat",
        agents_script.chat,
        read=lambda path: ("read_file", {"file_path": str(path)}),
        shell=lambda command: ("run_shell_command", {"command": command, "is_background": False}),
        edit=lambda path, old, new: ("edit", {"file_path": str(path), "old_string": old, "new_string": new}),
        search=lambda pattern: ("grep_search", {"pattern": pattern}),
        names=lambda pattern: ("glob", {"pattern": pattern}),
    ),
}
