"""`proxyctl status`: the server that runs with this configuration, worker by worker."""

from typing import Final

import typer
from msgspec import to_builtins

from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import fail, print_json
from proxy_pkg.config.load import examine
from proxy_pkg.server.running import Running, find

NOT_RUNNING: Final = 3
"""Exit code when no server runs, as systemctl has it."""

app = command_app()


@app.command()
@with_overrides
def status(
    overrides: dict[str, str], json: bool = typer.Option(False, "--json", help="Print one JSON object.")
) -> None:
    """Show the master and its workers: age, requests served and in flight, and which of them are draining.

    The exit code is 0 if a worker serves, otherwise 3.
    """
    server = running(overrides)
    if json:
        print_json({"running": server is not None} | (to_builtins(server) if server else {}))
    elif server is None:
        print("No server runs with this configuration.")
    else:
        _print(server)
    raise typer.Exit(0 if server and server.serving else NOT_RUNNING)


def running(overrides: dict[str, str]) -> Running | None:
    """The server of this configuration. Ends the command where that cannot be known."""
    examined = examine(overrides=overrides)
    if examined.uncertain & {"state_dir", "port"}:
        fail(examined.problems)
    try:
        return find(examined.settings.state_dir)
    except OSError as error:
        fail((f"the counters in {examined.settings.state_dir} cannot be read: {error.strerror or error}",))


def running_or_exit(overrides: dict[str, str]) -> Running:
    """The same; ends the command if there is none."""
    server = running(overrides)
    if server is None:
        print("No server runs with this configuration.")
        raise typer.Exit(NOT_RUNNING)
    return server


def _print(server: Running) -> None:
    print(f"master {server.master_pid}, {len(server.serving)} workers serve, {server.in_flight} requests in flight")
    print(f"{'slot':>4}{'pid':>9}{'age':>12}{'served':>10}{'in flight':>11}  state")
    for worker in server.workers:
        age, state = _age_text(worker.age_seconds), "draining" if worker.draining else "serving"
        print(f"{worker.slot:>4}{worker.pid:>9}{age:>12}{worker.requests:>10}{worker.in_flight:>11}  {state}")


def _age_text(seconds: float) -> str:
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    return f"{days}d {hours}h" if days else f"{hours}h {minutes}m" if hours else f"{minutes}m {whole % 60}s"
