"""`proxyctl status`: the server that runs with this configuration, worker by worker, and what is open on it.

Workers, ages and counts come from shared memory and the kernel, so they are right when nobody answers. What is open is
asked of the server, over loopback, since with Redis it is kept there and not on this machine.
"""

from datetime import UTC, datetime
from typing import Any, Final

import typer
from msgspec import to_builtins

from proxy_pkg import __version__
from proxy_pkg.cli.finding_server import NOT_RUNNING, found, not_visible_here, print_none, settings_of, shared, stats_of
from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import age_text, print_json
from proxy_pkg.server.running import Running

OPEN_SHOWN: Final = 20

app = command_app()


@app.command()
@with_overrides
def status(
    overrides: dict[str, str], json: bool = typer.Option(False, "--json", help="Print one JSON object.")
) -> None:
    """Show the master and its workers, their ages, what they have served, which are draining, and what is open.

    The exit code is 0 if a worker serves, otherwise 3.
    """
    settings = settings_of(overrides)
    server = found(settings)
    stats, silence = stats_of(settings) if server else ({}, "")
    if json:
        print_json(_document(server, stats, silence))
    elif server is None:
        print_none(settings)
    elif server.is_in_other_namespace:
        print(f"{not_visible_here(settings).replace('a', 'A', 1)}.")
    else:
        _print(server, stats, silence)
    raise typer.Exit(0 if server and server.serving else NOT_RUNNING)


def _document(server: Running | None, stats: dict[str, Any], silence: str) -> dict[str, Any]:
    if server is None:
        return {"running": False}
    return {
        "running": True,
        **to_builtins(server),
        "started": _moment(server.started_ns).isoformat(),
        "in_flight": server.in_flight,
        "draining": server.is_draining,
        "version": stats.get("version", ""),
        "installed_version": __version__,
        "live": stats.get("live"),
        "silence": silence,
    }


def _print(server: Running, stats: dict[str, Any], silence: str) -> None:
    if server.is_orphaned:
        print(f"the master is gone: {len(server.workers)} workers are left, and end by themselves; then start it again")
    else:
        print(f"master {server.master_pid}, {len(server.serving)} workers serve, {server.in_flight} requests in flight")
    version = stats.get("version", "")
    running_version = f"version {version}" if version else "version unknown"
    if version and version != __version__:
        running_version += f" (installed is {__version__}: it takes effect with a restart)"
    print(f"up {age_text(server.master_age_seconds)}, {running_version}")
    if server.other_masters:
        print(shared(server))
    print(
        f"{server.worker_starts} workers started since {_moment(server.started_ns):%Y-%m-%d %H:%M} UTC, "
        f"run {server.runs} with this state directory"
    )
    if server.is_draining:
        print("it drains: open requests finish, and no new ones are taken")
    print(f"{'slot':>4}{'pid':>9}{'age':>12}{'served':>10}{'in flight':>11}  state")
    for worker in server.workers:
        age, state = age_text(worker.age_seconds), "draining" if worker.draining else "serving"
        state = "stopped" if worker.pid in server.stopped else state
        print(f"{worker.slot:>4}{worker.pid:>9}{age:>12}{worker.requests:>10}{worker.in_flight:>11}  {state}")
    if silence:
        print(f"what is open cannot be told: {silence}")
    else:
        _print_open(stats.get("live", {}).get("newest", []))


def _print_open(notes: list[dict[str, str]]) -> None:
    """What has been open for a moment, the newest first."""
    if not notes:
        return
    kinds = [_kind(note) for note in notes]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    print(f"open for a moment or longer: {counts}")
    print(f"{'age':>12}  {'what':<10} {'route':<18} {'model':<28} {'client':<22} caller")
    for note, kind in list(zip(notes, kinds, strict=True))[:OPEN_SHOWN]:
        cells = [str(note.get(name) or "-") for name in ("route", "model", "client", "caller")]
        route, model, client, caller = (_plain(cell) for cell in cells)
        print(f"{_open_age(note):>12}  {kind:<10} {route:<18.18} {model:<28.28} {client:<22.22} {caller:.32}")


def _kind(note: dict[str, str]) -> str:
    """A socket, or what a request waits for: its body, the upstream, the end of the answer."""
    return "WebSocket" if note.get("route") == "websocket" else str(note.get("phase", "open"))


def _plain(text: str) -> str:
    """Names come from clients: whatever could move the cursor of a terminal is shown as a question mark."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _open_age(note: dict[str, str]) -> str:
    try:
        began = datetime.fromisoformat(note["started"])
    except (KeyError, ValueError):
        return "-"
    return age_text(max(0.0, (datetime.now(UTC) - began).total_seconds()))


def _moment(unix_ns: int) -> datetime:
    return datetime.fromtimestamp(unix_ns // 10**9, UTC)
