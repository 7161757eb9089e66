"""A clean environment for the commands: none of the caller's settings, a private place for state, a free port."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from proxy_pkg.cli.main import app
from proxy_pkg.config.settings import BY_ENVIRONMENT

PROXYCTL = Path(sys.executable).parent / "proxyctl"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("HEADROOM_") or name in BY_ENVIRONMENT]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    (tmp_path / "run").mkdir(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("HEADROOM_PORT", str(free_port()))


@pytest.fixture
def proxyctl() -> Callable[..., Result]:
    """Runs a command inside this process."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), prog_name="proxyctl", catch_exceptions=False)

    return run


@pytest.fixture
def real_proxyctl(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the installed command as its own process."""

    def run(*arguments: str, prefix: tuple[str, ...] = (), **names: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*prefix, str(PROXYCTL), *arguments],
            env=os.environ | names,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
        )

    return run
