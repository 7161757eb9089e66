"""The first settings must be right; later ones that are wrong change nothing."""

import os
from pathlib import Path

import pytest

from proxy_pkg.config import extras
from proxy_pkg.config.load import load
from proxy_pkg.server import boot
from proxy_pkg.server.preflight import inspect


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.toml"
    monkeypatch.setattr(boot, "_last_good", [])
    monkeypatch.setenv("HEADROOM_CONFIG", str(path))
    return path


def test_a_wrong_start_ends_the_process_and_says_all(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text('workers = "x"\nprot = 1')
    with pytest.raises(SystemExit) as ended:
        boot.load_settings()
    assert ended.value.code == 1
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 2
    assert all(line.startswith("proxy_pkg: problem: ") for line in said)


def test_a_wrong_reload_keeps_what_was(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text("gap_timeout_seconds = 7")
    first = boot.load_settings()
    origins = boot.origins_in_force()
    file.write_text("gap_timeout_seconds = -7")
    assert boot.load_settings() is first
    assert boot.origins_in_force() is origins
    assert "the reload is refused" in capfd.readouterr().err
    file.write_text("gap_timeout_seconds = 8")
    assert boot.load_settings().gap_timeout_seconds == 8


def test_what_needs_a_restart_stays_through_every_reload(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text("backlog = 5")
    boot.load_settings()
    for _ in range(2):
        file.write_text("backlog = 6\ngap_timeout_seconds = 9")
        reloaded = boot.load_settings()
        assert (reloaded.backlog, reloaded.gap_timeout_seconds) == (5, 9)
        assert "only a restart applies it: HEADROOM_BACKLOG" in capfd.readouterr().err


def test_values_keep_their_age_until_they_change(file: Path) -> None:
    file.write_text("gap_timeout_seconds = 7\nbacklog = 5")
    boot.load_settings()
    first = boot.origins_in_force()
    file.write_text("gap_timeout_seconds = 8\nbacklog = 6\nbody_timeout_seconds = 60")
    boot.load_settings()
    second = boot.origins_in_force()
    ages = {
        name: second.by_setting[name].since_ns - first.by_setting[name].since_ns
        for name in ("gap_timeout_seconds", "backlog", "body_timeout_seconds", "port")
    }
    assert ages.pop("gap_timeout_seconds") > 0
    assert set(ages.values()) == {0}
    assert second.read_ns > first.read_ns
    assert second.by_setting["body_timeout_seconds"].source == f"file {file}"
    assert second.by_setting["port"].source == "default"


@pytest.mark.parametrize(
    ("line", "variable", "extra"),
    [('redis_url = "redis://cache"', "HEADROOM_REDIS_URL", "redis"), ("otel = true", "HEADROOM_OTEL", "otel")],
)
def test_a_missing_extra_is_the_same_problem_as_check_config_tells(
    file: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str, variable: str, extra: str
) -> None:
    file.write_text(line)
    monkeypatch.setattr(extras, "is_missing", lambda name: name == extra)
    with pytest.raises(SystemExit):
        boot.load_settings()
    (said,) = capfd.readouterr().err.splitlines()
    (problem,) = inspect(load().settings, running=True).problems
    assert said == f"proxy_pkg: problem: {problem}"
    assert problem.startswith(f"{variable} is set, but the extra '{extra}' that it needs is not installed: ")
    assert "make extras" in problem
    assert f".whl[{extra}]" in problem


DEEP = b"a = " + b"[" * 5000


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG\x00\xff", b"no sense", DEEP], ids=str)
@pytest.mark.parametrize(
    ("row", "variable"),
    [
        ("prices = '{path}'", "HEADROOM_PRICES"),
        ("ca_bundle = '{path}'", "HEADROOM_CA_BUNDLE"),
        ("redis_url = 'rediss://cache?ssl_ca_certs={path}'", "HEADROOM_REDIS_URL"),
        ("redis_url = 'rediss://cache?ssl_certfile={path}'", "HEADROOM_REDIS_URL"),
        ("redis_url = 'redis://cache?colour=red'", "HEADROOM_REDIS_URL"),
    ],
)
def test_a_file_that_cannot_be_used_is_the_same_problem_at_check_start_and_reload(
    content: bytes | None, row: str, variable: str, file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A server that went on would trust, count or share less than its operator believes."""
    path = tmp_path / "named"
    if content is not None:
        path.write_bytes(content)
    file.write_text("gap_timeout_seconds = 7\n")
    kept = boot.load_settings()
    capfd.readouterr()
    file.write_text(row.format(path=path))
    assert boot.load_settings() is kept
    said = capfd.readouterr().err.splitlines()
    boot.put_back(())
    with pytest.raises(SystemExit):
        boot.load_settings()
    at_start = capfd.readouterr().err.splitlines()
    (problem,) = inspect(load().settings, running=True).problems
    assert at_start == [f"proxy_pkg: problem: {problem}"]
    assert said[0] == at_start[0]
    assert "the reload is refused" in said[1]
    assert problem.startswith(variable)


def test_neither_a_pipe_nor_an_empty_directory_is_waited_for_or_taken(
    file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        for setting in ("prices", "ca_bundle"):
            file.write_text(f"{setting} = '{tmp_path / name}'")
            with pytest.raises(SystemExit):
                boot.load_settings()
            (said,) = capfd.readouterr().err.splitlines()
            assert str(tmp_path / name) in said
