"""The totals of all servers that share a store, each of which says its own.

A server puts what it counted in all its life under its own name, again and again, and whoever asks adds them up: so
nothing counts twice, however often it is said, whoever dies, and whether the store forgets. Names are remembered as
fields of one total, since a store lists no keys.
"""

import time
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from proxy_pkg.stats.figures import Figures, added, as_counts, main_figures
from proxy_pkg.stats.snapshot import Server
from proxy_pkg.store.contract import Store

KEPT_SECONDS: Final = 400 * 86_400
"""How long the totals of a server that is gone still count."""
SERVERS_MAX: Final = 1000
"""More servers, in KEPT_SECONDS, are not added up; the section says how many."""
LIVE_SECONDS: Final = 30
"""A server that said nothing for so long is taken for gone."""

_NAMES: Final = "fleet/servers"


class FleetStore(Store, Protocol):
    """A store that says whether the last call reached all servers."""

    reached: bool


class ServerReport(Struct, frozen=True):
    """What one server said last, and when, as its own clock showed it."""

    at_ms: int
    figures: dict[str, int]


class Fleet:
    """The part of one worker in this. What others counted comes from the store, its own from ledgers."""

    def __init__(self, store: FleetStore) -> None:
        self._store = store
        self._received: dict[str, ServerReport] = {}
        self._received_monotonic = time.monotonic()
        self._left_out = 0

    async def publish(self, server: Server) -> None:
        """Put this server's totals where the others find them."""
        figures = main_figures(server.lifetime)
        if not server.identity or not any(figures.values()):
            return
        name = _name(server)
        report = msgspec.json.encode(ServerReport(time.time_ns() // 1_000_000, figures))
        await self._store.put(_key(name), report, KEPT_SECONDS)
        await self._store.add(_NAMES, {name: 1}, KEPT_SECONDS)

    async def figures(self, server: Server) -> dict[str, int] | None:
        """The sums of all servers; None while the store does not say what the others counted.

        Each worker would go on from what itself heard last, so that the sums would fall from one answer to the next.
        """
        report = await self._all_reports(server)
        return added(each.figures for each in report.values()) if self._store.reached else None

    async def section(self, server: Server) -> dict[str, Any]:
        """The part of `/stats` about all servers: sums, each server's share, and how fresh that is."""
        all_reports, own = await self._all_reports(server), _name(server)
        ages = {name: max(0.0, time.time() - report.at_ms / 1000) for name, report in all_reports.items()}
        return {
            "meaning": "all servers that share this Redis, each over its lifetime",
            "scope": "fleet" if self._store.reached else "last known",
            "read_seconds_ago": round(time.monotonic() - self._received_monotonic, 1),
            **as_counts(added(report.figures for report in all_reports.values())),
            "servers": [_share(name, report.figures, ages[name], own) for name, report in sorted(all_reports.items())],
            "servers_live": sum(age <= LIVE_SECONDS for age in ages.values()),
            "servers_left_out": self._left_out,
        }

    async def _all_reports(self, server: Server) -> dict[str, ServerReport]:
        """What each server said last, this one as of now. Takes two calls of the store at most.

        Nothing is kept for the next answer: another worker may have told newer sums meanwhile, and none may fall.
        """
        await self._listen()
        all_reports = dict(self._received)
        if server.identity:
            all_reports[_name(server)] = ServerReport(time.time_ns() // 1_000_000, main_figures(server.lifetime))
        return all_reports

    async def _listen(self) -> None:
        """Hear what all servers said; where the store is out of reach, what was heard before stays."""
        names = sorted(await self._store.totals(_NAMES))
        keys = {_key(name): name for name in names[:SERVERS_MAX]}
        values = await self._store.get_many(list(keys)) if self._store.reached and keys else {}
        received = {name: report for key, name in keys.items() if (report := _report(values.get(key)))}
        if self._store.reached:
            self._received, self._left_out = received, max(0, len(names) - SERVERS_MAX)
            self._received_monotonic = time.monotonic()


def _report(value: bytes | None) -> ServerReport | None:
    """None for nothing, and for what another version may have put there."""
    try:
        return None if value is None else msgspec.json.decode(value, type=ServerReport)
    except msgspec.DecodeError:
        return None


def _share(name: str, figures: Figures, age_seconds: float, own: str) -> dict[str, Any]:
    return {
        "server": name,
        "this": name == own,
        "age_seconds": round(age_seconds, 1),
        "requests": figures.get("requests", 0),
    }


def _name(server: Server) -> str:
    return f"{server.identity:016x}"


def _key(name: str) -> str:
    return f"fleet/server/{name}"
