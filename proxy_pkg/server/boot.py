"""The configuration of the gunicorn master: loaded at the start, and again at every HUP."""

import sys

from msgspec import structs

from proxy_pkg.config import origins
from proxy_pkg.config.blob import Configuration
from proxy_pkg.config.load import Loaded, load
from proxy_pkg.config.settings import ROWS, Settings
from proxy_pkg.errors import SettingsError
from proxy_pkg.server.preflight import what_is_named
from proxy_pkg.telemetry.escapes import on_one_line
from proxy_pkg.telemetry.stderr_handler import STANDARD_ERROR

_last_good: list[Configuration] = []


def applied(running: Settings, read: Settings) -> tuple[Settings, tuple[str, ...]]:
    """`read` with what only a restart changes taken from `running`, and a warning that names what was
    held back.
    """
    fixed = {name: getattr(running, name) for name, row in ROWS.items() if not row.reloadable}
    held = [ROWS[name].environment for name, value in fixed.items() if getattr(read, name) != value]
    warnings = (f"changed, but only a restart applies it: {', '.join(held)}",) if held else ()
    return structs.replace(read, **fixed), warnings


def load_settings() -> Settings:
    """The settings to run with. Warnings and problems go to standard error, each on a line of its own.

    With problems at the start, the process ends with status 1. At a later call they leave the last good settings
    in force: a HUP with a broken file must not take a running server down. Settings that need a restart keep
    the values they had.
    """
    try:
        loaded = _loaded()
    except SettingsError as error:
        _print("problem", error.problems)
        if not _last_good:
            sys.exit(1)
        _print("problem", ("the reload is refused; the server continues with the settings it had",))
        return _last_good[0].settings
    held: tuple[str, ...] = ()
    if not _last_good:
        now = Configuration(loaded.settings, origins.at_start(loaded.sources))
    else:
        before = _last_good[0]
        settings, held = applied(before.settings, loaded.settings)
        now = Configuration(settings, origins.after_reload(before.origins, before.settings, settings, loaded.sources))
    _print("warning", (*loaded.warnings, *held))
    _last_good[:] = [now]
    return now.settings


def origins_in_force() -> origins.Origins:
    """Where the settings came from that the last call of `load_settings` gave."""
    return _last_good[0].origins


def in_force() -> tuple[Configuration, ...]:
    """What the last call of `load_settings` gave, for `put_back`."""
    return tuple(_last_good)


def put_back(configuration: tuple[Configuration, ...]) -> None:
    """Have what `in_force` gave in force again: settings that were read well are of no use where gunicorn refuses the
    reload for another reason, and the next reload is compared with what runs.
    """
    _last_good[:] = configuration


def _loaded() -> Loaded:
    """What check-config would take too."""
    loaded = load()
    found = what_is_named(loaded.settings)
    if found.problems:
        raise SettingsError(found.problems)
    return structs.replace(loaded, warnings=(*loaded.warnings, *found.warnings))


def _print(kind: str, sentences: tuple[str, ...]) -> None:
    for sentence in sentences:
        STANDARD_ERROR.write(on_one_line(f"proxy_pkg: {kind}: {sentence}") + "\n")
