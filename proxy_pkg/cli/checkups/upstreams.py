"""Whether each upstream answers at all, whatever it says, and whether its clock and ours agree."""

import asyncio
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
from yarl import URL

from proxy_pkg.cli.checkups.finding import Finding, ok, problem, warning
from proxy_pkg.config.settings import ROWS, Settings
from proxy_pkg.relay.proxies import Proxies
from proxy_pkg.relay.trust import trusting

CLOCK_SKEW_SECONDS_MAX: Final = 60


async def examined(settings: Settings) -> list[Finding]:
    """Ask all of them at once, each for its front page, without credentials."""
    named = {name: str(getattr(settings, name)) for name, row in ROWS.items() if row.kind == "url"}
    named |= {f"upstreams.{each.name}": each.url for each in settings.upstreams}
    timeout = aiohttp.ClientTimeout(total=settings.connect_timeout_seconds + 5)
    proxies = Proxies(
        settings.upstream_https_proxy_url, settings.upstream_http_proxy_url, settings.upstream_proxy_exceptions
    )
    try:
        trust = trusting(settings.ca_bundle) if settings.ca_bundle else True
    except OSError as error:
        return [problem("certificates", f"{settings.ca_bundle}: {error}", "name a readable PEM file")]
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(ssl=trust)) as session:
        asked = (_reach(session, proxies, name, url) for name, url in named.items() if url)
        found = await asyncio.gather(*asked)
    return [finding for findings in found for finding in findings]


async def _reach(session: aiohttp.ClientSession, proxies: Proxies, name: str, url: str) -> list[Finding]:
    subject = ROWS[name].environment if name in ROWS else name
    try:
        async with session.head(url, allow_redirects=False, proxy=proxies.proxy_for(URL(url))) as answer:
            skew = skew_seconds(answer.headers, time.time())
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        text = f"{url} cannot be reached: {str(error) or type(error).__name__}"
        advice = "check the address, the name server, the firewall, and a proxy that requests must go through"
        return [problem(subject, text, advice)]
    found = [ok(subject, f"{url} answers")]
    if abs(skew) > CLOCK_SKEW_SECONDS_MAX:
        text = f"the clock of {url} is {skew:.0f} seconds ahead of ours"
        found.append(warning("clock", text, "set this machine's clock: certificates and logs need it"))
    return found


def skew_seconds(headers: Mapping[str, str], now_s: float) -> float:
    """By how much the clock of whoever sent these headers is ahead of ours; 0 if they do not say."""
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp() - now_s
    except (TypeError, ValueError):
        return 0.0
