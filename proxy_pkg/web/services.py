"""What one worker's requests share, from the start of its loop to the end."""

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import Mapping
from functools import partial
from itertools import count
from typing import Any

import aiohttp
from msgspec import Struct

from proxy_pkg.billing.accounts import Accounts
from proxy_pkg.billing.holdout import HoldOut
from proxy_pkg.billing.shared_turns import SharedTurns
from proxy_pkg.config.descriptors import descriptor_shares
from proxy_pkg.config.settings import Settings
from proxy_pkg.errors import SettingsError
from proxy_pkg.limits.callers import Callers
from proxy_pkg.limits.limiter import Limits
from proxy_pkg.limits.needs import Needs
from proxy_pkg.limits.rules import rules_set
from proxy_pkg.model import Level
from proxy_pkg.planning.offload import Planner
from proxy_pkg.planning.policy import Rules
from proxy_pkg.planning.terms import LEFT_ALONE
from proxy_pkg.prices.table import Prices
from proxy_pkg.prices.table import load as load_prices
from proxy_pkg.protocols.table import Match
from proxy_pkg.relay.client import BoundedConnector, PoolLimits, open_session
from proxy_pkg.relay.names import Names, open_names
from proxy_pkg.relay.proxies import Proxies
from proxy_pkg.relay.retry import Retries
from proxy_pkg.relay.trust import trusting
from proxy_pkg.relay.websocket import open_socket_session
from proxy_pkg.stats.counters import Counters
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.store.decision_table import DecisionTable
from proxy_pkg.store.fallback import Fallback
from proxy_pkg.store.fleet_decisions import ASKED_FILE, FleetDecisions
from proxy_pkg.store.journal import Journal
from proxy_pkg.store.open_store import StoreOptions, open_store
from proxy_pkg.store.turns import Turns
from proxy_pkg.telemetry.outcome import Ended
from proxy_pkg.telemetry.shared_publisher import SharedPublisher
from proxy_pkg.telemetry.tracing import Tracing, open_tracing
from proxy_pkg.tokens.count import Encoder
from proxy_pkg.web.admission import Admission
from proxy_pkg.web.coding import Coder
from proxy_pkg.web.middleware.access_log import AccessLog
from proxy_pkg.web.places import Places
from proxy_pkg.web.shared_calls import CallersCalls, SharedCalls
from proxy_pkg.web.verdict_rules import rules_of

ORIGINALS_ARE_KEPT = False
"""Whether a client can have again what a reducer left out. Until it can, `balanced` goes as far as `lossless`."""

_UPLOADS_SHARE = 4
"""This part of the connections to upstreams goes to uploads for their first byte, however slowly they go on."""
_SHORTENING = (Level.LOSSLESS, Level.BALANCED)

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
    coder: Coder
    prices: Prices
    accounts: Accounts
    """What answers cost."""
    hold_out: HoldOut
    counters: Counters
    admission: Admission
    store: Fallback
    ways: FleetDecisions | None
    """What servers tell each other of texts that were sent; None without a store that they share."""
    callers: Callers
    calls: SharedCalls
    """Tool calls that requests may leave out."""
    needs: Needs
    """What requests can take of limits."""
    limits: Limits | None
    """None where the settings set none."""
    shared_publisher: SharedPublisher
    access_log: AccessLog | None
    tracing: Tracing | None
    """None where the settings do not ask for it."""
    request_prefix: str
    request_numbers: "count[int]"

    def next_request_id(self) -> str:
        """Unique over workers and restarts: a random word of this worker, and a number."""
        return f"{self.request_prefix}{next(self.request_numbers):x}"

    def calls_of(self, scope: dict[str, Any], matched: Match) -> CallersCalls | None:
        """The calls that a request can leave out; None where each request holds its own."""
        holder = matched.protocol if matched.protocol.frames is None else matched.protocol.frames
        if holder.conversation is None or holder.conversation.answer is None:
            return None
        return self.calls.of(partial(self.callers.name, scope, matched.protocol.api))

    def ended(
        self, request_id: str, scope: Mapping[str, Any], status: int, record: RequestRecord, problem: str, began_ns: int
    ) -> None:
        """Count a request, and note it for the log and among the last ones; `began_ns` is monotonic."""
        self.counters.finished(record)
        ended = Ended(
            request_id,
            scope["method"],
            scope["path"],
            status,
            record,
            problem,
            time.time(),
            time.monotonic_ns() - began_ns,
        )
        self.shared_publisher.recent.add(ended)
        if self.access_log is not None:
            self.access_log.add(ended)

    async def begin(self) -> None:
        """What needs to wait before the first request: for the store, within the time limit of one call."""
        await self.shared_publisher.begin()

    async def close(self) -> None:
        self.planner.close()
        self.coder.close()
        await self.accounts.close()
        await self.socket_session.close()
        await self.session.close()
        await self.shared_publisher.close()
        if self.limits is not None:
            await self.limits.close()
        if self.ways is not None:
            await self.ways.close()
        await self.calls.close()
        await self.store.close()
        if self.tracing is not None:
            await self.tracing.close()
        if self.access_log is not None:
            self.access_log.flush()


