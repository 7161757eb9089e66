"""`proxyctl check-config`: everything that can be known before a start, all of it in one go."""

from contextlib import suppress
from typing import Any, Final

import typer

from proxy_pkg.cli.finding_server import is_ours
from proxy_pkg.cli.in_force import asked, differences
from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import fail, print_findings, print_json
from proxy_pkg.config.load import Examined, examine
from proxy_pkg.config.parsers import size_text
from proxy_pkg.config.settings import ROWS
from proxy_pkg.server.preflight import descriptors_needed, inspect
from proxy_pkg.server.running import find

FIGURES: Final = (
    "limit_concurrency",
    "max_connections",
    "max_keepalive",
    "body_bytes_in_flight_max",
    "memo_bytes_max",
)
"""The settings that hold for each worker and so add up."""

app = command_app()


@app.command()
@with_overrides
def check_config(
    overrides: dict[str, str],
    json: bool = typer.Option(False, "--json", help="Print one JSON object."),
    running: bool = typer.Option(False, "--running", help="The server is up, so its port may be in use."),
) -> None:
    """Check the configuration and what it needs; print what it amounts to.

    Problems and warnings go to standard error. The exit code is 0 if the server would start, otherwise 1.
    """
    examined = examine(overrides=overrides)
    server = _server(examined)
    findings = inspect(examined.settings, examined.uncertain, running=running or bool(server))
    problems = (*examined.problems, *findings.problems)
    warnings = (*examined.warnings, *findings.warnings, *_compared(examined, server))
    effective = _effective(examined)
    if json:
        print_json({"ok": not problems, "problems": problems, "warnings": warnings, "effective": effective})
        raise typer.Exit(1 if problems else 0)
    if effective:
        _print_effective(effective)
    if problems:
        fail(problems, warnings)
    print_findings((), warnings)
    print(f"{server} The configuration can be used." if server else "The configuration can be used.")


def _server(examined: Examined) -> str:
    """Says which server of ours runs with these settings, or has their port; empty if none."""
    if examined.uncertain & {"state_dir", "host", "port"}:
        return ""
    settings = examined.settings
    with suppress(OSError):
        if found := find(settings.state_dir):
            return (
                f"A server runs with it (master {found.master_pid})." if found.master_pid else "A server runs with it."
            )
    if is_ours(settings):
        return f"A server of this kind listens on port {settings.port}, with another state directory."
    return ""


def _compared(examined: Examined, server: str) -> list[str]:
    """How the running server differs from what is read here."""
    if not server:
        return []
    section, silence = asked(examined.settings)
    if silence:
        return [f"a server runs, and what it runs with cannot be told: {silence}"]
    return [text for _, text in differences(examined, section)]


def _effective(examined: Examined) -> dict[str, Any] | None:
    """Figures per worker and in total, None where a fault leaves them unknown."""
    if examined.uncertain & {"workers", *FIGURES}:
        return None
    settings = examined.settings
    per_worker = {name: int(getattr(settings, name)) for name in FIGURES}
    per_worker["open_files"] = descriptors_needed(settings)
    return {
        "listen": {"host": settings.host, "port": settings.port},
        "workers": settings.workers,
        "per_worker": per_worker,
        "total": {name: number * settings.workers for name, number in per_worker.items()},
        "sources": {name: examined.sources[name] for name in ("workers", *FIGURES)},
    }


def _print_effective(effective: dict[str, Any]) -> None:
    print(f"{'':26}{'per worker':>12}{'total':>12}")
    print(f"{'workers':26}{1:>12}{effective['workers']:>12}")
    for name, number in effective["per_worker"].items():
        text = size_text if name in ROWS and ROWS[name].kind == "size" else str
        print(f"{name:26}{text(number):>12}{text(effective['total'][name]):>12}")
