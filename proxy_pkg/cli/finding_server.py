"""Finds the server of a configuration, or says in one line why there is nothing to do anything to."""

import errno
import http.client
import os
import signal
import socket
from pathlib import Path
from typing import Any, Final

import msgspec
import typer

from proxy_pkg.cli.report import fail
from proxy_pkg.config.load import examine
from proxy_pkg.config.settings import Settings
from proxy_pkg.server import port_owner
from proxy_pkg.server.port_owner import LIMIT_SECONDS, asked_at, headers_for
from proxy_pkg.server.running import Running, find
from proxy_pkg.stats.mastership import NoMasterError, signal_master

NOT_RUNNING: Final = 3
"""Exit code when no server runs, as systemctl has it."""

_OK: Final = 200
_WITHOUT_TOKEN: Final = "token_required"  # noqa: S105 (an error code)


def stats_of(settings: Settings) -> tuple[dict[str, Any], str]:
    """What the server tells; and why it does not, empty if it does. Raises nothing."""
    connection = http.client.HTTPConnection(asked_at(settings.host), settings.port, timeout=LIMIT_SECONDS)
    try:
        connection.request("GET", "/stats", headers=headers_for(settings, settings.host, settings.port))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != _OK:
            asks_token = answer.getheader("x-headroom-error") == _WITHOUT_TOKEN
            hint = ": set HEADROOM_PROXY_TOKEN here as it is set there" if asks_token else ""
            return {}, f"it answers /stats with status {answer.status}{hint}"
        return msgspec.json.decode(body, type=dict[str, Any]), ""
    except (OSError, http.client.HTTPException, msgspec.MsgspecError, UnicodeError) as error:
        return {}, f"it does not answer /stats: {str(error) or type(error).__name__}"
    finally:
        connection.close()


def listens(settings: Settings) -> bool:
    """Whether anything takes connections where the server of these settings would."""
    try:
        with socket.create_connection((asked_at(settings.host), settings.port), LIMIT_SECONDS):
            return True
    except (OSError, UnicodeError):
        return False


def is_ours(settings: Settings) -> bool:
    """Whether what listens there is a server of this kind, by what it says of itself to anybody."""
    return port_owner.is_ours(settings, settings.host, settings.port)


def settings_of(overrides: dict[str, str]) -> Settings:
    """The settings, as far as they tell where a server is. Ends the command where they do not."""
    examined = examine(overrides=overrides)
    if examined.uncertain & {"state_dir", "port"}:
        fail(examined.problems)
    return examined.settings


def found(settings: Settings) -> Running | None:
    """The server of these settings. Ends the command where that cannot be known."""
    try:
        return find(settings.state_dir)
    except PermissionError:
        owner = Path(settings.state_dir).stat().st_uid
        fail(
            (
                f"the counters in {settings.state_dir} belong to user {owner}, and this is user {os.geteuid()}: "
                f"`sudo -u '#{owner}' proxyctl status`, with that user's settings",
            )
        )
    except OSError as error:
        fail((f"the counters in {settings.state_dir} cannot be read: {error.strerror or error}",))


def found_or_exit(settings: Settings, wish: str) -> Running:
    """The server, with a master to signal or about to end; ends the command if there is none, or more than one.

    `wish` is the command that a person should run elsewhere if it cannot be done here.
    """
    server = found(settings)
    if server is None:
        print_none(settings)
        raise typer.Exit(NOT_RUNNING)
    if server.is_in_other_namespace:
        fail((f"{not_visible_here(settings)}; nothing was signalled. Run `proxyctl {wish}` there",))
    if server.other_masters:
        fail((f"{shared(server)}; send a signal to the master that you mean",))
    return server


def not_visible_here(settings: Settings) -> str:
    """Says of a server that its processes cannot be seen."""
    return (
        f"a server uses {settings.state_dir}, but its master cannot be seen from here: it runs in another container "
        "(another PID namespace), so that process numbers mean nothing here"
    )


def shared(server: Running) -> str:
    """Says that there is more than one server."""
    masters = ", ".join(map(str, sorted((server.master_pid, *server.other_masters))))
    return f"servers with the masters {masters} share one state directory: give each its own HEADROOM_STATE_DIR"


def signalled(server: Running, settings: Settings, number: signal.Signals) -> None:
    """Signal the master, whose number is proven. Ends the command if it may not, or there is none any more."""
    try:
        signal_master(settings.state_dir, server.master_pid, number)
    except NoMasterError as error:
        fail((f"{error}; nothing was signalled. `proxyctl status` shows what runs now",))
    except PermissionError:
        owner = Path(f"/proc/{server.master_pid}").stat().st_uid
        fail((f"master {server.master_pid} belongs to user {owner}, and this is user {os.geteuid()}: run this as it",))


def print_none(settings: Settings) -> None:
    """Says that none was found; and of what listens where it would, who that may be and what to do."""
    print("No server runs with this configuration.")
    if not listens(settings):
        return
    place = f"{settings.host} port {settings.port}"
    if not is_ours(settings):
        print(f"Something else listens on {place}: another program, or a server of another kind.")
        return
    print(f"A server of this kind listens on {place}, but its state is not in {settings.state_dir}{_why(settings)}")


def _why(settings: Settings) -> str:
    """What is wrong with the directory, and what to do."""
    directory = Path(settings.state_dir)
    nearest = next(place for place in (directory, *directory.parents) if place.exists())
    try:
        read_only = bool(os.statvfs(nearest).f_flag & os.ST_RDONLY)
    except OSError:
        read_only = False
    if read_only:
        return (
            f", for {nearest} is on a file system that is read-only ({os.strerror(errno.EROFS)}): stop it through what "
            "started it (systemctl stop, docker stop), or send SIGTERM to its master"
        )
    return ": run this as the user that it runs as, with its HEADROOM_STATE_DIR and HEADROOM_PORT."
