"""`proxyctl drain`: stop the server in good order, and show how it goes."""

import os
import signal
import time

import typer

from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import fail
from proxy_pkg.cli.status import running, running_or_exit

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
    server = running_or_exit(overrides)
    os.kill(server.master_pid, signal.SIGTERM)
    limit = time.monotonic() + limit_seconds
    shown = -1
    while (now := running(overrides)) is not None:
        if now.in_flight != shown:
            shown = now.in_flight
            print(f"{shown} requests in flight", flush=True)
        if time.monotonic() > limit:
            fail((f"{shown} requests are in flight after {limit_seconds:g} seconds; the server goes on draining",))
        time.sleep(0.2)
    print("The server has ended.")
