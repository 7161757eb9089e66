"""`proxyctl config show`: each setting, its value and where the value came from."""

import typer
from msgspec import structs

from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import fail, print_json, tell, value_text
from proxy_pkg.config.load import Examined, examine
from proxy_pkg.config.row import shown
from proxy_pkg.config.settings import ROWS

app = command_app()


@app.callback()
def config() -> None:
    """Look at the configuration."""


@app.command()
@with_overrides
def show(
    overrides: dict[str, str],
    json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Show each setting, its value and where the value came from. Secrets are hidden.

    Settings with a fault are shown with their defaults, and the exit code is 1.
    """
    examined = examine(overrides=overrides)
    if json:
        _print_json(examined)
        raise typer.Exit(1 if examined.problems else 0)
    values = structs.asdict(examined.settings)
    cells = [(name, value_text(row, values[name]), _source(examined, name)) for name, row in ROWS.items()]
    widths = [max(len(row[column]) for row in cells) for column in (0, 1)]
    for name, value, source in cells:
        print(f"{name:{widths[0]}}  {value:{widths[1]}}  {source}")
    if examined.problems:
        fail(examined.problems, examined.warnings)
    tell((), examined.warnings)


def _source(examined: Examined, name: str) -> str:
    return "default (what was given cannot be used)" if name in examined.faulty else examined.sources[name]


def _print_json(examined: Examined) -> None:
    values = structs.asdict(examined.settings)
    settings = {
        name: {"value": shown(row, values[name]), "source": _source(examined, name), "unit": row.unit}
        for name, row in ROWS.items()
    }
    print_json({"settings": settings, "problems": examined.problems, "warnings": examined.warnings})
