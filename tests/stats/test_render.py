"""What `/metrics` and `/stats` say."""

import time
from collections.abc import Callable

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from proxy_pkg import __version__
from proxy_pkg.prices.table import Source
from proxy_pkg.stats.attention import UNSEEN_BODIES_MIN
from proxy_pkg.stats.catalogue import CATALOGUE
from proxy_pkg.stats.counters import Counters
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.stats.render import metrics_text
from proxy_pkg.stats.snapshot import read_server
from proxy_pkg.stats.summary import stats_dict

Start = Callable[[], Counters]


def parsed(state_dir: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = metrics_text(read_server(state_dir)).decode()
    families = text_string_to_metric_families(text)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_metric_is_announced_with_its_type_even_before_the_first_request(state_dir: str) -> None:
    text = metrics_text(read_server(state_dir)).decode()
    for metric in CATALOGUE:
        assert f"# TYPE {metric.name} {metric.kind}\n" in text


def test_the_text_parses_and_holds_what_was_counted(state_dir: str, start_worker: Start) -> None:
    worker = start_worker()
    worker.began()
    odd = 'quo"te\\'
    worker.finished(RequestRecord(protocol="anthropic", refusal=odd, plan_ns=3_000_000, send_ns=40_000))
    found = parsed(state_dir)
    assert found["proxy_refusals_total", (("reason", odd),)] == 1
    assert found["proxy_requests_in_flight", ()] == 1
    assert found["proxy_workers", ()] == 1
    assert found["proxy_worker_starts_total", ()] == 1
    assert found["proxy_build_info", (("version", __version__),)] == 1
    assert abs(found["proxy_start_time_seconds", ()] - time.time()) < 60
    assert found["proxy_overhead_seconds_bucket", (("le", "0.002"), ("phase", "plan"))] == 0
    assert found["proxy_overhead_seconds_bucket", (("le", "0.005"), ("phase", "plan"))] == 1
    assert found["proxy_overhead_seconds_bucket", (("le", "+Inf"), ("phase", "plan"))] == 1
    assert found["proxy_overhead_seconds_count", (("phase", "plan"),)] == 1
    assert found["proxy_overhead_seconds_sum", (("phase", "plan"),)] == 0.003


def test_the_sums_of_all_servers_are_shown_where_they_are_known(state_dir: str) -> None:
    reading = read_server(state_dir)
    assert b"\nproxy_fleet_total{" not in metrics_text(reading)
    text = metrics_text(reading, fleet={"requests": 7, "failed": 0})
    assert b'proxy_fleet_total{figure="requests"} 7.0\nproxy_fleet_total{figure="failed"} 0.0\n' in text


def test_stats_states_totals_savings_basis_and_window(state_dir: str, start_worker: Start) -> None:
    workers = start_worker(), start_worker()
    for worker in workers:
        worker.finished(
            RequestRecord(
                protocol="anthropic",
                status_class="2xx",
                decision="rewritten",
                decision_reason="smaller",
                spans=[("json", "compressed", "smaller", 1), ("text", "kept", "small", 2)],
                tokens_before=100,
                tokens_after=60,
                bytes_before=400,
                bytes_after=500,
                plan_ns=1_000_000,
            )
        )
    stats = msgspec.json.decode(msgspec.json.encode(stats_dict(read_server(state_dir), time.time_ns() + 90 * 10**9)))
    assert stats["requests"]["total"] == 2
    assert stats["requests"]["by_status"] == {"2xx": 2}
    assert stats["bodies"]["reasons"] == {"rewritten": {"smaller": 2}}
    assert stats["spans"]["by_kind"] == {"json": {"compressed": 2, "kept": 0}, "text": {"compressed": 0, "kept": 4}}
    assert stats["spans"]["kept_reasons"] == {"small": 4}
    assert stats["tokens"] == {
        "before": 200,
        "after": 120,
        "saved": 80,
        "observed_saving": 0,
        "saved_by_protocol": {"anthropic": 80},
        "basis": "estimate, o200k_base",
        "window": stats["window"]["meaning"],
    }
    assert stats["bytes"]["saved"] == -200
    assert stats["window"]["seconds"] >= 90
    assert stats["window"]["meaning"] == f"since server start {stats['window']['since']}"
    assert stats["overhead"] == {
        "plan": {
            "count": 2,
            "mean_seconds": 0.001,
            "p50_at_most_seconds": 0.001,
            "p95_at_most_seconds": 0.001,
            "p99_at_most_seconds": 0.001,
        }
    }
    assert [worker["slot"] for worker in stats["workers"]["live"]] == [0, 1]


def test_each_section_of_sums_states_its_basis_and_window(state_dir: str) -> None:
    shipped = Source("shipped", "2025-12-01")
    stats = stats_dict(read_server(state_dir), time.time_ns(), (shipped,))
    for name in ("tokens", "bytes", "usage", "money"):
        assert stats[name]["window"] == stats["window"]["meaning"]
        assert stats[name]["basis"]
    assert set(stats["money"]["basis"]) == {"cost", "gross_saving", "net_saving"}
    assert stats["money"]["prices"] == ({"source": "shipped", "as_of": "2025-12-01"},)


def test_what_was_only_observed_is_not_called_saved(state_dir: str, start_worker: Start) -> None:
    worker = start_worker()
    for decision in ("rewritten", "observed", "observed"):
        worker.finished(RequestRecord(protocol="gemini", decision=decision, tokens_before=10, tokens_after=4))
    tokens = stats_dict(read_server(state_dir), 0)["tokens"]
    assert (tokens["before"], tokens["after"], tokens["saved"], tokens["observed_saving"]) == (30, 24, 6, 12)


def test_stats_of_a_server_without_requests_are_zero_not_missing(state_dir: str) -> None:
    stats = stats_dict(read_server(state_dir), time.time_ns())
    assert stats["requests"]["total"] == 0
    assert stats["tokens"]["saved"] == 0
    assert stats["overhead"] == {}


def test_a_client_whose_update_hid_its_tool_results_asks_for_attention(state_dir: str, start_worker: Start) -> None:
    worker = start_worker()
    for number in range(UNSEEN_BODIES_MIN):
        for client, eligible in (("agent/1.9", 1), ("agent/2.0", 0)):
            worker.finished(
                RequestRecord(
                    protocol="anthropic",
                    client=client,
                    decision="passthrough",
                    decision_reason="no spans",
                    spans_seen=3,
                    spans_eligible=eligible,
                )
            )
        asked = stats_dict(read_server(state_dir), 0)["attention"]["clients_unseen"]
        assert [found["client"] for found in asked] == (["agent/2.0"] if number + 1 == UNSEEN_BODIES_MIN else [])
    assert parsed(state_dir)["proxy_clients_unseen", ()] == 1
