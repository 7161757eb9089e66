"""Counting: each request once, in bounded series, in a ledger that a successor continues."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy_pkg.stats import catalogue, counters, feeds
from proxy_pkg.stats.catalogue import CATALOGUE, METRICS
from proxy_pkg.stats.counters import Counters
from proxy_pkg.stats.metric import FAMILIES_MAX
from proxy_pkg.stats.record import RequestRecord, status_class
from proxy_pkg.stats.snapshot import read_server
from tests.stats.reader import series, total

Start = Callable[[], Counters]


def test_a_request_is_counted_once_however_often_it_is_handed_over(state_dir: str, start_worker: Start) -> None:
    worker = start_worker()
    record = RequestRecord(protocol="anthropic", route="messages", status_class="2xx")
    worker.finished(record)
    worker.finished(record)
    assert series(state_dir, "proxy_requests_total") == {("anthropic", "messages", "2xx", "relayed"): [1]}


def test_all_workers_add_up_and_the_dead_count_on(state_dir: str, start_worker: Start) -> None:
    first, second = start_worker(), start_worker()
    for worker in (first, second, second):
        worker.finished(RequestRecord(decision="rewritten", tokens_before=100, tokens_after=70))
    first.close()
    third = start_worker()
    third.finished(RequestRecord(decision="rewritten", tokens_before=100, tokens_after=70))
    assert third.slot == 0
    assert total(state_dir) == 4
    assert (total(state_dir, "proxy_tokens_before_total"), total(state_dir, "proxy_tokens_after_total")) == (400, 280)
    assert read_server(state_dir).worker_starts == 3


def test_a_label_that_does_not_apply_counts_nothing(state_dir: str, start_worker: Start) -> None:
    start_worker().finished(RequestRecord(client="claude-cli/2.1.3", route="models"))
    for name in ("proxy_refusals_total", "proxy_failures_total", "proxy_bodies_total", "proxy_client_bodies_total"):
        assert series(state_dir, name) == {}


def test_every_field_reaches_its_series(state_dir: str, start_worker: Start) -> None:
    start_worker().finished(
        RequestRecord(
            protocol="gemini",
            route="generate",
            client="gemini-cli/1.2",
            status_class="4xx",
            outcome="failed",
            refusal="busy",
            failure_phase="head",
            decision="rewritten",
            decision_reason="smaller",
            connection="new",
            spans=[("json", "compressed", "smaller", 2), ("text", "kept", "small", 5)],
            spans_seen=9,
            spans_eligible=7,
            spans_compressed=2,
            bytes_before=1000,
            bytes_after=900,
            request_bytes=600,
            response_bytes=70,
        )
    )
    found = {metric.name: series(state_dir, metric.name) for metric in CATALOGUE if metric.kind == "counter"}
    assert found["proxy_refusals_total"] == {("busy",): [1]}
    assert found["proxy_failures_total"] == {("head",): [1]}
    assert found["proxy_bodies_total"] == {("gemini", "rewritten", "smaller"): [1]}
    assert found["proxy_spans_total"] == {
        ("gemini", "json", "compressed", "smaller"): [2],
        ("gemini", "text", "kept", "small"): [5],
    }
    assert found["proxy_client_bodies_total"] == {("gemini", "gemini-cli/1.2"): [1]}
    assert [cells for _, cells in sorted(found["proxy_client_spans_total"].items())] == [[2], [7], [9]]
    assert found["proxy_upstream_connections_total"] == {("gemini", "new"): [1]}
    assert found["proxy_bytes_before_total"] == {("gemini", "rewritten"): [1000]}
    assert found["proxy_bytes_after_total"] == {("gemini", "rewritten"): [900]}
    assert found["proxy_request_body_bytes_total"] == {("gemini",): [600]}
    assert found["proxy_response_body_bytes_total"] == {("gemini",): [70]}


def test_a_duration_lands_in_the_bucket_whose_bound_it_does_not_exceed(state_dir: str, start_worker: Start) -> None:
    metric = METRICS["proxy_overhead_seconds"]
    worker = start_worker()
    bound_ns = round(metric.bounds[0] * 1e9)
    times_ns = [1, bound_ns, bound_ns + 1, 10**12]
    for plan_ns in times_ns:
        worker.finished(RequestRecord(plan_ns=plan_ns))
    cells = series(state_dir, metric.name)[("plan",)]
    assert cells[:2] == [2, 1]
    assert cells[-2:] == [1, sum(round(time_ns / 1000) for time_ns in times_ns)]
    assert sum(cells[:-1]) == 4


MODELS = 24 + FAMILIES_MAX


def test_waits_are_told_apart_by_model_and_those_of_no_known_model_are_not_lost(
    state_dir: str, start_worker: Start
) -> None:
    worker = start_worker()
    for number in range(100):
        worker.finished(
            RequestRecord(protocol="p", model=f"m{number}", status_class="2xx", first_byte_ns=10**9, upstream_ns=10**9)
        )
    worker.finished(RequestRecord(protocol="p", first_byte_ns=10**9, upstream_ns=10**9))
    for name in ("proxy_upstream_first_byte_seconds", "proxy_upstream_duration_seconds"):
        found = series(state_dir, name)
        assert len(found) == MODELS + 1
        assert ("p", "m0") in found
        assert sum(sum(cells[:-1]) for cells in found.values()) == 101


def test_a_size_lands_in_its_bucket_and_sums_are_exact(state_dir: str, start_worker: Start) -> None:
    worker = start_worker()
    for size, saved in ((1024, 10), (1025, 11), (10**9, 0)):
        made = RequestRecord(protocol="p", client="c/1", decision="rewritten", bytes_before=size)
        made.tokens_before, made.tokens_after = 50, 50 - saved
        worker.finished(made)
    worker.finished(RequestRecord(protocol="p", client="c/1", decision="observed", tokens_before=50, tokens_after=1))
    sizes = series(state_dir, "proxy_body_size_bytes")[("p",)]
    assert sizes == [1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 10**9 + 2049]
    assert series(state_dir, "proxy_saving_size_tokens")[("p", "c/1")] == [1, 1, *[0] * 10, 21]


def test_requests_in_flight_are_those_of_the_living(state_dir: str, start_worker: Start) -> None:
    first, second = start_worker(), start_worker()
    for worker in (first, first, second):
        worker.began()
    second.ended()
    assert [worker.in_flight for worker in read_server(state_dir).workers] == [2, 0]
    first.close()
    assert [worker.in_flight for worker in read_server(state_dir).workers] == [0]
    start_worker()
    assert [worker.in_flight for worker in read_server(state_dir).workers] == [0, 0]


@pytest.mark.parametrize(("field", "metric"), [("route", "proxy_requests_total"), ("refusal", "proxy_refusals_total")])
def test_labels_from_requests_are_bounded_and_nothing_is_lost(
    state_dir: str, start_worker: Start, field: str, metric: str
) -> None:
    worker = start_worker()
    strange = ["\ud800", "é", "x" * 65, "a\nb", "\x1f"]
    for value in [*strange, *(f"value {number}" for number in range(500))]:
        worker.finished(RequestRecord(**{field: value}))
    found = series(state_dir, metric)
    bound = next(label for label in METRICS[metric].labels if label.source == field).values_max
    assert len(found) == bound + 1
    assert total(state_dir, metric) == 505
    worker.close()
    successor = start_worker()
    successor.finished(RequestRecord(**{field: "one more"}))
    assert len(series(state_dir, metric)) == bound + 1


def test_a_dead_workers_number_given_to_another_process_does_not_bring_it_back(
    state_dir: str, start_worker: Start
) -> None:
    worker = start_worker()
    worker.began()
    worker.finished(RequestRecord())
    slots = Path(state_dir) / "slots"
    shutil.copy(slots / "0.counters", slots / "1.counters")  # held by nobody, and its process id is alive
    assert [live.slot for live in read_server(state_dir).workers] == [0]
    assert total(state_dir) == 2


def test_what_is_reported_after_the_end_neither_fails_nor_reaches_the_successor(
    state_dir: str, start_worker: Start
) -> None:
    worker = start_worker()
    worker.began()
    worker.close()
    successor = start_worker()
    worker.ended()
    worker.began()
    worker.finished(RequestRecord())
    assert [(live.slot, live.in_flight) for live in read_server(state_dir).workers] == [(successor.slot, 0)]
    assert total(state_dir) == 0


def test_closing_while_somebody_reads_gives_the_slot_back(start_worker: Start) -> None:
    worker = start_worker()
    with worker.buffer:
        worker.close()
    assert start_worker().slot == worker.slot


def test_a_value_outside_a_closed_set_counts_as_other(state_dir: str, start_worker: Start) -> None:
    start_worker().finished(RequestRecord(outcome="vanished"))
    assert series(state_dir, "proxy_requests_total") == {("other", "other", "none", "other"): [1]}


def test_a_full_ledger_keeps_the_total_of_each_metric(
    state_dir: str, start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = start_worker()
    worker.finished(RequestRecord(protocol="other", route="other", status_class="other", outcome="other"))
    monkeypatch.setattr(worker._ledger, "_keys_used", 10**9)  # no further key fits
    for number in range(100):
        worker.finished(RequestRecord(route=f"r{number}"))
    assert series(state_dir, "proxy_requests_total") == {("other", "other", "other", "other"): [101]}


def test_more_combinations_than_are_remembered_are_counted_all_the_same(
    state_dir: str, start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "_KNOWN_MAX", 4)
    worker = start_worker()
    for number in range(60):
        worker.finished(RequestRecord(route=f"r{number % 10}", spans=[(f"k{number % 10}", "kept", "small", 1)]))
    assert len(worker._record_feed._known) <= 4
    assert set(map(tuple, series(state_dir, "proxy_requests_total").values())) == {(6,)}
    assert set(map(tuple, series(state_dir, "proxy_spans_total").values())) == {(6,)}


def test_a_metric_that_changed_its_definition_starts_anew_beside_the_old_one(
    state_dir: str, start_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = start_worker()
    old.finished(RequestRecord(refusal="busy"))
    old.close()
    changed = tuple(
        catalogue.Metric(metric.name, metric.kind, "others", metric.meaning, metric.labels)
        if metric.name == "proxy_refusals_total"
        else metric
        for metric in CATALOGUE
    )
    monkeypatch.setattr(counters, "CATALOGUE", changed)
    new = start_worker()
    new.finished(RequestRecord(refusal="busy"))
    new.close()
    monkeypatch.undo()
    assert total(state_dir) == 2
    assert total(state_dir, "proxy_refusals_total") == 1


def test_status_classes_cover_everything_a_server_may_say() -> None:
    statuses = (0, 99, 100, 204, 301, 429, 599, 600, -1)
    assert [status_class(status) for status in statuses] == [
        "none", "none", "1xx", "2xx", "3xx", "4xx", "5xx", "none", "none",
    ]  # fmt: skip


def asked(client: str, model: str, status: str) -> RequestRecord:
    return RequestRecord(
        protocol="p", client=client, model=model, status_class=status, decision="passthrough", upstream_ns=10**9
    )


def test_names_that_nobody_may_use_leave_room_for_those_that_somebody_does(state_dir: str, start_worker: Start) -> None:
    worker = start_worker()
    worker.finished(asked("agent/1.0", "good-0", "4xx"))
    for number in range(5000):
        worker.finished(asked(f"junk{number}/1.0", f"junk-{number}", "4xx"))
    for number in range(10):
        worker.finished(asked("agent/9.9", f"good-{number}", "4xx"))  # is "other" at first, and not for ever
        worker.finished(asked("agent/9.9", f"good-{number}", "2xx"))
        worker.finished(asked("agent/9.9", f"good-{number}", "4xx"))
    models = series(state_dir, "proxy_upstream_duration_seconds")
    assert [sum(models["p", f"good-{number}"][:-1]) for number in range(10)] == [4, *[2] * 9]
    clients = series(state_dir, "proxy_client_bodies_total")
    assert clients["p", "agent/9.9"] == [29]
    assert sum(cells[0] for cells in clients.values()) == 5031


def test_a_client_with_more_versions_than_there_is_room_for_keeps_its_name(state_dir: str, start_worker: Start) -> None:
    for _ in range(2):  # a successor goes on with the names it finds
        worker = start_worker()
        for number in range(60):
            worker.finished(asked(f"agent/1.{number}", "m", "2xx"))
        worker.finished(asked("another/1.0", "m", "2xx"))
        worker.close()
    clients = series(state_dir, "proxy_client_bodies_total")
    assert len(clients) == 26
    assert clients["p", "agent/1.0"] == [2]
    assert clients["p", "agent"] == [2 * 36]
    assert clients["p", "another"] == [2]
