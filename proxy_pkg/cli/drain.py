"""`proxyctl drain`: stop the server in good order, and show how it goes."""

import signal
import time

import typer

from proxy_pkg.cli.finding_server import found, found_or_exit, settings_of, signalled
from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import fail

app = command_app()


@app.command()
@with_overrides
def drain(
    overrides: dict[str, str],
    limit_seconds: float = typer.Option(180.0, "--limit-seconds", min=1.0, help="How long to wait for the end."),
) -> None:
    """Stop the server: no new connections, open requests finish until HEADROOM_DRAIN_LIMIT_SECONDS.

    Under systemd use `systemctl stop`, which does the same. The exit code is 1 if the server still runs at the limit.
    """
    settings = settings_of(overrides)
    server = found_or_exit(settings, "drain")
    if server.is_orphaned:
        print(
            "Its master is gone: there is nobody to tell, and the workers that are left end by themselves.", flush=True
        )
    elif server.is_draining:
        print("It drains already; nothing more was sent to it.", flush=True)
    else:
        signalled(server, settings, signal.SIGTERM)
    limit = time.monotonic() + limit_seconds
    shown = -1
    while (now := found(settings)) is not None:
        if now.in_flight != shown:
            shown = now.in_flight
            print(f"{shown} requests in flight", flush=True)
        if time.monotonic() > limit:
            fail((f"{shown} requests are in flight after {limit_seconds:g} seconds; the server goes on draining",))
        time.sleep(0.2)
    print("The server has ended.")
