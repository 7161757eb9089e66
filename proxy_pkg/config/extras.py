"""Which optional extras are installed, told without importing any of them, and how one is installed."""

from importlib.util import find_spec
from typing import Final

from proxy_pkg.config.settings import ROWS, Settings

NEEDED: Final = {"redis": "redis", "otel": "opentelemetry.exporter.otlp.proto.http"}
"""By extra: a module that only it brings."""
ASKED_FOR_BY: Final = {"redis": "redis_url", "otel": "otel"}
"""By extra: the setting that needs it."""


def is_missing(extra: str) -> bool:
    """True if what `extra` needs is not installed."""
    try:
        return find_spec(NEEDED[extra]) is None
    except (ModuleNotFoundError, ValueError):  # a package on the way to it, or one that was taken out of sys.modules
        return True


def problems(settings: Settings) -> list[str]:
    """Which settings ask for an extra that is missing: one sentence each, the same wherever it is said."""
    return [
        f"{ROWS[setting].environment} is set, but the extra {extra!r} that it needs is not installed: {how(extra)}"
        for extra, setting in ASKED_FOR_BY.items()
        if getattr(settings, setting) and is_missing(extra)
    ]


def how(extra: str) -> str:
    """How an extra is installed. Never by the name of this package alone: on an index that may be somebody else's."""
    return (
        "run `make extras` in the checkout, or install it with the wheel file: "
        f"`pip install '/path/to/proxy_pkg-VERSION-py3-none-any.whl[{extra}]'`"
    )
