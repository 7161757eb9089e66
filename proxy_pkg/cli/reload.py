"""`proxyctl reload`: check first, and only then have the server take the new configuration."""

import typer

from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import fail, tell
from proxy_pkg.cli.status import running_or_exit
from proxy_pkg.config.load import examine
from proxy_pkg.server.preflight import inspect
from proxy_pkg.server.running import hang_up

app = command_app()


@app.command()
@with_overrides
def reload(
    overrides: dict[str, str],
    limit_seconds: float = typer.Option(60.0, "--limit-seconds", min=1.0, help="How long to wait for new workers."),
) -> None:
    """Check the configuration, have the server read it, and wait until new workers serve.

    Old workers finish their requests meanwhile. What the server reads are its own environment and files: variables of
    this shell are only checked. The exit code is 1 if the configuration has a fault, and then nothing happens.
    """
    examined = examine(overrides=overrides)
    findings = inspect(examined.settings, examined.uncertain, running=True)
    problems = (*examined.problems, *findings.problems)
    if problems:
        fail((*problems, "nothing was reloaded; the server goes on as it was"))
    tell((), (*examined.warnings, *findings.warnings))
    server = running_or_exit(overrides)
    now = hang_up(server, examined.settings.state_dir, limit_seconds)
    if now is None:
        fail((f"no new worker serves after {limit_seconds:g} seconds; the log of master {server.master_pid} says why",))
    print(
        f"{len(now.serving)} new workers serve; {len(now.workers) - len(now.serving)} old ones finish their requests."
    )
