"""proxyctl: the table of its commands, each of which is loaded when it is called and not before."""

from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from proxy_pkg import __version__

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "check-config": ("check_config", "Check the configuration and what it needs; print what it amounts to."),
    "config": ("config", "Show each setting and where its value came from."),
    "serve": ("serve", "Start the server: become gunicorn with the packaged configuration."),
    "status": ("status", "Show the running server, worker by worker."),
    "reload": ("reload", "Check the configuration, and have the running server take it."),
    "drain": ("drain", "Stop the running server in good order."),
    "doctor": ("doctor", "Try everything that can be tried, and say what to do."),
    "compress": ("compress", "Show what would be sent for a tool output or a request body, offline."),
    "env": ("env", "Print the lines that point a client to this proxy."),
}
"""Command -> its module in this package, which holds a Typer called `app`, and its line of help."""


class LazyGroup(TyperGroup):
    """Knows its commands by name and imports one when it is asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment] # names alone, for "did you mean"

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, loaded; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"proxy_pkg.cli.{COMMANDS[cmd_name][0]}")
        return get_command(module.app)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list in the help text, from the table, so that it loads none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help) in COMMANDS.items()])


app = typer.Typer(
    cls=LazyGroup,
    name="proxyctl",
    add_completion=False,
    rich_markup_mode=None,  # the rich library takes longer to load than a command takes to run
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def proxyctl(
    version: bool = typer.Option(False, "--version", help="Print the version.", callback=_print_version, is_eager=True),
) -> None:
    """Checks, explains and starts the compression proxy."""


def run() -> None:
    """The console script."""
    app()
