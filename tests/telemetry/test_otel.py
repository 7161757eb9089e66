"""What one worker tells a collector, asked of it directly."""

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from multidict import CIMultiDict

from proxy_pkg.stats.snapshot import Reading, Server

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the otel extra is not installed")

from proxy_pkg.telemetry.otel import OpenTelemetry
from tests.fakes.collector import Collector, attributes, collecting
from tests.telemetry.test_measures import MS, outcome

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACED = [(b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture
async def tracing(collector: Collector) -> AsyncIterator[OpenTelemetry]:
    """Close it before looking at what the collector has."""
    made = OpenTelemetry(collector.url, 1.0, "worker-1")
    yield made
    await made.close()


async def test_a_span_ends_when_the_last_byte_was_sent(tracing: OpenTelemetry, collector: Collector) -> None:
    trace = tracing.begin(TRACED)
    ended_ns = time.monotonic_ns() + 7_000 * MS  # its account was settled long after, or long before
    trace.end(outcome(is_stream=True, ended_ns=ended_ns))
    trace.end(outcome(status=500))
    await tracing.close()
    (span,) = collector.spans(TRACE)
    assert 7_000 * MS <= span.end_time_unix_nano - span.start_time_unix_nano + MS < 8_000 * MS
    assert attributes(span)["gen_ai.response.time_to_first_chunk"] == 0.015
    assert "error.type" not in attributes(span), "the second end is none"
    ((point,),) = collector.points("http.server.request.duration").values()
    assert (point.count, 6.9 < point.sum < 8) == (1, True)


async def test_what_is_no_stream_has_no_first_part(tracing: OpenTelemetry, collector: Collector) -> None:
    tracing.begin(TRACED).end(outcome())
    await tracing.close()
    (span,) = collector.spans(TRACE)
    assert "gen_ai.response.time_to_first_chunk" not in attributes(span)
    assert collector.points("gen_ai.client.operation.time_to_first_chunk") == {}


async def test_an_unkept_trace_is_passed_on_as_it_came_and_measured_all_the_same(
    tracing: OpenTelemetry, collector: Collector
) -> None:
    parent = f"00-{TRACE}-{PARENT}-00"
    trace = tracing.begin([(b"traceparent", parent.encode())])
    headers = CIMultiDict({"traceparent": parent, "tracestate": "vendor=1", "baggage": "user=1"})
    trace.pass_on(headers)
    assert dict(headers) == {"traceparent": parent, "tracestate": "vendor=1", "baggage": "user=1"}
    trace.end(outcome())
    await tracing.close()
    assert collector.spans(TRACE) == []
    assert sum(point.count for point in collector.points("gen_ai.client.operation.duration")["worker-1"]) == 1


def server(requests: int) -> Server:
    key = ("anthropic_messages", "messages", "2xx", "relayed")
    reading = Reading(time.time_ns(), [], 1, {"proxy_requests_total": {key: [requests]}})
    return Server(reading, reading, 1, 7)


async def test_the_last_totals_are_told_when_it_closes(tracing: OpenTelemetry, collector: Collector) -> None:
    for number in (1, 2, 3):
        await tracing.publish(server(number))
    await tracing.close()
    ((point,),) = collector.points("proxy_requests").values()
    assert point.as_int == 3
    resources: list[dict[str, Any]] = collector.resources
    assert [each["service.instance.id"] for each in resources] == [f"{7:016x}"]


async def test_a_worker_without_requests_tells_nothing(tracing: OpenTelemetry, collector: Collector) -> None:
    await tracing.close()
    assert collector.raw == []
