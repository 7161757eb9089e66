"""An OpenTelemetry collector that keeps what it gets over OTLP/HTTP; it may stay silent too."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """`raw` are the bodies as they came. With `silent` set it takes requests and answers none until it is closed."""

    def __init__(self) -> None:
        self.url = ""
        self.raw: list[bytes] = []
        self.silent = False
        self.closing = threading.Event()
        self._traces: list[Any] = []
        self._metrics: dict[str, Any] = {}

    def take(self, path: str, body: bytes) -> None:
        self.raw.append(body)
        if path == "/v1/traces":
            self._traces.append(ExportTraceServiceRequest.FromString(body))
        elif path == "/v1/metrics":
            for each in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                instance = attributes(each.resource)["service.instance.id"]
                if instance not in self._metrics or _told_ns(each) > _told_ns(self._metrics[instance]):
                    self._metrics[instance] = each

    def spans(self, trace: str) -> list[Any]:
        """The spans of a trace, by its id in hex digits."""
        return [
            span
            for request in list(self._traces)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
            if span.trace_id.hex() == trace
        ]

    def points(self, name: str) -> dict[str, list[Any]]:
        """The data points of a metric, as each instance that has it told it last."""
        found: dict[str, list[Any]] = {}
        for instance, resource in list(self._metrics.items()):
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        found[instance] = list(getattr(metric, metric.WhichOneof("data")).data_points)
        return found

    @property
    def resources(self) -> list[dict[str, Any]]:
        """What each instance that told metrics says about itself."""
        return [attributes(each.resource) for each in list(self._metrics.values())]


def _told_ns(resource: Any) -> int:
    """When an instance said this; what workers that end together say may come in another order."""
    metric = resource.scope_metrics[0].metrics[0]
    latest: int = getattr(metric, metric.WhichOneof("data")).data_points[0].time_unix_nano
    return latest


def attributes(holder: Any) -> dict[str, Any]:
    """The attributes of a span, a resource or a data point."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in holder.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if collector.silent:
                collector.closing.wait()
                return
            collector.take(self.path, body)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield collector
    finally:
        collector.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
