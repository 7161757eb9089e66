"""OpenTelemetry: one span for each request and the totals of the server; off, nothing of it is there.

A span is known by the trace that the test began, so that whatever an earlier test left on its way is not taken for it.
"""

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from bench.processes import Server, free_port
from tests.fakes.client import Answer, Caller, Headers, ask
from tests.fakes.scripts import CLOSE_AFTER_BODY, Script, begin, last_chunk, reply
from tests.fakes.upstream import Upstream
from tests.system.conftest import Start, starting
from tests.system.patience import eventually, stats

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the otel extra is not installed")

from tests.fakes.collector import Collector, attributes, collecting

BODY = b'{"model":"claude-x-4","messages":[{"role":"user","content":"hi"}]}'
USAGE = {"input_tokens": 7, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 3, "output_tokens": 11}
PARENT = "b7ad6b7169203331"
ON_BOTH_SIDES = ((b"tracestate", b"vendor=1"), (b"baggage", b"user=1"))


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
    return place[1]


def began(flags: str = "01") -> tuple[str, Headers]:
    """A trace of a client's own, and the header that names it."""
    trace = secrets.token_hex(16)
    return trace, ((b"traceparent", f"00-{trace}-{PARENT}-{flags}".encode()),)


def post(server: Server, headers: Headers = (), path: str = "/v1/messages") -> Answer:
    return ask(server.port, "POST", path, headers, BODY)


def passed_on(upstream: Upstream) -> tuple[str, str, bool]:
    """Trace, parent and whether it is kept, as the upstream was told them last."""
    _, trace, parent, flags = dict(upstream.requests[-1].headers)[b"traceparent"].decode().split("-")
    return trace, parent, bool(int(flags, 16) & 1)


def only_span(collector: Collector, trace: str) -> Any:
    eventually(lambda: collector.spans(trace))
    (span,) = collector.spans(trace)
    return span


def test_a_request_is_one_span_between_the_clients_and_the_upstreams(
    running: Server, upstream: Upstream, collector: Collector
) -> None:
    upstream.play(reply(json.dumps({"model": "claude-x-4", "usage": USAGE}).encode()))
    trace, traced = began()
    assert post(running, (*traced, *ON_BOTH_SIDES), "/v1/messages?beta=true").status == 200
    span = only_span(collector, trace)
    found = attributes(span)
    assert span.parent_span_id.hex() == PARENT
    assert passed_on(upstream) == (trace, span.span_id.hex(), True)
    assert set(ON_BOTH_SIDES) <= set(upstream.requests[-1].headers)
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


def test_the_span_of_a_stream_ends_with_it(running: Server, upstream: Upstream, collector: Collector) -> None:
    open_stream = begin([b"data: 1\n\n"], ("hold", "it"))
    upstream.play(Script((*open_stream.steps, ("send", last_chunk()))))
    (held, of_stream), (other, of_other) = began(), began()
    head = b"".join(b"%s: %s\r\n" % pair for pair in of_stream)
    with Caller(running.port) as caller:
        caller.write(b"POST /v1/messages HTTP/1.1\r\nhost: proxy.test\r\n%scontent-length: 2\r\n\r\n{}" % head)
        answer = caller.begin()
        upstream.play(reply(b"{}"), path="/v1/models")
        ask(running.port, "GET", "/v1/models", of_other)
        only_span(collector, other)
        assert collector.spans(held) == [], "it is open"
        upstream.release("it")
        assert caller.finish(answer).complete
    found = attributes(only_span(collector, held))
    assert found["gen_ai.response.time_to_first_chunk"] > 0
    assert "error.type" not in found


def test_failures_and_refusals_are_spans_with_their_reason(
    running: Server, upstream: Upstream, collector: Collector
) -> None:
    traces = {}
    for error in ("upstream_head", "529", "unknown_path"):
        traces[error], traced = began()
        upstream.clear()
        upstream.play(reply(b"{}", status=529) if error == "529" else CLOSE_AFTER_BODY)
        post(running, traced, "/nowhere" if error == "unknown_path" else "/v1/messages")
    spans = {error: only_span(collector, trace) for error, trace in traces.items()}
    assert {error: attributes(span)["error.type"] for error, span in spans.items()} == {each: each for each in spans}
    assert {span.status.code for span in spans.values()} == {2}


def test_a_broken_parent_begins_a_new_trace_and_takes_its_state_along(
    running: Server, upstream: Upstream, collector: Collector
) -> None:
    post(running, ((b"traceparent", b"00-nonsense-01"), *ON_BOTH_SIDES))
    trace, parent, kept = passed_on(upstream)
    span = only_span(collector, trace)
    assert (span.span_id.hex(), kept) == (parent, True)
    assert {name for name, _ in upstream.requests[-1].headers} & {b"tracestate", b"baggage"} == {b"baggage"}


