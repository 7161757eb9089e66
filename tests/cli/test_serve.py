import os
import socket
from pathlib import Path

import msgspec
import pytest

from proxy_pkg.cli.serve import configuration_file
from proxy_pkg.config.load import load

FAKE_GUNICORN = """
import json, os, sys
print(json.dumps({"argv": sys.orig_argv, "environ": dict(os.environ), "pid": os.getpid()}))
"""


@pytest.fixture
def fake_gunicorn(tmp_path: Path) -> str:
    """A directory whose `gunicorn` only says how it was started."""
    package = tmp_path / "path" / "gunicorn"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(FAKE_GUNICORN)
    return str(package.parent)


def test_it_becomes_gunicorn_with_the_packaged_file_and_its_options(real_proxyctl, fake_gunicorn: str) -> None:
    result = real_proxyctl("serve", "--workers", "2", "--compression", "off", PYTHONPATH=fake_gunicorn)
    assert result.returncode == 0, result.stderr
    started = msgspec.json.decode(result.stdout)
    assert started["argv"][-4:] == ["-m", "gunicorn", "-c", str(configuration_file())]
    loaded = load(started["environ"])
    assert (loaded.settings.workers, loaded.settings.compression) == (2, "off")
    assert loaded.sources["workers"] == "command line" and loaded.sources["host"] == "default"


def test_a_module_in_the_working_directory_does_not_stand_in(real_proxyctl, fake_gunicorn: str, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.py").write_text("raise SystemExit('the wrong module')")
    result = real_proxyctl("serve", PYTHONPATH=fake_gunicorn)
    assert result.returncode == 0, result.stderr


def test_secrets_reach_the_server_by_their_own_variable_alone(real_proxyctl, fake_gunicorn: str) -> None:
    result = real_proxyctl("serve", PYTHONPATH=fake_gunicorn, HEADROOM_PROXY_TOKEN="canary-0123456789-secret")
    started = msgspec.json.decode(result.stdout)
    holders = [name for name, value in started["environ"].items() if "canary" in value]
    assert holders == ["HEADROOM_PROXY_TOKEN"] and "canary" not in " ".join(started["argv"])


def test_problems_are_told_before_anything_starts(real_proxyctl, fake_gunicorn: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = real_proxyctl("serve", "--port", port, "--workers", "0", PYTHONPATH=fake_gunicorn)
        assert result.returncode == 1 and result.stdout == ""
        assert "--workers" in result.stderr and f"port {port}" in result.stderr
        assert real_proxyctl("serve", "--port", port, "--no-check", PYTHONPATH=fake_gunicorn).returncode == 0


def test_faulty_settings_stop_it_even_unchecked(real_proxyctl, fake_gunicorn: str) -> None:
    assert real_proxyctl("serve", "--no-check", "--port", "x", PYTHONPATH=fake_gunicorn).returncode == 1


def test_the_packaged_file_is_found() -> None:
    path = configuration_file()
    assert path is not None and path.name == "gunicorn_conf.py" and os.access(path, os.R_OK)
