"""Spans and metrics over OTLP/HTTP. Needs the `otel` extra; `tracing.py` loads this only where the settings ask for it.

Spans wait in the queue of the SDK's batch processor, whose own thread sends them; beyond SPANS_WAITING_MAX they are
dropped. Metrics are the totals of the whole server, made from its ledgers by the one worker that speaks for it, so
they agree with `/metrics` and survive the death of any worker. The SDK itself reads the OTEL_ variables for headers,
certificates, compression, time limits, the service's name and its resource attributes.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from multidict import CIMultiDict
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
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
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from proxy_pkg import __version__
from proxy_pkg.stats.catalogue import CATALOGUE, Metric
from proxy_pkg.stats.reading import Reading, Server
from proxy_pkg.stats.render import series_of
from proxy_pkg.web.tracing import Outcome, attributes_of, error_of, name_of, provider_of

SPANS_WAITING_MAX: Final = 2048
SPANS_AT_ONCE: Final = 512
SEND_SPANS_SECONDS: Final = 1.0
SEND_METRICS_SECONDS: Final = 15.0
CLOSE_SECONDS_MAX: Final = 2.0

_SERVICE: Final = "proxy_pkg"
_UNNAMED: Final = "unknown_service"
_PARENT: Final = "traceparent"
_STATE: Final = "tracestate"
_OPERATION_DURATION: Final = "gen_ai.client.operation.duration"
_UNITS: Final = {"seconds": "s", "bytes": "By"}

_propagator = TraceContextTextMapPropagator()


class OpenTelemetry:
    """The tracing of one worker.

    `endpoint` is the collector's base URL; if it is empty, the OTEL_ variables say it. `sample_share` is of the traces
    that begin here.
    """

    def __init__(self, endpoint: str, sample_share: float) -> None:
        self._resource = _resource()
        self._provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(sample_share), resource=self._resource, shutdown_on_exit=False
        )
        self._processor = BatchSpanProcessor(
            OTLPSpanExporter(endpoint=endpoint and f"{endpoint}/v1/traces"),
            max_queue_size=SPANS_WAITING_MAX,
            max_export_batch_size=SPANS_AT_ONCE,
            schedule_delay_millis=SEND_SPANS_SECONDS * 1000,
        )
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer(_SERVICE, __version__)
        self._metrics = OTLPMetricExporter(endpoint=endpoint and f"{endpoint}/v1/metrics")
        self._sent_monotonic = 0.0
        self._sending: threading.Thread | None = None

    def begin(self, headers: list[tuple[bytes, bytes]]) -> "SpanTrace":
        """A span, whose parent is the one that the client's headers name."""
        carrier = {name: _joined(headers, name.encode()) for name in (_PARENT, _STATE)}
        context = _propagator.extract({name: value for name, value in carrier.items() if value})
        # Its name is known at the end; samplers that look at names would need it sooner.
        return SpanTrace(self._tracer.start_span("request", context, SpanKind.CLIENT))

    async def publish(self, server: Server) -> None:
        """Send the server's totals from a thread of their own; while one still sends, the next wait."""
        now = time.monotonic()
        is_busy = self._sending is not None and self._sending.is_alive()
        if is_busy or (self._sent_monotonic and now - self._sent_monotonic < SEND_METRICS_SECONDS):
            return
        self._sent_monotonic = now
        self._sending = _in_thread(lambda: self._metrics.export(self._data(server)))

    async def close(self) -> None:
        """Send what waits, for at most CLOSE_SECONDS_MAX; what cannot be sent then is given up."""
        loop, sending, done = asyncio.get_running_loop(), self._sending, asyncio.Event()

        def close_all() -> None:
            self._provider.shutdown()
            if sending is not None:
                sending.join()
            with suppress(RuntimeError):  # the loop did not wait so long
                loop.call_soon_threadsafe(done.set)

        _in_thread(close_all)
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), CLOSE_SECONDS_MAX)

    def _data(self, server: Server) -> MetricsData:
        resource = self._resource.merge(Resource({"service.instance.id": f"{server.identity:016x}"}))
        scope = ScopeMetrics(InstrumentationScope(_SERVICE, __version__), _metrics(server.now), "")
        return MetricsData([ResourceMetrics(resource, [scope], "")])


