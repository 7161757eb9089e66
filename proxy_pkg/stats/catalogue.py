"""Every metric of this server. A metric that counts requests is one row here and nothing elsewhere."""

from proxy_pkg.stats.metric import OTHER, Kind, Label, Metric
from proxy_pkg.stats.money_rows import MONEY_ROWS

__all__ = ["CATALOGUE", "METRICS", "OTHER", "Kind", "Label", "Metric"]

_PROTOCOL = Label("protocol", values_max=16)
_ROUTE = Label("route", values_max=48)
_STATUS = Label("status_class", ("1xx", "2xx", "3xx", "4xx", "5xx", "none"))
_OUTCOME = Label("outcome", ("relayed", "refused", "failed", "client_gone"))
_DECISION = Label("decision", ("rewritten", "passthrough", "observed", "bypassed"))
_CLIENT = Label("client", values_max=24, foreign=True)
_MODEL = Label("model", values_max=24, foreign=True)
_VERDICT = Label("verdict", ("compressed", "kept"))
_STAGE = Label("stage", ("seen", "eligible", "compressed"))

_OVERHEAD_BOUNDS = (
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 5.0, 30.0,
)  # fmt: skip
_WAIT_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_BYTES_BOUNDS = (1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
_TOKENS_BOUNDS = (10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000, 300000, 1000000)
_CONNECT_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

CATALOGUE: tuple[Metric, ...] = (
    Metric(
        "proxy_requests_total",
        "counter",
        "requests",
        "Requests that ended, by what became of them.",
        (_PROTOCOL, _ROUTE, _STATUS, _OUTCOME),
    ),
    Metric(
        "proxy_refusals_total",
        "counter",
        "requests",
        "Requests that this server refused itself, by reason.",
        (Label("reason", field="refusal"),),
    ),
    Metric(
        "proxy_failures_total",
        "counter",
        "requests",
        "Requests without a complete answer from the upstream, by the phase that failed; `answer` is an error that the "
        "upstream told of after a status of 200.",
        (Label("phase", ("connect", "send", "head", "body", "answer"), field="failure_phase"),),
    ),
    Metric(
        "proxy_answer_errors_total",
        "counter",
        "requests",
        "Answers with a status of 200 that told of an error, in an event of the stream or in the body, by its kind in "
        "the API's own word.",
        (_PROTOCOL, Label("kind", values_max=32, field="answer_error")),
    ),
    Metric(
        "proxy_bodies_total",
        "counter",
        "bodies",
        "Request bodies that were looked at, by what was decided and why.",
        (_PROTOCOL, _DECISION, Label("reason", values_max=48, field="decision_reason")),
    ),
    Metric(
        "proxy_spans_total",
        "counter",
        "spans",
        "Texts that may shrink, by their kind, the verdict and its reason.",
        (_PROTOCOL, Label("kind", values_max=24), _VERDICT, Label("reason", values_max=48)),
        spans=True,
    ),
    Metric(
        "proxy_client_bodies_total",
        "counter",
        "bodies",
        "Request bodies that were looked at, by the client's name and version.",
        (_PROTOCOL, _CLIENT),
        when="decision",
    ),
    Metric(
        "proxy_client_spans_total",
        "counter",
        "spans",
        "Tool results of each client and version: seen, eligible for compression, compressed.",
        (_PROTOCOL, _CLIENT, _STAGE),
        split=(("seen", "spans_seen"), ("eligible", "spans_eligible"), ("compressed", "spans_compressed")),
        when="decision",
    ),
    Metric(
        "proxy_tokens_before_total",
        "counter",
        "tokens",
        "Tokens in the spans as they came (estimate, o200k_base).",
        (_PROTOCOL, _DECISION),
        amount="tokens_before",
    ),
    Metric(
        "proxy_tokens_after_total",
        "counter",
        "tokens",
        "Tokens in the spans as rewritten; with `observed`, as they would be (estimate, o200k_base).",
        (_PROTOCOL, _DECISION),
        amount="tokens_after",
    ),
    Metric(
        "proxy_bytes_before_total",
        "counter",
        "bytes",
        "Decoded request bodies that were looked at, as they came.",
        (_PROTOCOL, _DECISION),
        amount="bytes_before",
    ),
    Metric(
        "proxy_bytes_after_total",
        "counter",
        "bytes",
        "The same bodies as rewritten; with `observed`, as they would be.",
        (_PROTOCOL, _DECISION),
        amount="bytes_after",
    ),
    Metric(
        "proxy_request_body_bytes_total",
        "counter",
        "bytes",
        "Request bodies as clients put them on the wire.",
        (_PROTOCOL,),
        amount="request_bytes",
    ),
    Metric(
        "proxy_response_body_bytes_total",
        "counter",
        "bytes",
        "Response bodies relayed to clients.",
        (_PROTOCOL,),
        amount="response_bytes",
    ),
    Metric(
        "proxy_upstream_retries_total",
        "counter",
        "requests",
        "Requests that were sent again because the upstream was too busy.",
        (_PROTOCOL,),
        amount="retries",
    ),
    Metric(
        "proxy_upstream_connections_total",
        "counter",
        "requests",
        "Requests by the upstream connection they used.",
        (_PROTOCOL, Label("connection", ("new", "reused"))),
    ),
    *MONEY_ROWS,
    Metric(
        "proxy_store_losses_total",
        "counter",
        "calls",
        "Calls that the store of the workers did not answer; the requests went on without.",
        (Label("operation", values_max=16), Label("reason", values_max=16)),
        record="loss",
    ),
    Metric(
        "proxy_upstream_connect_seconds",
        "histogram",
        "seconds",
        "Time to open a new upstream connection: name lookup, TCP and TLS.",
        (_PROTOCOL,),
        amount="connect_ns",
        bounds=_CONNECT_BOUNDS,
    ),
    Metric(
        "proxy_upstream_first_byte_seconds",
        "histogram",
        "seconds",
        "Time from the request being sent to the first byte of the upstream's answer.",
        (_PROTOCOL, _MODEL),
        amount="first_byte_ns",
        bounds=_WAIT_BOUNDS,
    ),
    Metric(
        "proxy_upstream_duration_seconds",
        "histogram",
        "seconds",
        "Time from the request being sent to the end of the upstream's answer.",
        (_PROTOCOL, _MODEL),
        amount="upstream_ns",
        bounds=_WAIT_BOUNDS,
    ),
    Metric(
        "proxy_overhead_seconds",
        "histogram",
        "seconds",
        "This server's own time in a request: asking the limits, reading the body, planning the rewrite (parsing and "
        "compressing), waiting for a place among the upstream connections, sending.",
        (Label("phase", ("limits", "read", "plan", "pool", "send")),),
        split=tuple((phase, f"{phase}_ns") for phase in ("limits", "read", "plan", "pool", "send")),
        bounds=_OVERHEAD_BOUNDS,
    ),
    Metric(
        "proxy_body_size_bytes",
        "histogram",
        "bytes",
        "Sizes of decoded request bodies that were looked at, as they came.",
        (_PROTOCOL,),
        amount="bytes_before",
        bounds=_BYTES_BOUNDS,
    ),
    Metric(
        "proxy_saving_size_tokens",
        "histogram",
        "tokens",
        "Tokens that each rewritten body was made shorter by (estimate, o200k_base).",
        (_PROTOCOL, _CLIENT),
        amount="tokens_removed",
        bounds=_TOKENS_BOUNDS,
    ),
    Metric(
        "proxy_requests_in_flight",
        "gauge",
        "requests",
        "Requests that live workers are serving now.",
        derived=True,
    ),
    Metric(
        "proxy_limit_workers",
        "gauge",
        "workers",
        "Live workers, by whom they share limits with: all servers, those of this machine, nobody.",
        (Label("scope", ("fleet", "machine", "worker", "none")),),
        derived=True,
    ),
    Metric("proxy_workers", "gauge", "workers", "Workers alive now.", derived=True),
    Metric(
        "proxy_worker_starts_total",
        "counter",
        "workers",
        "Workers that started, replacements included.",
        derived=True,
    ),
    Metric(
        "proxy_lifetime_total",
        "counter",
        "as its figure says",
        "The main figures of this run and of all before it, as far as the state directory was kept.",
        (Label("figure"),),
        derived=True,
    ),
    Metric(
        "proxy_fleet_total",
        "counter",
        "as its figure says",
        "The main figures of all servers that share this Redis, each over its lifetime; none while it is out of reach.",
        (Label("figure"),),
        derived=True,
    ),
    Metric(
        "proxy_clients_unseen",
        "gauge",
        "clients",
        "Clients and versions with many bodies and no eligible span: an update may have changed their shape.",
        derived=True,
    ),
    Metric(
        "proxy_start_time_seconds",
        "gauge",
        "seconds",
        "When the totals began, as Unix time.",
        derived=True,
    ),
    Metric(
        "proxy_build_info",
        "gauge",
        "info",
        "Always 1; the label tells the version that answers.",
        (Label("version"),),
        derived=True,
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in CATALOGUE}
