"""`proxyctl doctor`: everything that can be tried from here, and what to do about what fails."""

import asyncio
import importlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import typer

from proxy_pkg.cli.checkups import knowledge, machine, shared_redis, state_directory, traffic, upstreams
from proxy_pkg.cli.checkups.finding import Finding, ok, problem, warning
from proxy_pkg.cli.finding_server import is_ours, not_visible_here
from proxy_pkg.cli.in_force import asked, differences
from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import print_json
from proxy_pkg.config import extras
from proxy_pkg.config.load import Examined, examine
from proxy_pkg.config.settings import Settings
from proxy_pkg.errors import SettingsError
from proxy_pkg.prices.table import load as load_prices
from proxy_pkg.server.preflight import inspect
from proxy_pkg.server.running import Running, find
from proxy_pkg.server.selftest import self_test
from proxy_pkg.stats.snapshot import read_server

_PROBE: Final = "proxy_pkg.telemetry.otel_probe"

app = command_app()


@app.command()
@with_overrides
def doctor(
    overrides: dict[str, str],
    offline: bool = typer.Option(False, "--offline", help="Leave out what needs the network."),
    json: bool = typer.Option(False, "--json", help="Print one JSON array."),
) -> None:
    """Check configuration, machine, state, store, vocabulary, prices, clocks, upstreams and collector, and send a
    request through the real path.

    Nothing is sent to an upstream but a request for its front page, without credentials. The exit code is 1 if there
    is a problem.
    """
    findings = list(_findings(overrides, offline))
    if json:
        print_json(findings)
    else:
        for found in findings:
            print(f"{found.state:8} {found.subject}: {found.text}" + (f"\n{'':8} {found.advice}" * bool(found.advice)))
    raise typer.Exit(1 if any(found.state == "problem" for found in findings) else 0)


def _findings(overrides: dict[str, str], offline: bool) -> Iterator[Finding]:
    examined = examine(overrides=overrides)
    server, unseen = None, ""
    if not examined.uncertain & {"state_dir", "port"}:
        try:
            server = find(examined.settings.state_dir)
        except OSError as error:
            unseen = f"its counters cannot be read: {error.strerror or error}"
    stranger = server is None and not examined.uncertain & {"host", "port"} and is_ours(examined.settings)
    checked = inspect(examined.settings, examined.uncertain, running=server is not None or stranger)
    problems = (*examined.problems, *checked.problems)
    yield from (Finding("problem", "configuration", text) for text in problems)
    yield from (Finding("warning", "configuration", text) for text in (*examined.warnings, *checked.warnings))
    if examined.problems:
        return
    if not problems:
        yield ok("configuration", "the server would start with it")
    settings = examined.settings
    if unseen:
        yield problem("server", unseen, "run this as the user that the server runs as")
    else:
        yield from _running(settings, server)
    if stranger:
        text = f"one of this kind listens on {settings.host} port {settings.port}, with another state directory"
        yield warning("server", text, "give this command the HEADROOM_STATE_DIR, and the user, that the server has")
    if server is not None or stranger:
        yield from _in_force(examined)
    yield from _here(settings, server)
    if not offline:
        yield from asyncio.run(_beyond(settings))
        yield from _collector(settings)


def _running(settings: Settings, server: Running | None) -> Iterator[Finding]:
    if server is None:
        yield ok("server", f"none runs with state directory {settings.state_dir}")
        return
    if server.is_in_other_namespace:
        yield warning("server", f"{not_visible_here(settings)}", "run this there")
    elif server.is_orphaned:
        text = f"its master is gone; {len(server.workers)} workers are left, and end by themselves"
        yield problem("server", text, "start it again; the log, or the system's about memory, says why it ended")
    else:
        yield ok("server", f"master {server.master_pid}, {len(server.serving)} workers serve")
    yield from traffic.examined(read_server(settings.state_dir))
    wanted = "fleet" if settings.redis_url else "machine"
    alone = [worker for worker in server.serving if worker.scope != wanted]
    if alone:
        text = f"{len(alone)} workers share limits with less than the {wanted} ({alone[0].scope})"
        advice = "see the findings about Redis" if settings.redis_url else "see the findings about the state directory"
        yield warning("store", text, f"{advice}, and what the log says since when")


def _in_force(examined: Examined) -> Iterator[Finding]:
    """Whether the server runs with what is read here."""
    section, silence = asked(examined.settings)
    if silence:
        yield warning("in force", f"what the server runs with cannot be told: {silence}", "see the findings above")
        return
    found = differences(examined, section)
    for _, text in found:
        yield warning(
            "in force", text, "the server reads its own environment; `proxyctl config show --running` shows all"
        )
    if not found:
        yield ok("in force", f"the server runs with what is read here; it read it {section['read']}")


def _here(settings: Settings, server: Running | None) -> Iterator[Finding]:
    """What needs no network."""
    prices = load_prices()
    yield from machine.examined(settings, pid=server.master_pid if server and server.master_pid else "self")
    yield machine.time_of_day(machine.now_seconds(), server.started_ns if server else 0, prices.as_of)
    yield from state_directory.examined(settings)
    yield knowledge.vocabulary()
    with suppress(SettingsError):  # told with the configuration
        prices = load_prices(settings.prices)
    yield from knowledge.prices(prices.sources, datetime.now(UTC).date())
    yield _tested(settings)


def _tested(settings: Settings) -> Finding:
    outcome = self_test(settings)
    if outcome.problem:
        return problem("self-test", outcome.problem, "install the package again; if it stays, report it")
    text = f"{outcome.sent_bytes} bytes went in, {outcome.arrived_bytes} arrived, in {outcome.seconds * 1000:.0f} ms"
    return ok("self-test", text)


async def _beyond(settings: Settings) -> list[Finding]:
    of_upstreams, of_redis = await asyncio.gather(upstreams.examined(settings), shared_redis.examined(settings))
    return of_upstreams + of_redis


def _collector(settings: Settings) -> Iterator[Finding]:
    """Loaded by name, so that nothing of OpenTelemetry is imported where it is off."""
    if settings.otel and not extras.is_missing("otel"):
        refusal = importlib.import_module(_PROBE).refusal_of(settings.otel_endpoint)
        place = settings.otel_endpoint or "where OTEL_EXPORTER_OTLP_ENDPOINT says, or port 4318 here,"
        if refusal:
            advice = "check that it runs and takes OTLP over HTTP; requests go on without it, spans are dropped"
            yield problem("OpenTelemetry", f"the collector at {place} takes nothing: {refusal}", advice)
        else:
            yield ok("OpenTelemetry", f"the collector at {place} takes metrics")
