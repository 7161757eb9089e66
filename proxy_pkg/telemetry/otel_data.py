"""What the server and its workers have counted, as the SDK's exporter wants to be given it. Needs the `otel` extra.

Sums are cumulative, from the start of the server or of the worker on.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as OtelMetric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from proxy_pkg import __version__
from proxy_pkg.stats.catalogue import CATALOGUE, Metric
from proxy_pkg.stats.render import series_of
from proxy_pkg.stats.snapshot import Reading
from proxy_pkg.telemetry.measures import INSTRUMENTS, Instrument, Measures

SERVICE: Final = "proxy_pkg"
_UNNAMED: Final = "unknown_service"
_INSTANCE: Final = "service.instance.id"
_UNITS: Final = {"seconds": "s", "bytes": "By"}
_LEFT_OUT: Final = frozenset(("proxy_lifetime_total", "proxy_build_info", "proxy_start_time_seconds"))
"""They are in the resource and in the time stamps, or have another beginning."""


def resource_of(instance: str) -> Resource:
    """This service, as the OTEL_ variables name it, and which instance of it tells."""
    found = Resource.create()
    if str(found.attributes.get("service.name", _UNNAMED)).startswith(_UNNAMED):
        found = found.merge(Resource({"service.name": SERVICE}))
    return found.merge(Resource({"service.version": __version__, _INSTANCE: instance}))


def totals_data(resource: Resource, reading: Reading) -> MetricsData:
    """The totals of `/metrics`."""
    now_ns = time.time_ns()
    return _data(resource, (_total(metric, reading, now_ns) for metric in CATALOGUE if metric.name not in _LEFT_OUT))


def measures_data(resource: Resource, measures: Measures, started_ns: int) -> MetricsData:
    """The histograms of a worker that began at `started_ns`, Unix time."""
    now_ns = time.time_ns()
    return _data(resource, (_measured(each, measures, started_ns, now_ns) for each in INSTRUMENTS))


def _data(resource: Resource, metrics: Iterable[OtelMetric]) -> MetricsData:
    reported = [metric for metric in metrics if metric.data.data_points]
    return MetricsData([ResourceMetrics(resource, [ScopeMetrics(_SCOPE, reported, "")], "")])


def _measured(instrument: Instrument, measures: Measures, started_ns: int, now_ns: int) -> OtelMetric:
    points = [
        HistogramDataPoint(
            dict(attributes),
            started_ns,
            now_ns,
            count=spread.count,
            sum=spread.sum,
            bucket_counts=list(spread.buckets),
            explicit_bounds=instrument.bounds,
            min=spread.least,
            max=spread.greatest,
        )
        for attributes, spread in measures.series(instrument)
    ]
    data = Histogram(points, AggregationTemporality.CUMULATIVE)
    return OtelMetric(instrument.name, instrument.meaning, instrument.unit, data)


def _total(metric: Metric, reading: Reading, now_ns: int) -> OtelMetric:
    names = [label.name for label in metric.labels]
    series = [(dict(zip(names, values, strict=True)), cells) for values, cells in series_of(metric, reading).items()]
    data: Any
    if metric.kind == "histogram":
        points = [_buckets(metric, labels, cells, reading.started_ns, now_ns) for labels, cells in series if any(cells)]
        data = Histogram(points, AggregationTemporality.CUMULATIVE)
    else:
        numbers = [NumberDataPoint(labels, reading.started_ns, now_ns, cells[0]) for labels, cells in series]
        data = Gauge(numbers) if metric.kind == "gauge" else Sum(numbers, AggregationTemporality.CUMULATIVE, True)
    unit = _UNITS.get(metric.unit, f"{{{metric.unit}}}")
    return OtelMetric(metric.name.removesuffix("_total"), metric.meaning, unit, data)


def _buckets(
    metric: Metric, labels: Mapping[str, str], cells: list[int], started_ns: int, now_ns: int
) -> HistogramDataPoint:
    unknown: Any = None  # the least and the greatest value, which the format may go without, and the SDK's type may not
    return HistogramDataPoint(
        labels,
        started_ns,
        now_ns,
        count=sum(cells[:-1]),
        sum=cells[-1] / metric.sum_parts,
        bucket_counts=cells[:-1],
        explicit_bounds=metric.bounds,
        min=unknown,
        max=unknown,
    )


_SCOPE: Final = InstrumentationScope(SERVICE, __version__)
