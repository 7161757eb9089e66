"""Whether each upstream answers at all, whatever it says, and whether its clock and ours agree."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
from msgspec import Struct
from yarl import URL

from proxy_pkg.cli.checkups.finding import Finding, ok, problem, warning
from proxy_pkg.config.settings import ROWS, Settings
from proxy_pkg.errors import RelayError
from proxy_pkg.relay.connecting import DirectConnector
from proxy_pkg.relay.names import open_names
from proxy_pkg.relay.proxies import Proxies
from proxy_pkg.relay.trust import trusting

CLOCK_SKEW_SECONDS_MAX: Final = 60
_UNUSED: Final = "; leave it if no client here uses this API"


class Reached(Struct, frozen=True):
    """What came of asking one upstream; `error` is None if it answered. `name` is the setting's, or upstreams.NAME."""

    name: str
    url: str
    error: Exception | None = None
    skew_seconds: float = 0.0

    @property
    def is_default(self) -> bool:
        """Nobody asked for it in particular."""
        return self.name in ROWS and self.url == ROWS[self.name].default


async def examined(settings: Settings) -> list[Finding]:
    """Ask all of them at once, each for its front page, without credentials."""
    named = {name: str(getattr(settings, name)) for name, row in ROWS.items() if row.kind == "url"}
    named |= {f"upstreams.{each.name}": each.url for each in settings.upstreams}
    timeout = aiohttp.ClientTimeout(
        total=3 * settings.connect_timeout_seconds + 5, sock_connect=settings.connect_timeout_seconds
    )
    proxies = Proxies(
        settings.upstream_https_proxy_url, settings.upstream_http_proxy_url, settings.upstream_proxy_exceptions
    )
    try:
        trust = trusting(settings.ca_bundle) if settings.ca_bundle else True
    except OSError as error:
        return [problem("certificates", f"{settings.ca_bundle}: {error}", "name a readable PEM file")]
    servers = tuple(filter(None, settings.dns_servers.split(",")))
    names = open_names(servers, settings.dns_cache_seconds, by_system=settings.dns_resolver == "system")
    connector = DirectConnector(names, ssl=trust)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        asked = (_reach(session, proxies, name, url) for name, url in named.items() if url)
        return list(judged(await asyncio.gather(*asked)))


async def _reach(session: aiohttp.ClientSession, proxies: Proxies, name: str, url: str) -> Reached:
    try:
        async with session.head(url, allow_redirects=False, proxy=proxies.proxy_for(URL(url))) as answer:
            return Reached(name, url, skew_seconds=skew_seconds(answer.headers, time.time()))
    except (RelayError, aiohttp.ClientError, OSError, TimeoutError) as error:
        return Reached(name, url, error)


def judged(asked: Iterable[Reached]) -> Iterator[Finding]:
    """One finding for each, and one for the clock. Where others answer, one that nobody chose is not a problem: not
    everybody uses every API, and a firewall may let through no more than what is used.
    """
    asked = list(asked)
    is_online = any(each.error is None for each in asked)
    for each in asked:
        subject = ROWS[each.name].environment if each.name in ROWS else each.name
        if each.error is None:
            yield ok(subject, f"{each.url} answers")
            continue
        text = f"{each.url} cannot be reached: {_words(each.error)}"
        cause = each.error.__cause__ if isinstance(each.error, RelayError) else each.error
        advice = next(advice for kind, advice in ADVICE.items() if isinstance(cause or each.error, kind))
        if is_online and each.is_default:
            yield warning(subject, text, advice + _UNUSED)
        else:
            yield problem(subject, text, advice)
    yield from _clock([each for each in asked if abs(each.skew_seconds) > CLOCK_SKEW_SECONDS_MAX])


def _words(error: Exception) -> str:
    """What went wrong, without the address of a proxy, which may hold its password."""
    if isinstance(error, aiohttp.ClientResponseError):
        return f"status {error.status}, {error.message}"
    return str(error) or type(error).__name__


def _clock(others: list[Reached]) -> Iterator[Finding]:
    if others:
        skew = others[0].skew_seconds
        more = f" and of {len(others) - 1} more" if len(others) > 1 else ""
        text = f"ours is {abs(skew):.0f} seconds {'behind' if skew > 0 else 'ahead of'} that of {others[0].url}{more}"
        yield warning("clock", text, "set this machine's clock: certificates, budgets and logs need it")


def skew_seconds(headers: Mapping[str, str], now_s: float) -> float:
    """By how much the clock of whoever sent these headers is ahead of ours; 0 if they do not say."""
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp() - now_s
    except (TypeError, ValueError):
        return 0.0


ADVICE: Final[dict[type[Exception], str]] = {
    aiohttp.ClientConnectorCertificateError: (
        "name a PEM file with the certificate of your own authority in HEADROOM_CA_BUNDLE; where its dates do not fit, "
        "set the clock"
    ),
    aiohttp.ClientSSLError: "check that it speaks TLS at this port, or write http:// if it does not",
    aiohttp.ClientConnectorDNSError: (
        "check the spelling and the name server; where only a proxy knows names, set HTTPS_PROXY"
    ),
    aiohttp.ClientHttpProxyError: "the proxy on the way refuses: check its address, user and password in HTTPS_PROXY",
    aiohttp.ClientProxyConnectionError: "the proxy on the way does not answer: check HTTPS_PROXY",
    Exception: "check the address, the port, the firewall, and whether requests must go through a proxy (HTTPS_PROXY)",
}
"""What went wrong -> what to do, the more particular first."""
