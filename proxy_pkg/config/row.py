"""What the table says about one setting, and short ways to say it."""

from typing import Final

from msgspec import Struct

from proxy_pkg.model import Upstream

Scalar = str | int | float | bool | tuple[Upstream, ...]
"""What a setting's value can be before it becomes a field of Settings."""

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
SECONDS_MAX: Final = 86_400
HIDDEN: Final = "(hidden)"


class Row(Struct, frozen=True, kw_only=True):
    """One setting. `minimum` and `maximum` are inclusive, in `unit`; `kind` picks the reader in `values.py`.

    `secret` values are never shown. A HUP applies a `reloadable` setting; the others need a restart.
    `name`, `environment`, `kind` and `choices` are filled in from the field where a row leaves them
    empty.
    """

    default: Scalar
    help: str
    unit: str = ""
    minimum: float = 0
    maximum: float = 0
    kind: str = ""
    secret: bool = False
    reloadable: bool = True
    environment: str = ""
    name: str = ""
    choices: tuple[str, ...] = ()


class Given(Struct, frozen=True):
    """A value that a layer gives. `label` is the setting as its writer spells it, `source` where it stands."""

    raw: object
    label: str
    source: str


def seconds(default: int, help: str, *, minimum: float = 0.05) -> Row:
    """A row for a time."""
    return Row(default=default, help=help, unit="seconds", minimum=minimum, maximum=SECONDS_MAX)


def size(default: int, help: str, *, minimum: int, maximum: int) -> Row:
    """A row for a number of bytes."""
    return Row(default=default, help=help, unit="bytes", kind="size", minimum=minimum, maximum=maximum)


def count(default: int, help: str, *, unit: str, minimum: int = 1, maximum: int = 1_000_000) -> Row:
    """A row for a whole number of `unit`."""
    return Row(default=default, help=help, unit=unit, minimum=minimum, maximum=maximum)


def most(help: str, *, unit: str, maximum: int = 1_000_000_000) -> Row:
    """A row for a limit that is off by default."""
    return Row(default=0, help=help, unit=unit, maximum=maximum)


def money(help: str, *, environment: str = "") -> Row:
    """A row for a budget in US dollars that is off by default."""
    return Row(default=0, help=help, unit="US dollars", maximum=1_000_000, environment=environment)


def target(default: str, environment: str, help: str) -> Row:
    """A row for the origin of an API."""
    return Row(default=default, help=help, kind="url", environment=environment)


def shown(row: Row, value: object) -> object:
    """`value` as it may be shown to people: a secret that is set becomes a fixed word."""
    return HIDDEN if row.secret and value else value
