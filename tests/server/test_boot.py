"""The first settings must be right; later ones that are wrong change nothing."""

from pathlib import Path

import pytest

from proxy_pkg.server import boot


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
    file.write_text("gap_timeout_seconds = -7")
    assert boot.load_settings() is first
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
