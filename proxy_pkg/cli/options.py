"""The options that override settings, made from the settings table, for the commands that take them."""

import inspect
from collections.abc import Callable
from typing import Any, Final

import typer

from proxy_pkg.config.load import FILE_OPTIONS
from proxy_pkg.config.row import Row
from proxy_pkg.config.settings import ROWS, SOURCES

OVERRIDES: Final = "overrides"


def command_app() -> typer.Typer:
    """A Typer for one command, with plain text for help and errors."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def with_overrides(function: Callable[..., None]) -> Callable[..., None]:
    """Gives a command one text option for each setting that is no secret, and for the files of settings.

    Those that a person uses arrive as `overrides`: setting name -> text. They are checked with all other
    layers, not here, so that every fault is reported at once.
    """
    own = [parameter for parameter in inspect.signature(function).parameters.values() if parameter.name != OVERRIDES]
    options = _options()

    def command(**arguments: Any) -> None:
        given = {name: arguments.pop(name) for name in options}
        function(**{OVERRIDES: {name: text for name, text in given.items() if text is not None}}, **arguments)

    command.__name__ = function.__name__
    command.__doc__ = function.__doc__
    vars(command)["__signature__"] = inspect.Signature(
        [*(parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in own), *options.values()]
    )
    return command


def _options() -> dict[str, inspect.Parameter]:
    files = {name: _option(name, SOURCES[variable], "FILE") for name, variable in FILE_OPTIONS.items()}
    settings = {name: _option(name, row.help, _metavar(row)) for name, row in ROWS.items() if not row.secret}
    return files | settings


def _option(name: str, help: str, metavar: str) -> inspect.Parameter:
    flag = "--" + name.replace("_", "-")
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=typer.Option(None, flag, help=help, metavar=metavar, show_default=False),
        annotation=str | None,
    )


def _metavar(row: Row) -> str:
    if row.choices:
        return "|".join(row.choices)
    return {"boolean": "true|false", "workers": "N|auto", "integer": "N", "number": "N"}.get(row.kind, row.kind.upper())
