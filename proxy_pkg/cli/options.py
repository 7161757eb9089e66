"""The options that override settings, made from the settings table, for the commands that take them."""

import inspect
from collections.abc import Callable
from typing import Any, Final

import typer

from proxy_pkg.config.load import FILE_OPTIONS
from proxy_pkg.config.row import Row
from proxy_pkg.config.settings import ROWS, SOURCES

OVERRIDES: Final = "overrides"
HELP_SETTINGS: Final = "help_settings"
"""The option that lists the options for settings, which the help text leaves out: they are far more than the others."""
_ABOUT_SETTINGS: Final = "Settings are options too (`--port 9000`): --help-settings lists them."
_SECRETS: Final = "Secrets have no option, since other users could see it: they come from the environment or a file.\n"


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
        del arguments[HELP_SETTINGS]
        given = {name: arguments.pop(name) for name in options}
        function(**{OVERRIDES: {name: text for name, text in given.items() if text is not None}}, **arguments)

    command.__name__ = function.__name__
    command.__doc__ = f"{inspect.getdoc(function)}\n\n{_ABOUT_SETTINGS}"
    vars(command)["__signature__"] = inspect.Signature(
        [*(parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in own), *options.values(), _help_settings()]
    )
    return command


def _options() -> dict[str, inspect.Parameter]:
    files = {name: _option(name, SOURCES[variable], "FILE") for name, variable in FILE_OPTIONS.items()}
    settings = {name: _option(name, row.help, _metavar(row), hidden=True) for name, row in _shown_rows()}
    return files | settings


def _shown_rows() -> list[tuple[str, Row]]:
    return [(name, row) for name, row in ROWS.items() if not row.secret]


def _option(name: str, help: str, metavar: str, *, hidden: bool = False) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=typer.Option(None, _flag(name), help=help, metavar=metavar, show_default=False, hidden=hidden),
        annotation=str | None,
    )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _help_settings() -> inspect.Parameter:
    return inspect.Parameter(
        HELP_SETTINGS,
        inspect.Parameter.KEYWORD_ONLY,
        default=typer.Option(
            False,
            _flag(HELP_SETTINGS),
            help="List the options for settings.",
            callback=_print_settings,
            is_eager=True,
            show_default=False,
        ),
        annotation=bool,
    )


def _print_settings(context: typer.Context, wanted: bool) -> None:
    if not wanted:
        return
    formatter = context.make_formatter()
    with formatter.section("Settings, each of which is also an option"):
        formatter.write_dl([(f"{_flag(name)} {_metavar(row)}", row.help) for name, row in _shown_rows()])
    print(formatter.getvalue() + "\n" + _SECRETS, end="")
    raise typer.Exit


def _metavar(row: Row) -> str:
    if row.choices:
        return "|".join(row.choices)
    return {"boolean": "true|false", "workers": "N|auto", "integer": "N", "number": "N"}.get(row.kind, row.kind.upper())
