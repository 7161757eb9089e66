"""The histograms of the conventions: what is counted, under which attributes, and within which bounds."""

from typing import Any

import pytest

from proxy_pkg.billing.usage import Usage
from proxy_pkg.protocols.table import Match, match
from proxy_pkg.stats.record import RequestRecord
from proxy_pkg.telemetry.measures import (
    DURATION,
    FIRST_CHUNK,
    OVERFLOW,
    REQUEST,
    SERIES_MAX,
    TOKENS,
    Instrument,
    Measures,
    Spread,
)
from proxy_pkg.telemetry.tracing import Outcome, instance_of

MS = 1_000_000


def matched(path: str = "/v1/messages") -> Match:
    found = match("POST", path, (), {})
    assert found is not None
    return found


def outcome(path: str = "/v1/messages", record: dict[str, Any] | None = None, **more: Any) -> Outcome:
    """An answered request to Anthropic's API that took its upstream 30 ms."""
    place = matched(path)
    given: dict[str, Any] = {
        "protocol": place.protocol.name,
        "route": place.route,
        "upstream_ns": 30 * MS,
        "first_byte_ns": 15 * MS,
        "status_class": "2xx",
    }
    fields: dict[str, Any] = {"model": "claude-x-4", "origin": "https://api.test", "status": 200} | more
    return Outcome("hr_1", "POST", path, place, record=RequestRecord(**(given | (record or {}))), **fields)


def told(measures: Measures, instrument: Instrument) -> list[tuple[dict[str, Any], Spread]]:
    return [(dict(attributes), spread) for attributes, spread in measures.series(instrument)]


def test_an_operation_is_counted_by_what_the_conventions_ask_for() -> None:
    measures = Measures()
    measures.record(outcome(usage=Usage(7, 20, 3, 11)), 40 * MS)
    shared = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-x-4",
        "server.address": "api.test",
        "server.port": 443,
    }
    assert [attributes for attributes, _ in told(measures, DURATION)] == [shared]
    assert {attributes["gen_ai.token.type"]: spread.sum for attributes, spread in told(measures, TOKENS)} == {
        "input": 30,
        "output": 11,
    }
    assert told(measures, FIRST_CHUNK) == [], "for streams alone"
    ((attributes, spread),) = told(measures, REQUEST)
    assert attributes["http.response.status_code"] == 200
    assert (spread.count, spread.least, spread.greatest, spread.sum) == (1, 0.04, 0.04, 0.04)


def test_the_first_part_of_a_stream_is_timed() -> None:
    measures = Measures()
    measures.record(outcome(is_stream=True), 40 * MS)
    ((_, spread),) = told(measures, FIRST_CHUNK)
    assert spread.sum == 0.015


def test_a_value_on_a_bound_is_within_it_and_one_above_the_last_is_counted_too() -> None:
    measures = Measures()
    for upstream_ns in (10 * MS, 10 * MS + 1, 81_920 * MS, 81_921 * MS):
        measures.record(outcome(record={"upstream_ns": upstream_ns}), 1)
    ((_, spread),) = told(measures, DURATION)
    assert len(spread.buckets) == len(DURATION.bounds) + 1
    assert [number for number, count in enumerate(spread.buckets) if count] == [0, 1, 13, 14]


@pytest.mark.parametrize(
    ("record", "status", "of_operation", "of_request"),
    [
        ({"outcome": "failed", "failure_phase": "connect", "upstream_ns": 0}, 502, "upstream_connect", True),
        ({"outcome": "client_gone", "upstream_ns": 0, "read_ns": MS}, 0, "client_gone", True),
        ({"outcome": "client_gone"}, 200, "client_gone", True),
        ({}, 529, "529", True),
        ({}, 400, "400", False),
    ],
)
def test_what_failed_says_why(record: dict[str, Any], status: int, of_operation: str, of_request: bool) -> None:
    """A bad request is no fault of this server: the conventions have it no error there, and one of the operation."""
    measures = Measures()
    measures.record(outcome(record=record, status=status), 40 * MS)
    ((attributes, spread),) = told(measures, DURATION)
    assert attributes["error.type"] == of_operation
    assert 0 < spread.sum <= 0.04
    ((attributes, _),) = told(measures, REQUEST)
    assert ("error.type" in attributes) == of_request


def test_what_no_upstream_was_asked_is_no_operation() -> None:
    measures = Measures()
    refused = {"outcome": "refused", "refusal": "rate_limited", "upstream_ns": 0}
    measures.record(outcome(record=refused, status=429), MS)
    measures.record(outcome("/v1/models", status=200), MS)
    assert told(measures, DURATION) == []
    assert sum(spread.count for _, spread in told(measures, REQUEST)) == 2


def test_a_socket_is_no_request_and_no_operation() -> None:
    measures = Measures()
    measures.record(outcome("/v1/responses", record={"route": "websocket"}, status=101), 3_600_000 * MS)
    assert not measures.has_any


def test_series_are_bounded_and_nothing_is_lost() -> None:
    measures = Measures()
    for number in range(SERIES_MAX + 50):
        measures.record(outcome(model=f"made-up-{number}"), MS)
    series = told(measures, DURATION)
    assert len(series) == SERIES_MAX + 1
    assert series[-1][0] == OVERFLOW
    assert series[-1][1].count == 50
    assert sum(spread.count for _, spread in series) == SERIES_MAX + 50


def test_what_the_upstream_does_not_accept_leaves_room_for_what_it_does() -> None:
    measures = Measures()
    for number in range(2 * SERIES_MAX):
        measures.record(outcome(model=f"made-up-{number}", status=404, record={"status_class": "4xx"}), MS)
    for number in range(100):
        measures.record(outcome(model=f"real-{number}"), MS)
    models = {attributes.get("gen_ai.request.model") for attributes, _ in told(measures, DURATION)}
    assert {f"real-{number}" for number in range(100)} <= models


def test_a_worker_without_a_shared_slot_has_a_name_of_its_own(tmp_path: Any) -> None:
    assert len({instance_of(str(tmp_path), -1) for _ in range(5)} | {instance_of(str(tmp_path), 0)}) == 6
