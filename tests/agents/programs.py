"""The coding agents as programs: how each is told where its API is, and asked one question without a person."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tests.fakes import answers
from tests.fakes.exchange import Request
from tests.fakes.scripts import Script

INSTALLED = Path(__file__).parents[2] / ".venv/agents/node_modules/.bin"
QUESTION = "Say what report.txt has"
LIMIT_SECONDS = 60
NOWHERE = "http://127.0.0.1:9"  # the port of discard: what an agent wants elsewhere ends here

Answer = Callable[[Request, answers.ToolCall], Script]
Prepare = Callable[[Path, str], tuple[list[str], dict[str, str]]]

# What an agent makes up for each run.
VARYING = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "DIGEST"),
    (re.compile(r"(?<![0-9])1[0-9]{12}(?![0-9])"), "MILLISECONDS"),
    (re.compile(r'(\w*(?:_ms|Ms)"): ?[0-9.]+'), r"\1:0"),
    (re.compile(r"127\.0\.0\.1:[0-9]+"), "ADDRESS"),
    (re.compile(r"Chunk ID: [0-9a-f]+|Wall time: [0-9.]+|PGID: [0-9]+"), "RUN"),
    (re.compile(r"\bcch=[0-9a-f]+"), "cch"),
)


@dataclass(frozen=True)
class Agent:
    """One program. `prepare` writes its settings into a home and gives its arguments and environment."""

    program: str
    prepare: Prepare
    answer: Answer
    call: Callable[[Path], tuple[str, dict[str, Any]]]

    @property
    def path(self) -> Path:
        return INSTALLED / self.program


@dataclass(frozen=True)
class Run:
    """How a run ended: exit status, and standard output without what differs from run to run."""

    status: int
    output: str
    complaint: str


def claude(home: Path, url: str) -> tuple[list[str], dict[str, str]]:
    arguments = ["-p", QUESTION, "--model", "claude-sonnet-4-5", "--allowedTools", "Read", "--output-format", "json"]
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
    return arguments, quiet | {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "sk-ant-test"}


def claude_with_tools(home: Path, url: str) -> tuple[list[str], dict[str, str]]:
    arguments, environment = claude(home, url)
    arguments[arguments.index("Read")] = "Read,Bash,Edit,Grep,Glob"
    return arguments, environment


def codex(home: Path, url: str, sockets: str = "false", model: str = "gpt-5") -> tuple[list[str], dict[str, str]]:
    (home / ".codex").mkdir()
    provider = {"name": '"proxy"', "base_url": f'"{url}/v1"', "env_key": '"OPENAI_API_KEY"', "wire_api": '"responses"'}
    lines = [f"{key} = {value}" for key, value in (provider | {"supports_websockets": sockets}).items()]
    top = f'model = "{model}"\nmodel_provider = "proxy"\n[model_providers.proxy]\n'
    (home / ".codex/config.toml").write_text(top + "\n".join(lines) + "\n")
    arguments = ["exec", "--skip-git-repo-check", "--json", "--sandbox", "danger-full-access", QUESTION]
    return arguments, {"CODEX_HOME": str(home / ".codex"), "OPENAI_API_KEY": "sk-test"}


def codex_newest(home: Path, url: str) -> tuple[list[str], dict[str, str]]:
    """With a model that the program knows, so that outputs are cut at its limit of tokens and not at 10,000 bytes."""
    return codex(home, url, model="gpt-5.5")


def codex_sockets(home: Path, url: str) -> tuple[list[str], dict[str, str]]:
    return codex(home, url, "true")


def gemini(home: Path, url: str) -> tuple[list[str], dict[str, str]]:
    (home / ".gemini").mkdir()
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
    }
    (home / ".gemini/settings.json").write_bytes(msgspec.json.encode(settings))
    arguments = [
        "-p",
        QUESTION,
        "-m",
        "gemini-3-pro",
        "--output-format",
        "json",
        "--skip-trust",
        "--approval-mode",
        "yolo",
    ]
    return arguments, {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": "key-test"}


def opencode(home: Path, url: str) -> tuple[list[str], dict[str, str]]:
    (home / ".config/opencode").mkdir(parents=True)
    settings = {
        "provider": {"anthropic": {"options": {"baseURL": f"{url}/v1", "apiKey": "sk-ant-test"}}},
        "permission": {"*": "allow"},
        "autoupdate": False,
        "share": "disabled",
    }
    (home / ".config/opencode/opencode.json").write_bytes(msgspec.json.encode(settings))
    quiet = {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"}
    return ["run", "--model", "anthropic/claude-sonnet-4-5", "--format", "json", "--auto", QUESTION], quiet


def pi(home: Path, url: str) -> tuple[list[str], dict[str, str]]:
    (home / ".pi/agent").mkdir(parents=True)
    (home / ".pi/agent/models.json").write_bytes(msgspec.json.encode({"providers": {"anthropic": {"baseUrl": url}}}))
    arguments = ["--provider", "anthropic", "--model", "claude-sonnet-4-5", "--mode", "json", "--print", QUESTION]
    return arguments, {"ANTHROPIC_API_KEY": "sk-ant-test", "PI_OFFLINE": "1", "PI_TELEMETRY": "0"}


def qwen(home: Path, url: str) -> tuple[list[str], dict[str, str]]:
    arguments = ["--auth-type", "openai", "--model", "qwen3-coder-plus", "--approval-mode", "yolo"]
    arguments += ["--output-format", "json", QUESTION]
    return arguments, {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "sk-test"}


def shell_call(_: Path) -> tuple[str, dict[str, Any]]:
    return "exec_command", {"cmd": "sh report.sh", "max_output_tokens": 100_000}


def gemini_call(_: Path) -> tuple[str, dict[str, Any]]:
    return "run_shell_command", {"command": "sh report.sh"}


AGENTS: dict[str, Agent] = {
    "claude-code": Agent("claude", claude, answers.anthropic_messages, lambda file: ("Read", {"file_path": str(file)})),
    "codex": Agent("codex", codex, answers.responses, shell_call),
    "gemini-cli": Agent("gemini", gemini, answers.gemini_stream, gemini_call),
}
SOCKETS = Agent("codex", codex_sockets, answers.responses, shell_call)


def run(agent: Agent, place: Path, report: str, url: str) -> Run:
    """Ask the agent, in a home that is new each time but has the same path, so that its requests are the same."""
    shutil.rmtree(place, ignore_errors=True)
    (place / "work").mkdir(parents=True)
    (place / "work/report.txt").write_text(report)
    (place / "work/report.sh").write_text("cat report.txt\n")
    return launch(agent.path, agent.prepare, place, url)


def launch(program: Path, prepare: Prepare, place: Path, url: str, limit_seconds: float = LIMIT_SECONDS) -> Run:
    """Ask the program whose home is `place` and which works in its folder `work`. `place/programs` is first on its
    path.
    """
    arguments, environment = prepare(place, url)
    ended = subprocess.run(
        [str(program), *arguments],
        cwd=place / "work",
        env={
            "HOME": str(place),
            "PATH": f"{place}/programs:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "HTTPS_PROXY": NOWHERE,
            "NO_PROXY": "127.0.0.1",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit_seconds,
        check=False,
    )
    return Run(ended.returncode, steady(ended.stdout), ended.stderr[-2000:])


def steady(text: str) -> str:
    """The text without what an agent makes up for each run."""
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return text


def reason_to_skip(agent: Agent) -> str:
    """Why the agent cannot be driven here; empty if it can."""
    if not agent.path.exists():
        return f"{agent.program} is not installed (tests/agents/install does it, with npm)"
    ended = subprocess.run(
        [str(agent.path), "--version"],
        capture_output=True,
        timeout=LIMIT_SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return "" if ended.returncode == 0 else f"{agent.program} does not start here (exit status {ended.returncode})"
