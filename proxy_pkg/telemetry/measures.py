"""What the semantic conventions want measured of each request, counted in one worker and for it alone.

The conventions fix the bounds of the histograms. Each worker reports its own, as an instance of the service, so that
nothing counts twice and a collector's sum over instances is the server's. What a killed worker had not reported is
lost here; the totals of `stats/` keep it.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from proxy_pkg.stats.metric import UNACCEPTED_SHARE
from proxy_pkg.telemetry.conventions import (
    SOCKET_ROUTE,
    Attributes,
    Value,
    error_of,
    is_generation,
    operation_attributes,
    request_attributes,
)
from proxy_pkg.telemetry.tracing import Outcome

SERIES_MAX: Final = 500
"""Combinations of attributes of one instrument that are told apart; clients choose models' names, so requests that the
upstream did not accept may bring a quarter of them.
"""
OVERFLOW: Final[Mapping[str, Value | bool]] = {"otel.metric.overflow": True}
"""The attributes of what finds no room, as OpenTelemetry's specification has them."""

_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS: Final = tuple(4.0**power for power in range(14))
_REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


class Instrument(Struct, frozen=True):
    """A histogram that the conventions define; `bounds` are the upper ones of its buckets, in its unit."""

    name: str
    unit: str
    meaning: str
    bounds: tuple[float, ...]


DURATION: Final = Instrument(
    "gen_ai.client.operation.duration",
    "s",
    "From the request being sent to the end of the upstream's answer.",
    _SECONDS,
)
FIRST_CHUNK: Final = Instrument(
    "gen_ai.client.operation.time_to_first_chunk",
    "s",
    "From the request being sent to the first part of the upstream's answer, where that is a stream.",
    _SECONDS,
)
TOKENS: Final = Instrument(
    "gen_ai.client.token.usage", "{token}", "Tokens of an operation, as the provider tells them.", _TOKENS
)
REQUEST: Final = Instrument(
    "http.server.request.duration",
    "s",
    "From the head of a request to the last byte of its answer, refusals included.",
    _REQUEST_SECONDS,
)
INSTRUMENTS: Final = (DURATION, FIRST_CHUNK, TOKENS, REQUEST)


class Spread(Struct):
    """One series: how many values fell between which bounds, their sum, the least and the greatest."""

    buckets: list[int]
    sum: float = 0.0
    least: float = float("inf")
    greatest: float = float("-inf")

    @property
    def count(self) -> int:
        return sum(self.buckets)


class Measures:
    """The histograms of one worker. All methods belong to its loop."""

    def __init__(self) -> None:
        self._series: dict[str, dict[tuple[tuple[str, Value], ...], Spread]] = {each.name: {} for each in INSTRUMENTS}

    @property
    def has_any(self) -> bool:
        """Whether anything was counted."""
        return any(self._series.values())

    def record(self, outcome: Outcome, lasted_ns: int) -> None:
        """Count a request that has ended, `lasted_ns` after it began."""
        if outcome.record.route == SOCKET_ROUTE:
            return
        accepted = outcome.record.is_accepted
        self._add(REQUEST, lasted_ns / 1e9, request_attributes(outcome), accepted)
        operated_ns = _operated_ns(outcome, lasted_ns)
        if operated_ns and is_generation(outcome):
            self._record_operation(outcome, operated_ns)

    def series(self, instrument: Instrument) -> Iterator[tuple[Mapping[str, Value | bool], Spread]]:
        """The series of an instrument, by their attributes."""
        for key, spread in self._series[instrument.name].items():
            yield dict(key) if key else OVERFLOW, spread

    def _record_operation(self, outcome: Outcome, operated_ns: int) -> None:
        record, usage = outcome.record, outcome.usage
        shared = operation_attributes(outcome)
        error = error_of(outcome)
        self._add(DURATION, operated_ns / 1e9, shared | ({"error.type": error} if error else {}), record.is_accepted)
        if outcome.is_stream and record.first_byte_ns:
            self._add(FIRST_CHUNK, record.first_byte_ns / 1e9, shared, record.is_accepted)
        if usage is not None:
            self._add(TOKENS, usage.input_total, shared | {"gen_ai.token.type": "input"}, record.is_accepted)
            self._add(TOKENS, usage.output, shared | {"gen_ai.token.type": "output"}, record.is_accepted)

    def _add(self, instrument: Instrument, value: float, attributes: Attributes, accepted: bool) -> None:
        series = self._series[instrument.name]
        key = tuple(attributes.items())
        spread = series.get(key)
        if spread is None:
            key = key if len(series) < (SERIES_MAX if accepted else SERIES_MAX // UNACCEPTED_SHARE) else ()
            spread = series.setdefault(key, Spread([0] * (len(instrument.bounds) + 1)))
        spread.buckets[bisect_left(instrument.bounds, value)] += 1
        spread.sum += value
        spread.least, spread.greatest = min(spread.least, value), max(spread.greatest, value)


def _operated_ns(outcome: Outcome, lasted_ns: int) -> int:
    """How long the upstream was busy with it; 0 if it was never asked."""
    record = outcome.record
    if record.upstream_ns:
        return record.upstream_ns
    # Of an upstream that did not begin to answer, no time is noted: it is what our own phases leave over.
    was_asked = record.failure_phase or (record.outcome == "client_gone" and record.read_ns)
    return max(1, lasted_ns - record.read_ns - record.plan_ns) if was_asked else 0
