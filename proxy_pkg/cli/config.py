"""`proxyctl config show`: each setting, its value and where the value came from."""

import typer
from msgspec import structs

from proxy_pkg.cli.finding_server import NOT_RUNNING, settings_of
from proxy_pkg.cli.in_force import asked, differences, text_of
from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import age_text, fail, print_findings, print_json, value_text
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
    running: bool = typer.Option(False, "--running", help="Ask the running server what it runs with."),
) -> None:
    """Show each setting, its value and where the value came from. Secrets are hidden.

    Settings with a fault are shown with their defaults, and the exit code is 1. With --running, values, sources and
    ages are those of the server that runs, and the exit code is 3 if none answers.
    """
    if running:
        _show_running(overrides, json)
        return
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
    print_findings((), examined.warnings)


def _source(examined: Examined, name: str) -> str:
    return "default (what was given cannot be used)" if name in examined.faulty else examined.sources[name]


def _print_json(examined: Examined) -> None:
    values = structs.asdict(examined.settings)
    settings = {
        name: {"value": shown(row, values[name]), "source": _source(examined, name), "unit": row.unit}
        for name, row in ROWS.items()
    }
    print_json({"settings": settings, "problems": examined.problems, "warnings": examined.warnings})


def _show_running(overrides: dict[str, str], json: bool) -> None:
    settings = settings_of(overrides)
    section, silence = asked(settings)
    if silence:
        print_findings((f"the server at {settings.host} port {settings.port} cannot be asked: {silence}",))
        raise typer.Exit(NOT_RUNNING)
    if json:
        print_json(section)
        return
    print(f"read {section['read']}, {age_text(section['read_age_seconds'])} ago")
    rows = [(ROWS[name], value) for name, value in section["settings"].items() if name in ROWS]
    cells = [
        (row.name, text_of(row, value["value"]), age_text(value["age_seconds"]), value["source"]) for row, value in rows
    ]
    widths = [max(len(row[column]) for row in cells) for column in (0, 1, 2)]
    for name, value, age, source in cells:
        print(f"{name:{widths[0]}}  {value:{widths[1]}}  {age:>{widths[2]}}  {source}")
    print_findings((), (text for _, text in differences(examine(overrides=overrides), section)))
