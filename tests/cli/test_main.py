import os
import subprocess
import sys

import pytest

import proxy_pkg
from proxy_pkg.cli.main import COMMANDS
from proxy_pkg.config.settings import ROWS


def test_help_lists_every_command(proxyctl) -> None:
    result = proxyctl("--help")
    assert result.exit_code == 0
    for name, (_, help) in COMMANDS.items():
        assert name in result.stdout and help.split(";")[0].split(":")[0] in " ".join(result.stdout.split())


def test_no_command_prints_the_help(proxyctl) -> None:
    assert "check-config" in proxyctl().output


def test_version(real_proxyctl) -> None:
    assert real_proxyctl("--version").stdout == proxy_pkg.__version__ + "\n"


def test_a_mistyped_command_is_led_to_the_right_one(proxyctl) -> None:
    result = proxyctl("srve")
    assert result.exit_code == 2 and "Did you mean 'serve'?" in result.stderr


def loaded_by(*arguments: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    program = (
        "import sys, atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
        f"sys.argv = ['proxyctl', *{arguments!r}]; from proxy_pkg.cli.main import run; run()"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ, timeout=30)
    return set(result.stderr.split())


def test_help_loads_no_command() -> None:
    assert not {f"proxy_pkg.cli.{module}" for module, _ in COMMANDS.values()} & loaded_by("--help")


def test_check_config_loads_nothing_heavy() -> None:
    loaded = loaded_by("check-config", "--json")
    assert "proxy_pkg.cli.check_config" in loaded
    assert (
        not {"aiohttp", "asyncio", "gunicorn", "uvicorn", "starlette", "tiktoken", "rich", "prometheus_client"} & loaded
    )


@pytest.mark.parametrize(
    "command", [["config", "show"] if name == "config" else [name] for name in COMMANDS], ids=" ".join
)
def test_help_shows_what_is_the_commands_own_and_settings_on_request(command: list[str], proxyctl) -> None:
    shown = proxyctl(*command, "--help").output
    assert "--limit-concurrency" not in shown
    assert "--help-settings lists them" in shown
    assert len(shown.splitlines()) < 40
    on_request = proxyctl(*command, "--help-settings")
    assert on_request.exit_code == 0
    assert "--limit-concurrency N" in on_request.output
    assert not [row for row in ROWS.values() if row.secret and "--" + row.name.replace("_", "-") in on_request.output]


def test_a_setting_that_help_leaves_out_is_an_option_all_the_same(proxyctl) -> None:
    done = proxyctl("config", "show", "--limit-concurrency", "77")
    assert "77" in done.output
    assert "command line" in done.output
