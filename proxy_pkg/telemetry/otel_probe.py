"""Whether a collector takes what we would send. Needs the `otel` extra."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

PROBE_SECONDS = 3.0


def refusal_of(endpoint: str) -> str:
    """Why the collector at `endpoint` (empty: as the OTEL_ variables say) takes nothing; empty if it does.

    It is sent a message without a single metric, with the headers and certificates of real ones.
    """
    exporter = OTLPMetricExporter(endpoint=endpoint and f"{endpoint}/v1/metrics", timeout=PROBE_SECONDS)
    with _logged() as logged:
        result = exporter.export(MetricsData([]))
    exporter.shutdown()
    return "" if result is MetricExportResult.SUCCESS else (logged[-1] if logged else "no answer")


@contextmanager
def _logged() -> Iterator[list[str]]:
    """What the exporter logs, which is the one place where it gives a reason; it goes nowhere else meanwhile."""
    kept: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record.getMessage())

    logger, handler = logging.getLogger("opentelemetry"), Keep()
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield kept
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
