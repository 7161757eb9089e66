import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest


def test_the_real_command_accepts_the_defaults(real_proxyctl) -> None:
    result = real_proxyctl("check-config")
    assert (result.returncode, result.stderr) == (0, "")
    assert "can be used" in result.stdout


def test_figures_per_worker_and_in_total(proxyctl) -> None:
    result = proxyctl("check-config", "--workers", "3", "--max-connections", "40", "--max-keepalive", "7")
    lines = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if len(line.split()) == 3}
    assert lines["workers"] == ["1", "3"]
    assert lines["limit_concurrency"] == ["1000", "3000"]
    assert lines["max_connections"] == ["40", "120"]
    assert lines["max_keepalive"] == ["7", "21"]
    assert lines["body_bytes_in_flight_max"] == ["512MiB", "1536MiB"]


def test_json_is_one_object_with_everything(proxyctl) -> None:
    result = proxyctl("check-config", "--json", "--workers", "2")
    document = msgspec.json.decode(result.stdout)
    assert document["ok"] is True and document["problems"] == [] and result.exit_code == 0
    assert document["effective"]["per_worker"]["max_connections"] == 500
    assert document["effective"]["total"]["max_connections"] == 1000
    assert document["effective"]["sources"]["workers"] == "command line"


def test_every_problem_is_told_whatever_found_it(proxyctl, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(0o755)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = proxyctl(
            *("check-config", "--port", str(port), "--state-dir", str(state), "--log-level", "loud"),
            *("--limit-concurrency", "1000000"),
        )
    assert result.exit_code == 1
    problems = [line for line in result.stderr.splitlines() if line.startswith("problem: ")]
    assert len(problems) == 4
    text = result.stderr
    assert f"ss -ltnp 'sport = :{port}'" in text and f"chmod 700 {state}" in text
    assert "--log-level" in text and "open files" in text


def test_problems_in_json(proxyctl) -> None:
    result = proxyctl("check-config", "--json", "--port", "0", "--workers", "none")
    document = msgspec.json.decode(result.stdout)
    assert result.exit_code == 1 and document["ok"] is False and len(document["problems"]) == 2
    assert document["effective"] is None


def test_warnings_alone_are_no_failure(proxyctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_REGION", "x")
    result = proxyctl("check-config")
    assert result.exit_code == 0 and result.stderr.startswith("warning: ") and "HEADROOM_REGION" in result.stderr


def test_a_running_server_may_hold_its_port(proxyctl) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        arguments = ("check-config", "--port", str(taken.getsockname()[1]))
        assert proxyctl(*arguments).exit_code == 1
        assert proxyctl(*arguments, "--running").exit_code == 0


def test_a_hard_limit_on_open_files_is_a_problem(real_proxyctl) -> None:
    prefix = ("sh", "-c", 'ulimit -n 300; exec "$@"', "sh")
    result = real_proxyctl("check-config", prefix=prefix)
    assert result.returncode == 1 and "1600 open files" in result.stderr and "hard limit is 300" in result.stderr


SHOWING = [
    ("check-config",),
    ("check-config", "--json"),
    ("check-config", "--port", "0"),
    ("config", "show"),
    ("config", "show", "--json"),
    *(("env", client) for client in ("claude", "codex", "gemini", "openai")),
]


@pytest.mark.parametrize("arguments", SHOWING, ids=" ".join)
def test_the_token_is_never_shown(proxyctl, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.setenv("HEADROOM_PROXY_TOKEN", "canary-0123456789-secret")
    result = proxyctl(*arguments)
    assert result.output and "canary" not in result.output


def test_secrets_have_no_option(proxyctl) -> None:
    result = proxyctl("check-config", "--proxy-token", "x")
    assert result.exit_code == 2 and "No such option" in result.stderr


def test_nothing_is_left_behind(proxyctl, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert proxyctl("check-config").exit_code == 0
    assert sorted(tmp_path.rglob("*")) == before


HEAVY = ("aiohttp", "uvicorn", "starlette", "tiktoken", "rich")


def test_it_loads_nothing_that_takes_long(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from proxy_pkg.cli.main import app\n"
        "app(['check-config'], standalone_mode=False)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=30)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
