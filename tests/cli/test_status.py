"""What `proxyctl status` says where no server of this user runs."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from typer.testing import Result

from proxy_pkg.cli import finding_server
from proxy_pkg.stats.counters import open_counters
from proxy_pkg.stats.directory import prepare

NOBODY = 65534
Real = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_port_that_somebody_elses_server_has_is_told(proxyctl: Callable[..., Result]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        found = proxyctl("status", "--port", str(other.getsockname()[1]))
    assert found.exit_code == 3
    assert "No server runs with this configuration." in found.stdout
    assert "Something else listens on 127.0.0.1" in found.stdout


def test_a_free_port_is_told_in_one_line(proxyctl: Callable[..., Result]) -> None:
    assert proxyctl("status").stdout == "No server runs with this configuration.\n"


@pytest.mark.parametrize("command", ["status", "reload", "drain"])
def test_a_state_directory_that_is_read_only_is_named_with_what_to_do(
    command: str, proxyctl: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is there and answers, and its directory could not be made: no command can find its master."""
    given = os.statvfs(tmp_path)
    read_only = os.statvfs_result((*given[:8], given.f_flag | os.ST_RDONLY, given.f_namemax))
    monkeypatch.setattr(finding_server.os, "statvfs", lambda place: read_only)
    monkeypatch.setattr(finding_server, "listens", lambda settings: True)
    monkeypatch.setattr(finding_server, "is_ours", lambda settings: True)
    found = proxyctl(command, "--state-dir", str(tmp_path / "none"))
    assert found.exit_code == 3
    assert f"{tmp_path} is on a file system that is read-only" in found.stdout
    assert "systemctl stop" in found.stdout


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv (on Debian: util-linux)"
)
def test_another_user_is_told_whose_server_it_is(real_proxyctl: Real) -> None:
    other = ("setpriv", f"--reuid={NOBODY}", "--clear-groups")
    with TemporaryDirectory() as place:
        Path(place).chmod(0o711)
        state = f"{place}/state"
        lock = prepare(state)
        counters = open_counters(state, 1)
        try:
            found = real_proxyctl("status", prefix=other, HEADROOM_STATE_DIR=state)
        finally:
            counters.close()
            lock.close()
    if "failed to execute" in found.stderr or "ModuleNotFoundError" in found.stderr:
        pytest.skip("another user may not read this Python environment")
    assert found.returncode == 1
    assert f"belong to user 0, and this is user {NOBODY}" in found.stderr
    assert "sudo -u" in found.stderr