class SpanTrace:
    """The span of one request."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def pass_on(self, headers: "CIMultiDict[str]") -> None:
        """Name this span as the parent in the headers that go upstream; a state without a valid parent goes."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, set_span_in_context(self._span))
        for name in (_PARENT, _STATE):
            headers.popall(name, None)
            if name in carrier:
                headers[name] = carrier[name]

    def end(self, outcome: Outcome) -> None:
        """End it. Later calls do nothing."""
        span = self._span
        if not span.is_recording():
            return
        span.update_name(name_of(outcome))
        span.set_attributes(attributes_of(outcome))
        if error := error_of(outcome):
            span.set_status(Status(StatusCode.ERROR, error))
        span.end()


def _resource() -> Resource:
    found = Resource.create()
    if str(found.attributes.get("service.name", _UNNAMED)).startswith(_UNNAMED):
        found = found.merge(Resource({"service.name": _SERVICE}))
    return found.merge(Resource({"service.version": __version__}))


def _joined(headers: list[tuple[bytes, bytes]], wanted: bytes) -> str:
    return ",".join(value.decode("latin-1") for name, value in headers if name == wanted)


def _in_thread(work: Callable[[], object]) -> threading.Thread:
    """A thread that the end of the process does not wait for."""
    thread = threading.Thread(target=work, name="otel", daemon=True)
    thread.start()
    return thread


def _metrics(reading: Reading) -> list[OtelMetric]:
    now_ns = time.time_ns()
    made = [_metric(metric, reading, now_ns) for metric in CATALOGUE if metric.name not in _LEFT_OUT]
    return [metric for metric in (*made, _operations(reading, now_ns)) if metric.data.data_points]


def _metric(metric: Metric, reading: Reading, now_ns: int) -> OtelMetric:
    names = [label.name for label in metric.labels]
    series = ((dict(zip(names, values, strict=True)), cells) for values, cells in series_of(metric, reading).items())
    unit = _UNITS.get(metric.unit, f"{{{metric.unit}}}")
    if metric.kind == "histogram":
        return _histogram(metric.name, metric.meaning, metric, series, reading.started_ns, now_ns)
    points = [NumberDataPoint(labels, reading.started_ns, now_ns, cells[0]) for labels, cells in series]
    data = Gauge(points) if metric.kind == "gauge" else Sum(points, AggregationTemporality.CUMULATIVE, True)
    return OtelMetric(metric.name.removesuffix("_total"), metric.meaning, unit, data)


def _operations(reading: Reading, now_ns: int) -> OtelMetric:
    """The metric that the conventions ask for, from what the upstreams took."""
    source = next(metric for metric in CATALOGUE if metric.name == "proxy_upstream_duration_seconds")
    series = (
        (_of_operation(operation, protocol), cells)
        for (protocol,), cells in reading.of(source).items()
        if (operation := _OPERATIONS.get(protocol))
    )
    meaning = "Time from the request being sent to the end of the upstream's answer."
    return _histogram(_OPERATION_DURATION, meaning, source, series, reading.started_ns, now_ns)


def _of_operation(operation: str, protocol: str) -> dict[str, str]:
    provider = provider_of(protocol, protocol)
    return {"gen_ai.operation.name": operation, "gen_ai.provider.name": provider, "headroom.protocol": protocol}


def _histogram(
    name: str,
    meaning: str,
    metric: Metric,
    series: Iterable[tuple[dict[str, str], list[int]]],
    started_ns: int,
    now_ns: int,
) -> OtelMetric:
    points = [
        HistogramDataPoint(
            labels,
            started_ns,
            now_ns,
            count=sum(cells[:-1]),
            sum=cells[-1] / metric.sum_parts,
            bucket_counts=cells[:-1],
            explicit_bounds=metric.bounds,
            min=0.0,
            max=0.0,
        )
        for labels, cells in series
        if any(cells)
    ]
    data = Histogram(points, AggregationTemporality.CUMULATIVE)
    return OtelMetric(name, meaning, _UNITS.get(metric.unit, f"{{{metric.unit}}}"), data)


_LEFT_OUT: Final = frozenset(("proxy_lifetime_total", "proxy_build_info", "proxy_start_time_seconds"))
"""They are in the resource and in the time stamps, or have another beginning."""
_OPERATIONS: Final = {
    "anthropic_messages": "chat",
    "openai_chat": "chat",
    "openai_responses": "chat",
    "gemini_generate": "generate_content",
}
"""Protocol -> the operation's name in the conventions."""
