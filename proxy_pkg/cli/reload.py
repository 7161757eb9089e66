"""`proxyctl reload`: check first, and only then have the server take the new configuration."""

import os

import typer

from proxy_pkg.cli.finding_server import found_or_exit
from proxy_pkg.cli.in_force import asked, differences
from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import fail, print_findings
from proxy_pkg.config.load import FILE_OPTIONS, Examined, examine
from proxy_pkg.config.settings import CONFIG_FILE, ENVIRONMENT_FILE, ROWS
from proxy_pkg.server.preflight import inspect
from proxy_pkg.server.running import hang_up
from proxy_pkg.stats.mastership import NoMasterError

_FINDING = frozenset(("host", "port", "state_dir", *FILE_OPTIONS))
"""Options that say where the server is, and which files it reads."""

_TRIES = 3
"""How often the server is asked what it runs with; each time takes a few seconds at most."""

app = command_app()


@app.command()
@with_overrides
def reload(
    overrides: dict[str, str],
    limit_seconds: float = typer.Option(60.0, "--limit-seconds", min=1.0, help="How long to wait for new workers."),
) -> None:
    """Check the configuration, have the server read it, and wait until new workers serve.

    Old workers finish their requests meanwhile. What the server reads are its own environment and files: variables of
    this shell are only checked, and options that would set something are refused. The exit code is 1 if the
    configuration has a fault, or a file changed what only a restart applies, and then nothing happens.
    """
    if refused := [_refused(name) for name in overrides if name not in _FINDING]:
        fail((*refused, "nothing was reloaded"))
    examined = examine(overrides=overrides)
    findings = inspect(examined.settings, examined.uncertain, running=True)
    problems = (*examined.problems, *findings.problems)
    if problems:
        fail((*problems, "nothing was reloaded; the server goes on as it was"))
    print_findings((), (*examined.warnings, *findings.warnings))
    server = found_or_exit(examined.settings, "reload")
    if server.is_orphaned:
        fail(("its master is gone, so that nobody could start new workers: start the server again",))
    if server.is_draining:
        fail(("the server drains, and takes on nothing new: start it again once it has ended",))
    held, silence = _held(examined)
    if held:
        fail((*held, "nothing was reloaded; the server goes on as it was"))
    if silence:
        print_findings(
            (), (f"{silence}; so a setting that only a restart applies may have changed here and stay as it was there",)
        )
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


def _refused(name: str) -> str:
    """Why an option does nothing for a server that runs."""
    option = "--" + name.replace("_", "-")
    if not ROWS[name].reloadable:
        return f"{option} cannot be changed while the server runs: set {ROWS[name].environment} and start it again"
    return (
        f"{option} cannot be handed to a server that runs, which reads its own environment and files: write "
        f"{ROWS[name].environment} into the file that {ENVIRONMENT_FILE} or {CONFIG_FILE} named when it started"
    )


def _held(examined: Examined) -> tuple[list[str], str]:
    """What a file says now and only a restart applies; and why the two could not be compared, empty if they were.

    A server under load may answer late, and a reload is needed then too: it is asked again, and not given up for it.
    """
    for _ in range(_TRIES):
        section, silence = asked(examined.settings)
        if not silence:
            found = differences(examined, section, of_files=True)
            return [text for row, text in found if not row.reloadable], ""
    return [], silence
