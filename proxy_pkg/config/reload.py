"""What a HUP may change: the settings that a running server can take on, and not those it was started
with.
"""

from msgspec import structs

from proxy_pkg.config.settings import ROWS, Settings


def applied(running: Settings, read: Settings) -> tuple[Settings, tuple[str, ...]]:
    """`read` with what only a restart changes taken from `running`, and a warning that names what was
    held back.
    """
    fixed = {name: getattr(running, name) for name, row in ROWS.items() if not row.reloadable}
    held = [ROWS[name].environment for name, value in fixed.items() if getattr(read, name) != value]
    warnings = (f"changed, but only a restart applies it: {', '.join(held)}",) if held else ()
    return structs.replace(read, **fixed), warnings
