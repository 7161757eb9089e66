"""What one worker's requests share, from the start of its loop to the end."""

import asyncio
import logging
import secrets
import ssl
from itertools import count

import aiohttp
from msgspec import Struct

from proxy_pkg.config.settings import Settings
from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.policy import Rules
from proxy_pkg.relay.client import BoundedConnector, PoolLimits, open_session
from proxy_pkg.relay.proxies import Proxies
from proxy_pkg.relay.retry import Retries
from proxy_pkg.relay.trust import trusting
from proxy_pkg.relay.websocket import open_socket_session
from proxy_pkg.stats.counters import Counters
from proxy_pkg.store.marks import Marks
from proxy_pkg.tokens.count import Encoder
from proxy_pkg.web.admission import Admission
from proxy_pkg.web.middleware.access_log import AccessLog
from proxy_pkg.web.places import Places

logger = logging.getLogger("proxy_pkg")


class Services(Struct):
    """The tools of the request function. Open inside the running loop, close when it ends."""

    settings: Settings
    loop: asyncio.AbstractEventLoop
    places: Places
    """Where requests go; nothing in a request can name another place."""
    session: aiohttp.ClientSession
    connector: BoundedConnector
    socket_session: aiohttp.ClientSession
    """For WebSockets, with the same pool."""
    retries: Retries | None
    """None where the settings allow none."""
    planner: Planner
    counters: Counters
    admission: Admission
    access_log: AccessLog | None
    request_prefix: str
    request_numbers: "count[int]"

    def next_request_id(self) -> str:
        """Unique over workers and restarts: a random word of this worker, and a number."""
        return f"{self.request_prefix}{next(self.request_numbers):x}"

    async def close(self) -> None:
        self.planner.close()
        await self.socket_session.close()
        await self.session.close()
        if self.access_log is not None:
            self.access_log.flush()


def open_services(settings: Settings, counters: Counters, encoder: Encoder, access_log: AccessLog | None) -> Services:
    """The services of this worker. Nothing in them may exist before the fork."""
    proxies = Proxies(
        settings.upstream_https_proxy_url, settings.upstream_http_proxy_url, settings.upstream_proxy_exceptions
    )
    session, connector = open_session(
        PoolLimits(
            connections_max=settings.max_connections,
            idle_max=settings.max_keepalive,
            idle_seconds=settings.upstream_keepalive_seconds,
            dns_cache_seconds=settings.dns_cache_seconds,
            connect_timeout_seconds=settings.connect_timeout_seconds,
            first_byte_timeout_seconds=settings.first_byte_timeout_seconds,
            gap_timeout_seconds=settings.gap_timeout_seconds,
            total_timeout_seconds=settings.total_timeout_seconds,
        ),
        proxies,
        _trust(settings.ca_bundle),
    )
    marks = Marks(settings.state_dir if counters.shared else "")
    rules = Rules(
        settings.compression_margin_percent, settings.compression_block_bytes_max, settings.compression_references
    )
    return Services(
        settings=settings,
        loop=asyncio.get_running_loop(),
        places=Places(settings),
        session=session,
        connector=connector,
        socket_session=open_socket_session(
            connector, proxies, settings.connect_timeout_seconds, settings.first_byte_timeout_seconds
        ),
        retries=_retries(settings),
        planner=Planner(rules, encoder, settings.memo_bytes_max, settings.compression_deadline_ms, marks),
        counters=counters,
        admission=Admission(settings.limit_concurrency, settings.body_bytes_in_flight_max),
        access_log=access_log,
        request_prefix=f"hr_{secrets.token_hex(6)}_",
        request_numbers=count(1),
    )


def _retries(settings: Settings) -> Retries | None:
    if settings.retry_attempts_max == 0:
        return None
    return Retries(settings.retry_attempts_max, settings.retry_delay_seconds_max)


def _trust(ca_bundle: str) -> ssl.SSLContext | None:
    """None trusts the system's authorities, also where the file of more of them cannot be used."""
    try:
        return trusting(ca_bundle) if ca_bundle else None
    except OSError as error:
        logger.error("the certificates in %s are not trusted, since they cannot be read: %s", ca_bundle, error)
        return None
