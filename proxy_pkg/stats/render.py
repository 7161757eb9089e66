"""A reading as Prometheus text."""

from collections.abc import Callable, Iterator

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric as PrometheusFamily
from prometheus_client.registry import Collector

from proxy_pkg import __version__
from proxy_pkg.stats.attention import unseen_clients
from proxy_pkg.stats.catalogue import CATALOGUE, OTHER, Metric
from proxy_pkg.stats.figures import Figures, main_figures
from proxy_pkg.stats.ledger import SCOPES
from proxy_pkg.stats.snapshot import Reading, Series

METRICS_CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


def metrics_text(reading: Reading, lifetime: Reading | None = None, fleet: Figures | None = None) -> bytes:
    """The exposition of every metric of the catalogue, in its order. Durations in seconds.

    `lifetime` are the counts with those of earlier runs; without it there were none. `fleet` are the main figures of
    all servers, if they are known.
    """
    return generate_latest(_Exposition(reading, lifetime or reading, fleet or {}))


class _Exposition(Collector):
    """One reading, shaped as prometheus_client wants to be given it."""

    def __init__(self, reading: Reading, lifetime: Reading, fleet: Figures) -> None:
        self._reading = reading
        self._fleet: Series = {(name,): [figure] for name, figure in fleet.items()}
        self._lifetime = lifetime

    def collect(self) -> Iterator[PrometheusFamily]:
        for metric in CATALOGUE:
            reading = self._lifetime if metric.name in _LIFELONG else self._reading
            series = self._fleet if metric.name == _OF_THE_FLEET else series_of(metric, reading)
            yield _FAMILIES[metric.kind](metric, series)


def series_of(metric: Metric, reading: Reading) -> Series:
    """The series that are shown of a metric: what its labels overflowed into only if something did."""
    if metric.derived:
        return _DERIVED[metric.name](reading)
    found = reading.of(metric)
    overflow = (OTHER,) * len(metric.labels)
    return {values: cells for values, cells in found.items() if values != overflow or any(cells)}


def _counter(metric: Metric, series: Series) -> PrometheusFamily:
    family = CounterMetricFamily(metric.name, metric.meaning, labels=_names(metric))
    for values, cells in series.items():
        family.add_metric(values, cells[0])
    return family


def _gauge(metric: Metric, series: Series) -> PrometheusFamily:
    family = GaugeMetricFamily(metric.name, metric.meaning, labels=_names(metric))
    for values, cells in series.items():
        family.add_metric(values, cells[0])
    return family


def _histogram(metric: Metric, series: Series) -> PrometheusFamily:
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=_names(metric))
    for values, cells in series.items():
        buckets, total = [], 0
        for bound, count in zip((*map(repr, metric.bounds), "+Inf"), cells, strict=False):
            total += count
            buckets.append((bound, float(total)))
        family.add_metric(values, buckets, cells[-1] / metric.sum_parts)
    return family


def _names(metric: Metric) -> list[str]:
    return [label.name for label in metric.labels]


_FAMILIES: dict[str, Callable[[Metric, Series], PrometheusFamily]] = {
    "counter": _counter,
    "gauge": _gauge,
    "histogram": _histogram,
}

_OF_THE_FLEET = "proxy_fleet_total"

_DERIVED: dict[str, Callable[[Reading], Series]] = {
    "proxy_requests_in_flight": lambda reading: {(): [sum(worker.in_flight for worker in reading.workers)]},
    "proxy_limit_workers": lambda reading: {
        (scope,): [sum(worker.scope == scope for worker in reading.workers)] for scope in SCOPES
    },
    "proxy_workers": lambda reading: {(): [len(reading.workers)]},
    "proxy_worker_starts_total": lambda reading: {(): [reading.worker_starts]},
    "proxy_lifetime_total": lambda reading: {(name,): [sum_] for name, sum_ in main_figures(reading).items()},
    _OF_THE_FLEET: lambda _: {},
    "proxy_clients_unseen": lambda reading: {(): [len(unseen_clients(reading))]},
    "proxy_start_time_seconds": lambda reading: {(): [reading.started_ns // 1_000_000_000]},
    "proxy_build_info": lambda _: {(__version__,): [1]},
}

_LIFELONG = frozenset(("proxy_lifetime_total",))