def test_a_trace_that_its_client_does_not_keep_goes_on_as_it_came(
    running: Server, upstream: Upstream, collector: Collector
) -> None:
    (left_out, unsampled), (kept, sampled) = began("00"), began()
    post(running, (*unsampled, *ON_BOTH_SIDES))
    assert {*unsampled, *ON_BOTH_SIDES} <= set(upstream.requests[-1].headers)
    assert collector.spans(left_out) == []
    for _ in range(2 * len(running.worker_pids)):  # so that the worker of the first request has sent what it had
        post(running, sampled)
    eventually(lambda: len(collector.spans(kept)) == 2 * len(running.worker_pids))
    assert collector.spans(left_out) == []


def test_traces_that_begin_here_are_kept_by_their_share(server: Start, upstream: Upstream) -> None:
    with collecting() as collector:
        running = server(HEADROOM_OTEL="true", HEADROOM_OTEL_ENDPOINT=collector.url, HEADROOM_OTEL_SAMPLE_SHARE="0")
        trace, traced = began()
        post(running)
        ours, _, kept = passed_on(upstream)
        assert not kept, "the upstream is told that it is not kept"
        post(running, traced)
        only_span(collector, trace)
        running.stop()
        assert collector.spans(ours) == []
        assert sum(point.count for told in collector.points(DURATION).values() for point in told) == 2


DURATION = "gen_ai.client.operation.duration"


def test_metrics_are_exact_over_all_workers_once_they_have_ended(server: Start, upstream: Upstream) -> None:
    """The totals come from one of them, the histograms from each of itself: no request is in two, none is left out."""
    upstream.answer = lambda _: reply(json.dumps({"model": "claude-x-4", "usage": USAGE}).encode())
    with collecting() as collector:
        running = server(HEADROOM_OTEL="true", HEADROOM_OTEL_ENDPOINT=collector.url, HEADROOM_WORKERS="3")
        for _ in range(30):
            post(running)
        ask(running.port, "GET", "/nowhere")
        eventually(lambda: stats(running)["usage"]["requests"] == 30)
        running.process.terminate()
        assert running.process.wait(timeout=20) == 0
        (totals,) = collector.points("proxy_requests").values()
        assert sum(point.as_int for point in totals) == 31
        lasted = collector.points(DURATION)
        assert sum(point.count for told in lasted.values() for point in told) == 30
        assert not set(lasted) & set(collector.points("proxy_requests")), "another instance tells the totals"
        requests = [point for told in collector.points("http.server.request.duration").values() for point in told]
        assert sum(point.count for point in requests) == 31
        tokens = [point for told in collector.points("gen_ai.client.token.usage").values() for point in told]
        by_kind = {"input": 0, "output": 0}
        for point in tokens:
            by_kind[attributes(point)["gen_ai.token.type"]] += int(point.sum)
        assert by_kind == {"input": 30 * 30, "output": 30 * 11}
        assert {each["service.name"] for each in collector.resources} == {"proxy_pkg"}


def test_no_secret_is_told(server: Start, upstream: Upstream) -> None:
    secret = ((b"x-api-key", b"canary-key"), (b"authorization", b"Bearer canary-token"), (b"cookie", b"canary"))
    with collecting() as collector:
        running = server(HEADROOM_OTEL="true", HEADROOM_OTEL_ENDPOINT=collector.url)
        for path in ("/v1/messages?key=canary-query", "/v1beta/models/m:generateContent?key=canary-query"):
            ask(running.port, "POST", path, secret, BODY.replace(b"hi", b"canary-text"))
            upstream.play(CLOSE_AFTER_BODY)
            ask(running.port, "POST", path, secret, BODY)
            upstream.clear()
        running.stop()
        assert sum(point.count for told in collector.points(DURATION).values() for point in told) == 4
        assert [body for body in collector.raw if b"canary" in body] == []


@pytest.mark.parametrize("fault", ["silent", "gone"])
def test_a_collector_that_does_not_answer_holds_nothing_up(server: Start, upstream: Upstream, fault: str) -> None:
    with collecting() as silent:
        silent.silent = True
        url = silent.url if fault == "silent" else f"http://127.0.0.1:{free_port()}"
        running = server(HEADROOM_OTEL="true", HEADROOM_OTEL_ENDPOINT=url)
        assert {post(running).status for _ in range(10)} == {200}
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
        "from proxy_pkg.config.load import load\nfrom proxy_pkg.telemetry.tracing import open_tracing\n"
        "assert open_tracing(load({}).settings) is None\n"
        "print([name for name, module in sys.modules.items() if module and name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_the_setting_is_a_problem_before_the_start() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from proxy_pkg.config.load import load\nfrom proxy_pkg.server.preflight import inspect\n"
        "from proxy_pkg.telemetry.tracing import open_tracing\n"
        "settings = load({'HEADROOM_OTEL': 'true'}).settings\n"
        "print(inspect(settings, running=True).problems, open_tracing(settings))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "run `make extras` in the checkout" in done.stdout
    assert done.stdout.strip().endswith("None")
