"""`proxyctl reload`: check first, and only then have the server take the new configuration."""

import os

import typer

from proxy_pkg.cli.finding_server import found_or_exit
from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import fail, tell
from proxy_pkg.config.load import examine
from proxy_pkg.server.preflight import inspect
from proxy_pkg.server.running import hang_up
from proxy_pkg.stats.mastership import NoMasterError

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
    server = found_or_exit(examined.settings, "reload")
    if server.is_orphaned:
        fail(("its master is gone, so that nobody could start new workers: start the server again",))
    if server.is_draining:
        fail(("the server drains, and takes on nothing new: start it again once it has ended",))
    try:
        now = hang_up(server, examined.settings.state_dir, limit_seconds)
    except NoMasterError as error:
        fail((f"{error}; nothing was reloaded. `proxyctl status` shows what runs now",))
    except PermissionError as error:
        fail((f"{error.filename} belongs to another user than {os.geteuid()}; nothing was reloaded. Run this as it",))
    if now is None:
        fail((f"no new worker serves after {limit_seconds:g} seconds; the log of master {server.master_pid} says why",))
    print(
        f"{len(now.serving)} new workers serve; {len(now.workers) - len(now.serving)} old ones finish their requests."
    )
