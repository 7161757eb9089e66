"""`proxyctl doctor`: everything that can be tried from here, and what to do about what fails."""

import asyncio
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from shutil import disk_usage
from typing import Any, Final

import aiohttp
import typer
from msgspec import Struct
from yarl import URL

from proxy_pkg.cli.options import command_app, with_overrides
from proxy_pkg.cli.report import print_json
from proxy_pkg.config.load import examine
from proxy_pkg.config.row import MIB
from proxy_pkg.config.settings import ROWS, Settings
from proxy_pkg.relay.proxies import Proxies
from proxy_pkg.relay.trust import trusting
from proxy_pkg.server.preflight import inspect
from proxy_pkg.server.running import find
from proxy_pkg.server.selftest import self_test

CLOCK_SKEW_SECONDS_MAX: Final = 60
DISK_BYTES_MIN: Final = 16 * MIB

app = command_app()


class Finding(Struct, frozen=True):
    """`state` is ok, warning or problem; `advice` says what to do, and is empty where nothing is to be done."""

    state: str
    subject: str
    text: str
    advice: str = ""


@app.command()
@with_overrides
def doctor(
    overrides: dict[str, str],
    offline: bool = typer.Option(False, "--offline", help="Leave out what needs the network."),
    json: bool = typer.Option(False, "--json", help="Print one JSON array."),
) -> None:
    """Check configuration, limits, state, vocabulary, clock and upstreams, and send a request through the real path.

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
    server = None if examined.uncertain & {"state_dir", "port"} else find(examined.settings.state_dir)
    checked = inspect(examined.settings, examined.uncertain, running=server is not None)
    problems = (*examined.problems, *checked.problems)
    yield from (Finding("problem", "configuration", text) for text in problems)
    yield from (Finding("warning", "configuration", text) for text in (*examined.warnings, *checked.warnings))
    if examined.problems:
        return
    if not problems:
        yield Finding("ok", "configuration", "the server would start with it")
    settings = examined.settings
    if server is None:
        yield Finding("ok", "server", f"none runs with state directory {settings.state_dir}")
    else:
        yield Finding("ok", "server", f"master {server.master_pid}, {len(server.serving)} workers serve")
    yield from _disk(settings)
    yield _tested(settings)
    if not offline:
        yield from asyncio.run(_reached(settings))


def _disk(settings: Settings) -> Iterator[Finding]:
    try:
        free = disk_usage(settings.state_dir).free
    except OSError:
        return  # it is made at the start; whether that can be done was checked
    if free < DISK_BYTES_MIN:
        advice = "free some space, or name another directory in HEADROOM_STATE_DIR: workers count alone without it"
        yield Finding("problem", "state", f"{free} bytes are free where {settings.state_dir} lies", advice)


def _tested(settings: Settings) -> Finding:
    outcome = self_test(settings)
    if outcome.problem:
        return Finding("problem", "self-test", outcome.problem, "install the package again; if it stays, report it")
    text = f"{outcome.sent_bytes} bytes went in, {outcome.arrived_bytes} arrived, in {outcome.seconds * 1000:.0f} ms"
    return Finding("ok", "self-test", text)


async def _reached(settings: Settings) -> list[Finding]:
    named = {name: str(getattr(settings, name)) for name, row in ROWS.items() if row.kind == "url"}
    named |= {f"upstreams.{each.name}": each.url for each in settings.upstreams}
    timeout = aiohttp.ClientTimeout(total=settings.connect_timeout_seconds + 5)
    proxies = Proxies(
        settings.upstream_https_proxy_url, settings.upstream_http_proxy_url, settings.upstream_proxy_exceptions
    )
    try:
        trust = trusting(settings.ca_bundle) if settings.ca_bundle else True
    except OSError as error:
        return [Finding("problem", "certificates", f"{settings.ca_bundle}: {error}", "name a readable PEM file")]
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(ssl=trust)) as session:
        asked = (_reach(session, proxies, name, url) for name, url in named.items() if url)
        found = await asyncio.gather(*asked)
    return [finding for findings in found for finding in findings]


async def _reach(session: aiohttp.ClientSession, proxies: Proxies, name: str, url: str) -> list[Finding]:
    """Whether an upstream answers at all, whatever it says, and whether its clock and ours agree."""
    subject = ROWS[name].environment if name in ROWS else name
    try:
        async with session.head(url, allow_redirects=False, proxy=proxies.proxy_for(URL(url))) as answer:
            skew = _skew_seconds(answer.headers)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        text = f"{url} cannot be reached: {str(error) or type(error).__name__}"
        advice = "check the address, the name server, the firewall, and a proxy that requests must go through"
        return [Finding("problem", subject, text, advice)]
    findings = [Finding("ok", subject, f"{url} answers")]
    if abs(skew) > CLOCK_SKEW_SECONDS_MAX:
        text = f"the clock of {url} is {skew:.0f} seconds ahead of ours"
        findings.append(Finding("warning", "clock", text, "set this machine's clock: certificates and logs need it"))
    return findings


def _skew_seconds(headers: Any) -> float:
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp() - time.time()
    except (TypeError, ValueError):
        return 0.0
