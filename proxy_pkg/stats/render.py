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
from proxy_pkg.stats.reading import Reading, Series

METRICS_CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


def metrics_text(reading: Reading) -> bytes:
    """The exposition of every metric of the catalogue, in its order. Durations in seconds."""
    return generate_latest(_Exposition(reading))


class _Exposition(Collector):
    """One reading, shaped as prometheus_client wants to be given it."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[PrometheusFamily]:
        for metric in CATALOGUE:
            yield _FAMILIES[metric.kind](metric, _series(metric, self._reading))


def _series(metric: Metric, reading: Reading) -> Series:
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
        family.add_metric(values, buckets, cells[-1] / 1e6)
    return family


def _names(metric: Metric) -> list[str]:
    return [label.name for label in metric.labels]


_FAMILIES: dict[str, Callable[[Metric, Series], PrometheusFamily]] = {
    "counter": _counter,
    "gauge": _gauge,
    "histogram": _histogram,
}

_DERIVED: dict[str, Callable[[Reading], Series]] = {
    "proxy_requests_in_flight": lambda reading: {(): [sum(worker.in_flight for worker in reading.workers)]},
    "proxy_workers": lambda reading: {(): [len(reading.workers)]},
    "proxy_worker_starts_total": lambda reading: {(): [reading.worker_starts]},
    "proxy_clients_unseen": lambda reading: {(): [len(unseen_clients(reading))]},
    "proxy_start_time_seconds": lambda reading: {(): [reading.started_ns // 1_000_000_000]},
    "proxy_build_info": lambda _: {(__version__,): [1]},
}
