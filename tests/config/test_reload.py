from proxy_pkg.config.load import load
from proxy_pkg.server.boot import applied


def test_a_hup_applies_what_it_can_and_names_the_rest() -> None:
    running = load({"RUNTIME_DIRECTORY": "/run/a"}).settings
    read = load({"HEADROOM_PORT": "9", "HEADROOM_WORKERS": "3", "HEADROOM_COMPRESSION": "off"}).settings
    settings, warnings = applied(running, read)
    assert (settings.port, settings.state_dir, settings.workers) == (8787, "/run/a/8787", 3)
    assert settings.compression == "off"
    assert "HEADROOM_PORT" in warnings[0] and "HEADROOM_WORKERS" not in warnings[0]


def test_a_hup_without_such_changes_is_quiet() -> None:
    settings = load({}).settings
    assert applied(settings, settings) == (settings, ())
