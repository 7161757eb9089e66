"""Which optional extras are installed, told without importing any of them."""

from importlib.util import find_spec
from typing import Final

NEEDED: Final = {"redis": "redis", "otel": "opentelemetry.exporter.otlp.proto.http"}
"""By extra: a module that only it brings."""


def is_missing(extra: str) -> bool:
    """True if what `extra` needs is not installed."""
    try:
        return find_spec(NEEDED[extra]) is None
    except ModuleNotFoundError:  # a package on the way to it
        return True
