import os
import subprocess
import sys

import proxy_pkg
from proxy_pkg.cli.main import COMMANDS


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
