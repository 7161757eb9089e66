"""OpenTelemetry: one span for each request and the totals of the server; off, nothing of it is there."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench.processes import Server
from tests.fakes.client import Answer, Headers, ask
from tests.fakes.scripts import CLOSE_AFTER_BODY, reply
from tests.fakes.upstream import Upstream
from tests.system.conftest import Start, starting
from tests.system.patience import eventually, stats

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the otel extra is not installed")

from tests.fakes.collector import Collector, attributes, collecting

BODY = b'{"model":"claude-x-4","messages":[{"role":"user","content":"hi"}]}'
USAGE = {"input_tokens": 7, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 3, "output_tokens": 11}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACED = ((b"traceparent", f"00-{TRACE}-{PARENT}-01".encode()), (b"tracestate", b"vendor=1"))


@pytest.fixture(scope="module")
def place(upstream_of_module: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Collector]]:
    folder = tmp_path_factory.mktemp("server")
    with collecting() as collector, starting(upstream_of_module.url, folder) as start:
        yield start(HEADROOM_OTEL="true", HEADROOM_OTEL_ENDPOINT=collector.url), collector


@pytest.fixture
def running(place: tuple[Server, Collector]) -> Server:
    return place[0]


@pytest.fixture
def collector(place: tuple[Server, Collector]) -> Collector:
    """What this test alone made it get."""
    place[1].clear()
    return place[1]


def post(server: Server, headers: Headers = (), path: str = "/v1/messages") -> Answer:
    return ask(server.port, "POST", path, headers, BODY)


def test_a_request_is_one_span_between_the_clients_and_the_upstreams(
    running: Server, upstream: Upstream, collector: Collector
) -> None:
    upstream.play(reply(json.dumps({"model": "claude-x-4", "usage": USAGE}).encode()))
    assert post(running, TRACED, "/v1/messages?beta=true").status == 200
    eventually(lambda: collector.spans)
    (span,) = collector.spans
    found = attributes(span)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    sent = dict(upstream.requests[-1].headers)
    assert sent[b"traceparent"].decode() == f"00-{TRACE}-{span.span_id.hex()}-01"
    assert sent[b"tracestate"] == b"vendor=1"
    assert span.name == "chat claude-x-4"
    assert span.end_time_unix_nano > span.start_time_unix_nano
    wanted = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-x-4",
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.cache_read.input_tokens": 20,
        "gen_ai.usage.cache_creation.input_tokens": 3,
        "gen_ai.usage.output_tokens": 11,
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.path": "/v1/messages",
        "server.address": "127.0.0.1",
        "headroom.outcome": "relayed",
    }
    assert {name: found.get(name) for name in wanted} == wanted
    assert "error.type" not in found


def test_failures_and_refusals_are_spans_with_their_reason(
    running: Server, upstream: Upstream, collector: Collector
) -> None:
    upstream.play(CLOSE_AFTER_BODY)
    post(running)
    upstream.play(reply(b"{}", status=529))
    post(running)
    ask(running.port, "GET", "/nowhere")
    eventually(lambda: len(collector.spans) == 3)
    errors = {attributes(span)["error.type"]: span.status.code for span in collector.spans}
    assert set(errors) == {"upstream_head", "529", "unknown_path"}
    assert set(errors.values()) == {2}


def test_a_broken_parent_begins_a_new_trace_and_takes_its_state_along(
    running: Server, upstream: Upstream, collector: Collector
) -> None:
    post(running, ((b"traceparent", b"00-nonsense-01"), (b"tracestate", b"vendor=1")))
    sent = dict(upstream.requests[-1].headers)
    eventually(lambda: collector.spans)
    assert sent[b"traceparent"].decode().split("-")[1] == collector.spans[0].trace_id.hex()
    assert b"tracestate" not in sent


def test_a_client_that_does_not_sample_is_followed(running: Server, upstream: Upstream, collector: Collector) -> None:
    post(running, ((b"traceparent", f"00-{TRACE}-{PARENT}-00".encode()),))
    post(running)
    version, trace, _, flags = dict(upstream.requests[0].headers)[b"traceparent"].decode().split("-")
    assert (version, trace, flags) == ("00", TRACE, "00")
    eventually(lambda: collector.spans)
    assert TRACE not in {span.trace_id.hex() for span in collector.spans}


def told_total(collector: Collector) -> int:
    told = collector.metrics.get("proxy_requests")
    return sum(point.as_int for point in told.sum.data_points) if told else -1


def test_metrics_are_the_totals_of_all_workers_told_by_one(
    running: Server, upstream: Upstream, collector: Collector
) -> None:
    for _ in range(20):
        post(running)
    total = stats(running)["requests"]["total"]
    eventually(lambda: told_total(collector) == total, 30.0)
    assert len({found["service.instance.id"] for found in collector.resources}) == 1, "one worker speaks"
    (point,) = collector.metrics["gen_ai.client.operation.duration"].histogram.data_points
    assert total > point.count == sum(point.bucket_counts) >= 20
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    assert attributes(point)["gen_ai.provider.name"] == "anthropic"
    assert collector.resources[0]["service.name"] == "proxy_pkg"


def test_no_secret_is_told(running: Server, upstream: Upstream, collector: Collector) -> None:
    secrets = ((b"x-api-key", b"canary-key"), (b"authorization", b"Bearer canary-token"), (b"cookie", b"canary"))
    for path in ("/v1/messages?key=canary-query", "/v1beta/models/m:generateContent?key=canary-query"):
        ask(running.port, "POST", path, secrets, BODY.replace(b"hi", b"canary-text"))
        upstream.play(CLOSE_AFTER_BODY)
        ask(running.port, "POST", path, secrets, BODY)
        upstream.clear()
    eventually(lambda: len(collector.spans) >= 4, 30.0)  # those of an earlier test may come late
    assert b"canary" not in b"".join(metric.SerializeToString() for metric in collector.metrics.values())
    assert [body for body in collector.raw if b"canary" in body] == []


def test_a_collector_that_never_answers_holds_nothing_up(server: Start, upstream: Upstream) -> None:
    with collecting() as silent:
        silent.silent = True
        running = server(HEADROOM_OTEL="true", HEADROOM_OTEL_ENDPOINT=silent.url)
        assert {post(running).status for _ in range(50)} == {200}
        running.process.terminate()
        assert running.process.wait(timeout=20) == 0
        assert "Traceback" not in running.log.read_text()


def test_off_the_headers_of_a_trace_go_on_untouched(server: Start, upstream: Upstream) -> None:
    odd = ((b"traceparent", b"00-nonsense-01"), (b"tracestate", b"a=1,b=2"), (b"baggage", b"c=3"))
    post(server(), odd)
    assert set(odd) <= set(upstream.requests[-1].headers)


@pytest.mark.parametrize("extra", ["import sys; sys.modules['opentelemetry'] = None", "import sys"])
def test_off_nothing_of_it_is_imported_nor_needed(extra: str) -> None:
    program = (
        f"{extra}\nimport proxy_pkg.server.worker, proxy_pkg.server.hooks, proxy_pkg.server.preflight\n"
        "from proxy_pkg.config.load import load\nfrom proxy_pkg.web.tracing import open_tracing\n"
        "assert open_tracing(load({}).settings) is None\n"
        "print([name for name, module in sys.modules.items() if module and name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_the_setting_is_a_problem_before_the_start() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from proxy_pkg.config.load import load\nfrom proxy_pkg.server.preflight import inspect\n"
        "from proxy_pkg.web.tracing import open_tracing\n"
        "settings = load({'HEADROOM_OTEL': 'true'}).settings\n"
        "print(inspect(settings, running=True).problems, open_tracing(settings))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "pip install 'proxy_pkg[otel]'" in done.stdout
    assert done.stdout.strip().endswith("None")
