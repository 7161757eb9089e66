"""The first settings must be right; later ones that are wrong change nothing."""

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
