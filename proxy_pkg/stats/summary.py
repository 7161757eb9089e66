"""A reading as the dict that `/stats` answers: for people and scripts, each figure with its basis."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from proxy_pkg.stats.attention import unseen_clients
from proxy_pkg.stats.catalogue import METRICS, Metric
from proxy_pkg.stats.figures import as_counts, main_figures
from proxy_pkg.stats.money import money_dict, usage_dict
from proxy_pkg.stats.snapshot import Reading, Server

TOKENS_BASIS = "estimate, o200k_base"
BYTES_BASIS = "decoded request bodies that were looked at"
LIFETIME_BASIS = {
    "tokens": TOKENS_BASIS,
    "bytes": BYTES_BASIS,
    "usage": "as the providers' answers tell it",
    "cost": "usage at the list prices of its time",
    "net": "estimate, as in `money`",
}
_PERCENTILES = (50, 95, 99)


def stats_dict(reading: Reading, now_ns: int, prices: Sequence[object] = ()) -> dict[str, Any]:
    """All totals, whichever worker answers. `now_ns` is Unix time in nanoseconds. Keys end in their unit.

    `prices` says where the prices are from and their dates. Whatever is an estimate, or of a time that is not the
    window, says so beside it.
    """
    window = _window(reading.started_ns, now_ns)
    span = {"window": window["meaning"]}
    return {
        "window": window,
        "requests": _requests(reading),
        "bodies": _bodies(reading),
        "spans": _spans(reading),
        "tokens": span | {"basis": TOKENS_BASIS} | _before_after(reading, "tokens"),
        "bytes": span | {"basis": BYTES_BASIS} | _before_after(reading, "bytes"),
        "usage": span | usage_dict(reading),
        "money": span | {"prices": msgspec.to_builtins(prices)} | money_dict(reading),
        "traffic": {
            "request_body_bytes": _total(reading, "proxy_request_body_bytes_total"),
            "response_body_bytes": _total(reading, "proxy_response_body_bytes_total"),
        },
        "overhead": _durations(reading, METRICS["proxy_overhead_seconds"]),
        "upstream": {
            "connections": _by(reading, "proxy_upstream_connections_total", 1),
            "connect": _durations(reading, METRICS["proxy_upstream_connect_seconds"]),
            "first_byte": _durations(reading, METRICS["proxy_upstream_first_byte_seconds"]),
            "duration": _durations(reading, METRICS["proxy_upstream_duration_seconds"]),
        },
        "clients": _clients(reading),
        "attention": {"clients_unseen": msgspec.to_builtins(unseen_clients(reading))},
        "workers": {"starts": reading.worker_starts, "live": msgspec.to_builtins(reading.workers)},
    }


def lifetime_dict(server: Server, now_ns: int) -> dict[str, Any]:
    """The main figures of this run and of all before it."""
    since = iso_time(server.lifetime.started_ns)
    return {
        "meaning": f"all {server.runs} runs since {since}, as far as the state directory was kept",
        "since": since,
        "seconds": (now_ns - server.lifetime.started_ns) // 10**9,
        "runs": server.runs,
        "worker_starts": server.lifetime.worker_starts,
        "basis": LIFETIME_BASIS,
        **as_counts(main_figures(server.lifetime)),
        **({"problem": server.problem} if server.problem else {}),
    }


def iso_time(unix_ns: int) -> str:
    """UTC, to the second."""
    return datetime.fromtimestamp(unix_ns // 1_000_000_000, UTC).isoformat()


def _window(started_ns: int, now_ns: int) -> dict[str, Any]:
    started = iso_time(started_ns)
    return {
        "meaning": f"since server start {started}",
        "since": started,
        "seconds": (now_ns - started_ns) // 10**9,
    }


def _requests(reading: Reading) -> dict[str, Any]:
    name = "proxy_requests_total"
    return {
        "total": _total(reading, name),
        "in_flight": sum(worker.in_flight for worker in reading.workers),
        "by_protocol": _by(reading, name, 0),
        "by_route": _by(reading, name, 1),
        "by_status": _by(reading, name, 2),
        "by_outcome": _by(reading, name, 3),
        "refused": _by(reading, "proxy_refusals_total", 0),
        "failed": _by(reading, "proxy_failures_total", 0),
        "answer_errors": _by(reading, "proxy_answer_errors_total", 1),
    }


def _bodies(reading: Reading) -> dict[str, Any]:
    reasons: dict[str, dict[str, int]] = defaultdict(dict)
    for (_, decision, reason), cells in reading.of(METRICS["proxy_bodies_total"]).items():
        reasons[decision][reason] = reasons[decision].get(reason, 0) + cells[0]
    return {
        "total": _total(reading, "proxy_bodies_total"),
        "by_decision": _by(reading, "proxy_bodies_total", 1),
        "reasons": dict(reasons),
    }


def _spans(reading: Reading) -> dict[str, Any]:
    kinds: dict[str, dict[str, int]] = defaultdict(lambda: {"compressed": 0, "kept": 0})
    kept: dict[str, int] = defaultdict(int)
    for (_, kind, verdict, reason), cells in reading.of(METRICS["proxy_spans_total"]).items():
        kinds[kind][verdict] = kinds[kind].get(verdict, 0) + cells[0]
        if verdict == "kept":
            kept[reason] += cells[0]
    by_verdict = _by(reading, "proxy_spans_total", 2)
    return {"by_verdict": by_verdict, "by_kind": dict(kinds), "kept_reasons": dict(kept)}


def _before_after(reading: Reading, unit: str) -> dict[str, Any]:
    """What was sent counts as before, after and saved; what was only observed is told apart."""
    before, after = (reading.of(METRICS[f"proxy_{unit}_{moment}_total"]) for moment in ("before", "after"))
    sums = {"before": 0, "after": 0, "saved": 0, "observed_saving": 0}
    by_protocol: dict[str, int] = defaultdict(int)
    for (protocol, decision), cells in before.items():
        count, shrunk = cells[0], after.get((protocol, decision), [0])[0]
        if decision == "observed":
            sums["before"] += count
            sums["after"] += count
            sums["observed_saving"] += count - shrunk
        else:
            sums["before"] += count
            sums["after"] += shrunk
            by_protocol[protocol] += count - shrunk
    sums["saved"] = sums["before"] - sums["after"]
    return {**sums, "saved_by_protocol": dict(by_protocol)}


def _clients(reading: Reading) -> list[dict[str, Any]]:
    spans = reading.of(METRICS["proxy_client_spans_total"])
    stages = ("seen", "eligible", "compressed")
    return [
        {"protocol": protocol, "client": client, "bodies": cells[0]}
        | {f"spans_{stage}": spans.get((protocol, client, stage), [0])[0] for stage in stages}
        for (protocol, client), cells in reading.of(METRICS["proxy_client_bodies_total"]).items()
    ]


def _total(reading: Reading, name: str) -> int:
    return sum(cells[0] for cells in reading.of(METRICS[name]).values())


def _by(reading: Reading, name: str, label: int) -> dict[str, int]:
    """Sums by the value of one label, given by its position."""
    sums: dict[str, int] = defaultdict(int)
    for values, cells in reading.of(METRICS[name]).items():
        sums[values[label]] += cells[0]
    return dict(sums)


def _durations(reading: Reading, metric: Metric) -> dict[str, dict[str, float | None]]:
    counted = {values: cells for values, cells in reading.of(metric).items() if any(cells)}
    return {".".join(values): _spread(metric.bounds, cells) for values, cells in counted.items()}


def _spread(bounds: tuple[float, ...], cells: list[int]) -> dict[str, float | None]:
    count = sum(cells[:-1])
    spread: dict[str, float | None] = {
        "count": count,
        "mean_seconds": cells[-1] / 1e6 / count if count else None,
    }
    for percent in _PERCENTILES:
        spread[f"p{percent}_at_most_seconds"] = _at_most(bounds, cells[:-1], percent)
    return spread


def _at_most(bounds: tuple[float, ...], buckets: list[int], percent: int) -> float | None:
    """The upper bound of the bucket that holds this percentile; None without values or above the last."""
    needed = -(-sum(buckets) * percent // 100)
    seen = 0
    for bound, count in zip(bounds, buckets, strict=False):
        seen += count
        if needed and seen >= needed:
            return bound
    return None