def open_services(settings: Settings, counters: Counters, encoder: Encoder, access_log: AccessLog | None) -> Services:
    """The services of this worker. Nothing in them may exist before the fork."""
    proxies = Proxies(
        settings.upstream_https_proxy_url, settings.upstream_http_proxy_url, settings.upstream_proxy_exceptions
    )
    upstreams_max = descriptor_shares(settings.max_connections)[1]
    session, connector = _upstream_session(settings, proxies, upstreams_max)
    state_dir = settings.state_dir if counters.shared else ""
    prices = _prices(settings.prices)
    marks = DecisionTable(state_dir)
    journal = _journal(settings, counters, marks)
    admission = Admission(
        settings.limit_concurrency, settings.body_bytes_in_flight_max, upstreams_max // _UPLOADS_SHARE
    )
    store = _store(settings, counters)
    callers = Callers()
    turns = Turns(state_dir)
    shared = SharedTurns(turns, store, callers.digest) if store.has_fleet else None
    ways = (
        FleetDecisions(marks, DecisionTable(state_dir, ASKED_FILE), store, counters.lost) if store.has_fleet else None
    )
    rules = rules_set(settings)
    return Services(
        settings=settings,
        loop=asyncio.get_running_loop(),
        places=Places(settings),
        session=session,
        connector=connector,
        socket_session=open_socket_session(
            connector,
            proxies,
            settings.connect_timeout_seconds,
            settings.first_byte_timeout_seconds,
            settings.client_buffer_bytes,
        ),
        retries=_retries(settings),
        planner=Planner(
            verdict_rules(settings),
            encoder,
            settings.memo_bytes_max,
            settings.compression_deadline_ms,
            ways or marks,
            journal,
            is_crowded=lambda: admission.is_crowded,
            fleet=ways,
        ),
        coder=Coder(settings.compression_deadline_ms),
        counters=counters,
        prices=prices,
        accounts=Accounts(counters, prices, turns, encoder, settings.net_cost_cache_ttl_seconds, shared),
        hold_out=HoldOut(settings.holdout if settings.compression in _SHORTENING else 0),
        admission=admission,
        store=store,
        ways=ways,
        callers=callers,
        calls=SharedCalls(store, callers.digest),
        needs=Needs(prices, encoder),
        limits=Limits(rules, store, counters.lost) if rules else None,
        shared_publisher=SharedPublisher(store, callers, counters.lost, counters.holds),
        access_log=access_log,
        tracing=open_tracing(settings, counters.slot),
        request_prefix=f"hr_{secrets.token_hex(6)}_",
        request_numbers=count(1),
    )


def _upstream_session(
    settings: Settings, proxies: Proxies, connections_max: int
) -> tuple[aiohttp.ClientSession, BoundedConnector]:
    return open_session(
        PoolLimits(
            connections_max=connections_max,
            idle_max=settings.max_keepalive,
            idle_seconds=settings.upstream_keepalive_seconds,
            dns_cache_seconds=settings.dns_cache_seconds,
            connect_timeout_seconds=settings.connect_timeout_seconds,
            first_byte_timeout_seconds=settings.first_byte_timeout_seconds,
            gap_timeout_seconds=settings.gap_timeout_seconds,
            total_timeout_seconds=settings.total_timeout_seconds,
            connection_seconds_max=settings.upstream_connection_seconds_max,
            buffer_bytes=settings.client_buffer_bytes,
        ),
        proxies,
        _trust(settings.ca_bundle),
        names_of(settings),
    )


def _journal(settings: Settings, counters: Counters, marks: DecisionTable) -> Journal:
    """This worker's journal. Texts that a worker before it did not survive are left alone from now on."""
    journal = Journal(settings.state_dir if counters.shared else "", counters.slot)
    for key in journal.unfinished():
        logger.warning("a worker ended while it decided about a text: the text is left alone from now on")
        marks.first(key, LEFT_ALONE)
    journal.sit()
    return journal


def _store(settings: Settings, counters: Counters) -> Fallback:
    """The store. One that cannot be had, wholly or in part, stops no worker."""
    options = StoreOptions(
        settings.state_dir if counters.shared else "",
        settings.store_bytes_max,
        settings.redis_url,
        settings.redis_key_prefix,
        settings.redis_timeout_ms,
        settings.redis_servers,
        settings.redis_connect_timeout_seconds,
    )
    store, problem = open_store(options, counters.lost)
    if problem:
        logger.warning("%s", problem)
    return store


def names_of(settings: Settings) -> Names:
    """Who looks hosts up for this worker."""
    servers = tuple(filter(None, settings.dns_servers.split(",")))
    return open_names(servers, settings.dns_cache_seconds, by_system=settings.dns_resolver == "system")


def verdict_rules(settings: Settings) -> Rules:
    """The rules of verdicts in a server, where no line may go that could not be had again."""
    return rules_of(settings, reduces=settings.compression is Level.BALANCED and ORIGINALS_ARE_KEPT)


def _retries(settings: Settings) -> Retries | None:
    if settings.retry_attempts_max == 0:
        return None
    return Retries(settings.retry_attempts_max, settings.retry_delay_seconds_max)


def _prices(own_path: str) -> Prices:
    """The shipped prices alone, where the file of others cannot be used."""
    try:
        return load_prices(own_path)
    except SettingsError as error:
        logger.error("%s: the shipped prices are used alone", error)
        return load_prices()


def _trust(ca_bundle: str) -> ssl.SSLContext | None:
    """None trusts the system's authorities, also where the file of more of them cannot be used."""
    try:
        return trusting(ca_bundle) if ca_bundle else None
    except OSError as error:
        logger.error("the certificates in %s are not trusted, since they cannot be read: %s", ca_bundle, error)
        return None
