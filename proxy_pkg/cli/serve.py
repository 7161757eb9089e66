"""`proxyctl serve`: this process becomes gunicorn, with the configuration file that the package brings."""

import os
import sys
from pathlib import Path

import typer

import proxy_pkg
from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import fail, print_findings
from proxy_pkg.config.load import environment_for, examine
from proxy_pkg.server.preflight import Findings, inspect

CONFIGURATION = "gunicorn_conf.py"

app = command_app()


@app.command()
@with_overrides
def serve(
    overrides: dict[str, str],
    check: bool = typer.Option(True, "--check/--no-check", help="Check port, directory and limits before the start."),
) -> None:
    """Start the server: become gunicorn with the packaged configuration. Options override the environment."""
    examined = examine(overrides=overrides)
    findings = inspect(examined.settings, examined.uncertain) if check else Findings()
    problems = [*examined.problems, *findings.problems]
    path = configuration_file()
    if path is None:
        problems.append(f"{CONFIGURATION} is missing from the installed package; install it again")
    if path is None or problems:
        fail(problems, (*examined.warnings, *findings.warnings))
    print_findings((), findings.warnings)
    sys.stdout.flush()
    sys.stderr.flush()
    # -P: a module in the working directory must not stand in for one of the same name that gunicorn needs.
    arguments = [sys.executable, "-P", "-m", "gunicorn", "-c", str(path)]
    os.execve(sys.executable, arguments, environment_for(overrides))  # noqa: S606 (no shell is wanted)


def configuration_file() -> Path | None:
    """gunicorn's file: in an installed package, or at the top of a checkout; None where it is missing."""
    package = Path(proxy_pkg.__file__).resolve().parent
    return next((path for path in (package / CONFIGURATION, package.parent / CONFIGURATION) if path.is_file()), None)
