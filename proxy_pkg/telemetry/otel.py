"""Spans and metrics over OTLP/HTTP. Needs the `otel` extra; `tracing.py` loads this only where the settings ask for it.

Spans wait in the queue of the SDK's batch processor, whose own thread sends them; beyond SPANS_WAITING_MAX they are
dropped. Of metrics there are two kinds, told apart by `service.instance.id`: the totals of the whole server, which the
one worker that speaks for it makes from the ledgers, so they agree with `/metrics` and survive the death of any
worker; and the histograms of the conventions, which each worker tells of itself. The SDK itself reads the OTEL_
variables for headers, certificates, compression, time limits, the service's name and its resource attributes.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from multidict import CIMultiDict
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from proxy_pkg import __version__
from proxy_pkg.stats.snapshot import Server
from proxy_pkg.telemetry.conventions import attributes_of, error_of, name_of
from proxy_pkg.telemetry.measures import Measures
from proxy_pkg.telemetry.otel_data import SERVICE, measures_data, resource_of, totals_data
from proxy_pkg.telemetry.tracing import Outcome

SPANS_WAITING_MAX: Final = 2048
SPANS_AT_ONCE: Final = 512
SEND_SPANS_SECONDS: Final = 1.0
SEND_METRICS_SECONDS: Final = 15.0
CLOSE_SECONDS_MAX: Final = 2.0

_PARENT: Final = "traceparent"
_STATE: Final = "tracestate"

_propagator = TraceContextTextMapPropagator()


class OpenTelemetry:
    """The tracing of one worker. Make it inside the worker's loop.

    `endpoint` is the collector's base URL; if it is empty, the OTEL_ variables say it. `sample_share` is of the traces
    that begin here. `instance` names this worker.
    """

    def __init__(self, endpoint: str, sample_share: float, instance: str) -> None:
        self._resource = resource_of(instance)
        self._provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(sample_share), resource=self._resource, shutdown_on_exit=False
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                OTLPSpanExporter(endpoint=endpoint and f"{endpoint}/v1/traces"),
                max_queue_size=SPANS_WAITING_MAX,
                max_export_batch_size=SPANS_AT_ONCE,
                schedule_delay_millis=SEND_SPANS_SECONDS * 1000,
            )
        )
        self._tracer = self._provider.get_tracer(SERVICE, __version__)
        self._metrics = MetricSender(OTLPMetricExporter(endpoint=endpoint and f"{endpoint}/v1/metrics"))
        self._measures = Measures()
        self._started_ns = time.time_ns()
        self._totals_sent_monotonic = 0.0
        self._totals_unsent: Server | None = None
        self._task = asyncio.get_running_loop().create_task(self._export_measures())

    def begin(self, headers: list[tuple[bytes, bytes]]) -> "SpanTrace":
        """A span, whose parent is the one that the client's headers name."""
        carrier = {name: _joined(headers, name.encode()) for name in (_PARENT, _STATE)}
        context = _propagator.extract({name: value for name, value in carrier.items() if value})
        began = Moment()
        # Its name is known at the end; samplers that look at names would need it sooner.
        span = self._tracer.start_span("request", context, SpanKind.CLIENT, start_time=began.unix_ns)
        has_parent = get_current_span(context).get_span_context().is_valid
        return SpanTrace(span, began, self._measures, has_parent=has_parent)

    async def publish(self, server: Server) -> None:
        """Send the server's totals, at most every SEND_METRICS_SECONDS, and the last ones when this closes."""
        self._totals_unsent = server
        now = time.monotonic()
        if not self._totals_sent_monotonic or now - self._totals_sent_monotonic >= SEND_METRICS_SECONDS:
            self._totals_sent_monotonic = now
            self._send_totals()

    async def close(self) -> None:
        """Send what waits, for at most CLOSE_SECONDS_MAX; what cannot be sent then is given up."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._send_totals()
        self._send_measures()
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def close_all() -> None:
            self._provider.shutdown()
            self._metrics.wait()
            with suppress(RuntimeError):  # the loop did not wait so long
                loop.call_soon_threadsafe(done.set)

        _in_thread(close_all)
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), CLOSE_SECONDS_MAX)

    async def _export_measures(self) -> None:
        while True:
            await asyncio.sleep(SEND_METRICS_SECONDS)
            self._send_measures()

    def _send_measures(self) -> None:
        if self._measures.has_any:
            self._metrics.send("worker", measures_data(self._resource, self._measures, self._started_ns))

    def _send_totals(self) -> None:
        server, self._totals_unsent = self._totals_unsent, None
        if server is not None:
            self._metrics.send("server", totals_data(resource_of(f"{server.identity:016x}"), server.now))


class Moment:
    """One moment on both clocks: so that the length of a span is right though somebody sets the time of day."""

    def __init__(self) -> None:
        self.unix_ns = time.time_ns()
        self.monotonic_ns = time.monotonic_ns()


class SpanTrace:
    """The span of one request, and its part in the measures, which count it whether its trace is kept or not."""

    def __init__(self, span: Span, began: Moment, measures: Measures, *, has_parent: bool) -> None:
        self._span = span
        self._began = began
        self._measures = measures
        self._has_parent = has_parent
        self._ended = False

    def pass_on(self, headers: "CIMultiDict[str]") -> None:
        """Name this span as the parent in the headers that go upstream; a state without a valid parent goes. Where the
        client's own trace is not kept, there is no span to name, and its headers go on as they came.
        """
        if self._has_parent and not self._span.is_recording():
            return
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, set_span_in_context(self._span))
        for name in (_PARENT, _STATE):
            headers.popall(name, None)
            if name in carrier:
                headers[name] = carrier[name]

    def end(self, outcome: Outcome) -> None:
        """End it. Later calls do nothing."""
        if self._ended:
            return
        self._ended = True
        lasted_ns = (outcome.ended_ns or time.monotonic_ns()) - self._began.monotonic_ns
        self._measures.record(outcome, lasted_ns)
        span = self._span
        if span.is_recording():
            span.update_name(name_of(outcome))
            span.set_attributes(attributes_of(outcome))
            if error := error_of(outcome):
                span.set_status(Status(StatusCode.ERROR, error))
            span.end(self._began.unix_ns + lasted_ns)


class MetricSender:
    """Sends metrics from a thread of its own, which lasts as long as there are any. Of each kind only the latest wait:
    sums are cumulative, so these hold what the earlier ones did.
    """

    def __init__(self, exporter: OTLPMetricExporter) -> None:
        self._exporter = exporter
        self._lock = threading.Lock()
        self._waiting: dict[str, MetricsData] = {}
        self._thread: threading.Thread | None = None

    def send(self, kind: str, data: MetricsData) -> None:
        """Have it sent soon. Returns at once. Where no thread can be had, it waits for the next call."""
        with self._lock, suppress(RuntimeError):
            self._waiting[kind] = data
            if self._thread is None or not self._thread.is_alive():
                self._thread = _in_thread(self._run)

    def wait(self) -> None:
        """Until all is sent, or given up by the exporter, which has a time limit."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                _, data = self._waiting.popitem()
            self._exporter.export(data)


def _joined(headers: list[tuple[bytes, bytes]], wanted: bytes) -> str:
    return ",".join(value.decode("latin-1") for name, value in headers if name == wanted)


def _in_thread(work: Callable[[], object]) -> threading.Thread:
    """A thread that the end of the process does not wait for."""
    thread = threading.Thread(target=work, name="otel", daemon=True)
    thread.start()
    return thread
